"""What rules about a trainer's configuration share: the facts that they gather, and how they hold keys against them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from automask.check.findings import Code, Finding, Severity
from automask.check.settings import Document, Node, shown
from automask.trainers.conventions import Setting, Trainer


@dataclass(slots=True)
class ConfigFacts:
    """What was read from a trainer's configuration.

    Attributes:
        training_px: Training resolution, the smallest where there are several, or None.
        cell_px: Latent cell of the model that it names, or None.
        floor: Least weight that the settings leave in masked areas.
        masks_root: Folder of the masks, or None.
        listing: The list of the dataset, or None.
        caches: Folders of caches.
        inverted: Masks are inverted when they are loaded.
        uses_alpha: Masks come from alpha channels.
        findings: What is wrong.
    """

    training_px: int | None = None
    cell_px: int | None = None
    floor: float = 0.0
    masks_root: Path | None = None
    listing: Path | None = None
    caches: list[Path] = field(default_factory=list)
    inverted: bool = False
    uses_alpha: bool = False
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConfigRules:
    """What the rules of one trainer work with.

    Attributes:
        trainer: Whose configuration it is.
        root: The dataset that is checked.
        facts: What was gathered so far.
    """

    trainer: Trainer
    root: Path
    facts: ConfigFacts

    def wrong(
        self,
        document: Document,
        line: int | None,
        message: str,
        fix: str,
        *,
        code: Code = Code.CONFIG_KEY,
        severity: Severity = "error",
    ) -> None:
        """Note a finding, once."""
        found = Finding(code, severity, message, fix, file=str(document.path), line=line)
        if found not in self.facts.findings:
            self.facts.findings.append(found)

    def key(
        self, document: Document, node: Node, name: str, *, required: bool = False, severity: Severity = "error"
    ) -> None:
        """Hold one key of a mapping against the trainer's settings."""
        setting = self.setting(name)
        there = node.get(name)
        fix = f"Write {name} = {shown(setting.value)}."
        if there is None:
            if required:
                self.wrong(document, node.line, f"{name} is not set: {setting.why}.", fix, severity=severity)
        elif not is_as_needed(there, setting):
            self.wrong(document, there.line, f"{name} is {shown(there.scalar)}: {setting.why}.", fix, severity=severity)

    def setting(self, name: str) -> Setting:
        """The trainer's setting of a name; it has one."""
        return next(setting for setting in self.trainer.settings if setting.key == name)

    def here(self, document: Document, node: Node, key: str) -> bool:
        """Whether an entry's path is the dataset, lies in it or holds it."""
        text = node.text(key)
        return text is not None and _overlap(document.resolve(text), self.root)

    def chosen(self, document: Document, entries: Iterable[Node], key: str) -> list[Node]:
        """The entries of this dataset; all of them, with a finding, where none is."""
        every = list(entries)
        own = [node for node in every if self.here(document, node, key)]
        if every and not own:
            line = next((found.line for node in every if (found := node.get(key)) is not None), every[0].line)
            self.facts.findings.append(
                Finding(
                    Code.CONFIG_FOLDER,
                    "warning",
                    f"No entry reads {self.root}.",
                    f"Set {key} to this folder, or check the folder that it names.",
                    file=str(document.path),
                    line=line,
                )
            )
        return own or every

    def masks(
        self, document: Document, node: Node, key: str, *, images_key: str | None = None, why_needed: str
    ) -> None:
        """The entry's mask folder: it has to be named and there. Where the entry is of this dataset, it is taken."""
        text = node.text(key)
        if not text:
            self.wrong(document, node.line, f"{key} is missing: {why_needed}.", f"Add {key} with the folder of masks.")
            return
        folder = document.resolve(text)
        line = node.mapping[key].line
        if not folder.is_dir():
            self.wrong(document, line, f"{key} names {text}, which is no folder.", "Correct the path.")
            return
        images = node.text(images_key) if images_key is not None else None
        if images is not None and folder.resolve() == document.resolve(images).resolve():
            self.wrong(
                document,
                line,
                f"{key} names the folder of the images: every image would be its own mask.",
                "Move the masks into a folder of their own.",
                code=Code.MASKS_NESTED,
            )
        elif self.facts.masks_root is None:
            self.facts.masks_root = folder if images is None else self._root_of(folder, document.resolve(images))

    def _root_of(self, masks: Path, images: Path) -> Path | None:
        """The folder of all masks, where an entry is about a folder below the dataset: `masks` for `masks/a`."""
        if not _overlap(images, self.root):
            return None
        try:
            below = images.resolve().relative_to(self.root.resolve()).parts
        except ValueError:
            return masks
        masks = masks.resolve()
        return (
            Path(*masks.parts[: len(masks.parts) - len(below)])
            if below and masks.parts[-len(below) :] == below
            else masks
        )

    def resolution(self, found: int | None) -> None:
        """Take a training resolution, unless an earlier entry had one."""
        if found is not None and self.facts.training_px is None:
            self.facts.training_px = found

    def cache(self, document: Document, node: Node, key: str) -> None:
        """Remember the cache folder under a key, if there is one."""
        text = node.text(key)
        if text:
            self.facts.caches.append(document.resolve(text))


def area_side(node: Node | None) -> int | None:
    """Side of a square of the area of `1024`, `"1024,768"` or `[1024, 768]`: one size."""
    if node is None:
        return None
    text = " ".join(str(item.scalar) for item in node.items) if node.items else str(node.scalar)
    sides = [int(number) for number in re.findall(r"\d+", text)]
    return round(math.sqrt(sides[0] * sides[-1])) if sides and min(sides) > 0 else None


def least_side(node: Node | None) -> int | None:
    """The smallest of several sizes, for which a mask has to be grown most: `[512, 1024]`, `"512,1024x768"`."""
    if node is None:
        return None
    if node.items:
        sizes = [area_side(item) for item in node.items]
    else:
        sizes = [area_side(Node(node.line, scalar=part)) for part in str(node.scalar).split(",")]
    return min((size for size in sizes if size is not None), default=None)


def is_true(node: Node | None) -> bool:
    """Whether a value is there, and is the boolean true."""
    return node is not None and node.scalar is True


def is_as_needed(node: Node, setting: Setting) -> bool:
    """Whether a value is what masks need; where that is a path or a name of the user's, any value is."""
    wanted = setting.value
    if isinstance(wanted, bool) or isinstance(node.scalar, bool):
        return node.scalar is wanted
    if isinstance(wanted, (int, float)):
        return isinstance(node.scalar, (int, float)) and float(node.scalar) == float(wanted)
    return wanted.startswith("<") or node.scalar == wanted


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one == other or one in other.parents or other in one.parents
