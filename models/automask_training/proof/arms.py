"""What is compared: the arms, and the order in which they are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from automask_training.proof.marks import Kind

Pixels = Literal["clean", "marked", "cropped", "filled"]
Masks = Literal["none", "truth", "automask"]
SEEDS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train on one marked set.

    Attributes:
        name: What it is called in tables.
        about: The same in words.
        kind: What is laid on the pictures.
        pixels: What the model sees: marked pictures, or those that were cropped, inpainted or never marked.
        masks: Where masks of the loss are from.
        recall: Share of the marked pictures that have their mask; the others are trained whole.
        growth_cells: Growth of the true masks.
        tagged: Captions say which pictures carry a mark.
        negative: Samples are guided away from that tag.
    """

    name: str
    about: str
    kind: Kind = "watermark"
    pixels: Pixels = "marked"
    masks: Masks = "none"
    recall: float = 1.0
    growth_cells: float = 1.0
    tagged: bool = False
    negative: bool = False

    def run_name(self, seed: int) -> str:
        """Name of the folder and figures of one training."""
        return f"{self.kind}-{self.name}-{seed}"


_TRIO: tuple[Arm, ...] = (
    Arm(name="plain", about="no masks"),
    Arm(name="automask", about="masked by `automask run` as it is by default", masks="automask"),
    Arm(name="truth", about="masked by the truth", masks="truth"),
)
# The first seed of all core arms first, so that a table is there early; the three that carry the claim lead.
CORE: tuple[Arm, ...] = (
    *_TRIO,
    Arm(
        name="clean",
        about="never marked: what the detector finds by mistake, and the best there can be",
        pixels="clean",
    ),
    Arm(name="half", about="true masks on 50 % of the marked pictures", masks="truth", recall=0.5),
    Arm(name="most", about="true masks on 95 % of the marked pictures", masks="truth", recall=0.95),
    Arm(name="filled", about="inpainted by the truth, no masks", pixels="filled"),
    Arm(name="cropped", about="cropped by the truth, no masks", pixels="cropped"),
    Arm(name="tight", about="true masks that are not grown by a cell", masks="truth", growth_cells=0.0),
    Arm(name="many", about="true masks on 80 % of the marked pictures", masks="truth", recall=0.8),
)
_OTHER_KINDS: tuple[Kind, ...] = ("card", "subtitles")
OTHERS: tuple[Arm, ...] = tuple(
    Arm(name=each.name, about=each.about, kind=kind, masks=each.masks) for kind in _OTHER_KINDS for each in _TRIO
)
TAGGED: tuple[Arm, ...] = (
    Arm(name="negative", about="no masks, captions with the tag, guided away from it", tagged=True, negative=True),
    Arm(name="captioned", about="masked by automask, captions with the tag left in", masks="automask", tagged=True),
)


def all_runs() -> Iterator[tuple[Arm, int]]:
    """Every training in the order in which it is done: core, then other kinds, then captions with tags."""
    for seed in SEEDS:
        yield from ((arm, seed) for arm in CORE)
    for seed in SEEDS:
        yield from ((arm, seed) for arm in OTHERS)
    for seed in SEEDS:
        yield from ((arm, seed) for arm in TAGGED)


def run_named(name: str) -> tuple[Arm, int]:
    """The training of a name.

    Raises:
        KeyError: There is none.
    """
    runs = {arm.run_name(seed): (arm, seed) for arm, seed in all_runs()}
    return runs[name]
