"""What a trainer's configuration says about masks, and which of its lines are wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from automask.check.findings import Code, Finding
from automask.check.settings import Document, Node, read_document, shown
from automask.trainers import Setting, Trainer

_CELLS_OF_MODELS = ((re.compile(r"hunyuan[-_ ]?image|(?:^|[^a-z])sana(?:[^a-z]|$)", re.IGNORECASE), 32),)
"""Models with other cells than 8 px (sd-scripts strategy_hunyuan_image.py:192, OneTrainer SanaBaseDataLoader.py:37)."""

_MODEL_KEYS = (
    "model_type",
    "model_family",
    "arch",
    "type",
    "model",
    "name_or_path",
    "pretrained_model_name_or_path",
    "base_model_name",
    "network_module",
    "dit",
    "diffusers_path",
    "transformer_path",
)


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


def read_config(paths: Sequence[Path], trainer: Trainer, root: Path) -> ConfigFacts:
    """Read a trainer's configuration files and hold them against what masks need.

    Args:
        paths: The files; files that they name are read too where the trainer keeps the dataset in one of its own.
        trainer: Whose.
        root: The dataset that is checked.

    Raises:
        ConfigError: A file cannot be read or parsed.
    """
    documents = [read_document(path) for path in paths]
    for document in list(documents):
        for key in ("dataset_config", "dataset", "data_backend_config", "--data_backend_config"):
            named = document.root.text(key)
            if named and Path(named).suffix.lower() in (".toml", ".json") and document.resolve(named).is_file():
                documents.append(read_document(document.resolve(named)))
    facts = ConfigFacts()
    rules = _Rules(trainer, root, facts)
    for document in documents:
        _RULES[trainer.name](rules, document)
        _model(rules, document)
    return facts


@dataclass(frozen=True, slots=True)
class _Rules:
    """What all rules need."""

    trainer: Trainer
    root: Path
    facts: ConfigFacts

    def wrong(
        self, document: Document, line: int | None, message: str, fix: str, *, code: Code = Code.CONFIG_KEY
    ) -> None:
        found = Finding(code, "error", message, fix, file=str(document.path), line=line)
        if found not in self.facts.findings:
            self.facts.findings.append(found)

    def key(self, document: Document, node: Node, name: str, *, required: bool = False, inside: str = "") -> None:
        """Hold one key of a mapping against the trainer's settings."""
        setting = self.setting(name)
        there = node.get(name)
        fix = f"Write {name} = {shown(setting.value)}."
        if there is None:
            if required:
                self.wrong(document, node.line, f"{name} is not set{inside}: {setting.why}.", fix)
        elif not _equal(there, setting):
            self.wrong(document, there.line, f"{name} is {shown(there.scalar)}: {setting.why}.", fix)

    def setting(self, name: str) -> Setting:
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
        if found is not None and self.facts.training_px is None:
            self.facts.training_px = found

    def cache(self, document: Document, node: Node, key: str) -> None:
        text = node.text(key)
        if text:
            self.facts.caches.append(document.resolve(text))


def _kohya(rules: _Rules, document: Document) -> None:
    root = document.root
    datasets = root.list_at("datasets")
    if not datasets:
        _kohya_arguments(rules, document)
        return
    general = root.get("general")
    is_alpha = rules.trainer.name == "kohya-alpha"
    subsets = [subset for dataset in datasets for subset in dataset.list_at("subsets")]
    own = rules.chosen(document, subsets, "image_dir")
    for dataset in datasets:
        rules.resolution(_area_side(dataset.get("resolution") or (general.get("resolution") if general else None)))
        levels = [level for level in (general, dataset) if level is not None]
        for level in levels:
            rules.key(document, level, "random_crop")
        inside = dataset.list_at("subsets")
        for subset in inside:
            rules.key(document, subset, "random_crop")
            if is_alpha:
                if not any(_is(level.get("alpha_mask"), True) for level in (*levels, subset)):
                    rules.key(document, subset, "alpha_mask", required=True)
                if subset.get("conditioning_data_dir") is not None:
                    line = subset.mapping["conditioning_data_dir"].line
                    rules.wrong(document, line, "conditioning_data_dir wins over the alpha channel.", "Remove it.")
            elif any(other in own for other in inside):
                why = "every subset of a dataset needs one"
                rules.masks(document, subset, "conditioning_data_dir", images_key="image_dir", why_needed=why)
            if subset.get("metadata_file") is not None and not is_alpha:
                line = subset.mapping["metadata_file"].line
                rules.wrong(
                    document,
                    line,
                    "metadata_file makes this a fine-tuning subset, which takes no mask folder.",
                    "Use image_dir with caption files instead.",
                    code=Code.MODEL_UNSUPPORTED,
                )


def _kohya_arguments(rules: _Rules, document: Document) -> None:
    key = "alpha_mask" if rules.trainer.name == "kohya-alpha" else "masked_loss"
    found = list(document.root.find(key))
    if not found:
        rules.wrong(document, None, f"{key} is not set: {rules.setting(key).why}.", f"Set {key} to true.")
    for name in (key, "random_crop"):
        for node in document.root.find(name):
            if not _equal(node, rules.setting(name)):
                why = rules.setting(name).why
                fix = f"Set {name} to {shown(rules.setting(name).value)}."
                rules.wrong(document, node.line, f"{name} is {shown(node.scalar)}: {why}.", fix)
    for name in ("resolution", "max_resolution"):
        for node in document.root.find(name):
            rules.resolution(_area_side(node))


def _onetrainer(rules: _Rules, document: Document) -> None:
    root = document.root
    for key in ("masked_training", "unmasked_probability", "unmasked_weight"):
        rules.key(document, root, key, required=True)
    floor = root.get("unmasked_weight")
    if floor is not None and isinstance(floor.scalar, (int, float)):
        rules.facts.floor = float(floor.scalar)
    model = root.get("model_type")
    if model is not None and re.search(r"INPAINT|FILL|DEPTH", str(model.scalar)):
        rules.wrong(
            document,
            model.line,
            f"{model.scalar} is an inpainting-type model, for which OneTrainer switches masked loss off.",
            "Train another model type, or without masks.",
            code=Code.MODEL_UNSUPPORTED,
        )
    rules.resolution(_least_side(root.get("resolution")))
    rules.cache(document, root, "cache_dir")


def _ai_toolkit(rules: _Rules, document: Document) -> None:
    datasets = [dataset for group in document.root.find("datasets") for dataset in group.items]
    if not datasets:
        rules.wrong(document, None, "There is no dataset in it.", "Give the configuration of the job.")
    for dataset in rules.chosen(document, datasets, "folder_path"):
        alpha = dataset.get("alpha_mask")
        rules.facts.uses_alpha = rules.facts.uses_alpha or _is(alpha, True)
        for key in ("mask_min_value", "invert_mask", "alpha_mask", "buckets"):
            rules.key(document, dataset, key)
        if not _is(alpha, True):
            why = rules.setting("mask_path").why
            rules.masks(document, dataset, "mask_path", images_key="folder_path", why_needed=why)
        rules.facts.inverted = rules.facts.inverted or _is(dataset.get("invert_mask"), True)
        floor = dataset.get("mask_min_value")
        if floor is not None and isinstance(floor.scalar, (int, float)):
            rules.facts.floor = float(floor.scalar)
        rules.resolution(_least_side(dataset.get("resolution")))


def _simpletuner(rules: _Rules, document: Document) -> None:
    backends = document.root.items
    if not backends:
        return  # the arguments of the trainer: everything about masks stands in the list of backends
    by_id = {backend.text("id"): backend for backend in backends}
    images = [b for b in backends if b.text("dataset_type") in (None, "image") and b.get("instance_data_dir")]
    for image in rules.chosen(document, images, "instance_data_dir"):
        _simpletuner_resolution(rules, image)
        rules.cache(document, image, "cache_dir_vae")
        rules.facts.caches.append(document.resolve(image.text("instance_data_dir") or "."))
        named = image.text("conditioning_data")
        mask = by_id.get(named) if named else None
        if mask is None:
            line = image.mapping["conditioning_data"].line if image.get("conditioning_data") else image.line
            problem = f"names {named!r}, which is not there" if named else "is missing"
            fix = "Write the id of the mask dataset."
            rules.wrong(document, line, f"conditioning_data {problem}: no mask is read.", fix)
            continue
        rules.key(document, mask, "dataset_type", required=True)
        rules.key(document, mask, "conditioning_type", required=True)
        rules.masks(document, mask, "instance_data_dir", why_needed="it is the folder of the masks")
        rules.cache(document, mask, "cache_dir_vae")


def _simpletuner_resolution(rules: _Rules, image: Node) -> None:
    node = image.get("resolution")
    value = node.scalar if node is not None else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        is_area = value < 16  # megapixels; nobody trains at 16 px
        rules.facts.training_px = round(math.sqrt(value) * 1024) if is_area else round(value)


def _diffusion_pipe(rules: _Rules, document: Document) -> None:
    directories = document.root.list_at("directory")
    if not directories:
        return  # the main file; its `dataset` is read as well
    for directory in rules.chosen(document, directories, "path"):
        why = rules.setting("mask_path").why
        rules.masks(document, directory, "mask_path", images_key="path", why_needed=why)
        rules.resolution(_least_side(directory.get("resolutions")))
        path = directory.text("path")
        if path:
            rules.facts.caches.append(document.resolve(path) / "cache")
    rules.resolution(_least_side(document.root.get("resolutions")))


def _invoke(rules: _Rules, document: Document) -> None:
    root = document.root
    rules.key(document, root, "use_masks", required=True)
    kind = root.get("type")
    if kind is not None and "FLUX" in str(kind.scalar).upper():
        rules.wrong(
            document,
            kind.line,
            f"{kind.scalar} accepts use_masks and never applies the mask.",
            "Train with another trainer, or without masks.",
            code=Code.MODEL_UNSUPPORTED,
        )
    for node in root.find("jsonl_path"):
        if isinstance(node.scalar, str):
            rules.facts.listing = document.resolve(node.scalar)
    for node in root.find("resolution"):
        rules.resolution(_area_side(node))


def _musubi(rules: _Rules, document: Document) -> None:
    general = document.root.get("general")
    for dataset in rules.chosen(document, document.root.list_at("datasets"), "image_directory"):
        levels = [level for level in (general, dataset) if level is not None]
        if not any(level.get("watermark_mask_suffix") is not None for level in levels):
            rules.key(document, dataset, "watermark_mask_suffix", required=True)
        for level in reversed(levels):
            rules.key(document, level, "watermark_mask_suffix")
            rules.resolution(_area_side(level.get("resolution")))
            rules.cache(document, level, "cache_directory")


def _animalora(rules: _Rules, document: Document) -> None:
    found = list(document.root.find("masked_loss"))
    if not found:
        rules.key(document, document.root, "masked_loss", required=True)
    for node in found:
        if not _is(node, True):
            rules.wrong(
                document, node.line, f"masked_loss is {shown(node.scalar)}: masks are not used.", "Set it true."
            )
    for node in document.root.find("resolution"):
        rules.resolution(_area_side(node))


_RULES: dict[str, Callable[[_Rules, Document], None]] = {
    "kohya": _kohya,
    "kohya-alpha": _kohya,
    "onetrainer": _onetrainer,
    "ai-toolkit": _ai_toolkit,
    "simpletuner": _simpletuner,
    "diffusion-pipe": _diffusion_pipe,
    "invoke": _invoke,
    "musubi": _musubi,
    "animalora": _animalora,
}


def _model(rules: _Rules, document: Document) -> None:
    for key in _MODEL_KEYS:
        for node in document.root.find(key):
            for pattern, cell_px in _CELLS_OF_MODELS:
                if isinstance(node.scalar, str) and pattern.search(node.scalar):
                    rules.facts.cell_px = cell_px


def _area_side(node: Node | None) -> int | None:
    """Side of a square of the area of `1024`, `"1024,768"` or `[1024, 768]`: one size."""
    if node is None:
        return None
    text = " ".join(str(item.scalar) for item in node.items) if node.items else str(node.scalar)
    sides = [int(number) for number in re.findall(r"\d+", text)]
    return round(math.sqrt(sides[0] * sides[-1])) if sides and min(sides) > 0 else None


def _least_side(node: Node | None) -> int | None:
    """The smallest of several sizes, for which a mask has to be grown most: `[512, 1024]`, `"512,1024x768"`."""
    if node is None:
        return None
    if node.items:
        sizes = [_area_side(item) for item in node.items]
    else:
        sizes = [_area_side(Node(node.line, scalar=part)) for part in str(node.scalar).split(",")]
    return min((size for size in sizes if size is not None), default=None)


def _is(node: Node | None, value: bool) -> bool:
    return node is not None and node.scalar is value


def _equal(node: Node, setting: Setting) -> bool:
    wanted = setting.value
    if isinstance(wanted, bool) or isinstance(node.scalar, bool):
        return node.scalar is wanted
    if isinstance(wanted, (int, float)):
        return isinstance(node.scalar, (int, float)) and float(node.scalar) == float(wanted)
    return wanted.startswith("<") or node.scalar == wanted


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one == other or one in other.parents or other in one.parents
