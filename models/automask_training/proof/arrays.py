"""From full-size pictures and masks to what an arm trains on: `MaskedImages` reduces both, as in anybody's training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from automask.training import MaskedImages, Pair, weight_on_latents
from automask_training.proof import sets
from automask_training.proof.arms import Arm, Masks, Pixels
from automask_training.proof.marks import Kind, Marker, is_marked
from automask_training.proof.pictures import CleanPicture
from automask_training.proof.sets import CELL_PX, TRAINING_PX
from automask_training.proof.task import ArmSet, has_mask
from automask_training.synth.raster import Bytes

Use = Literal["all", "base", "arms"]
_ARMS_EACH = 4
"""One picture of so many of a subject is for the arms; the base, which they all go on from, never sees it."""


def arm_set(out: Path, pictures: Sequence[CleanPicture], arm: Arm, *, use: Use = "all") -> ArmSet:
    """What an arm trains on; reduced pictures and masks are kept in `out`/reduced.

    Args:
        out: Folder of the proof.
        pictures: All of its pictures.
        arm: Which pixels and masks.
        use: Those that the base trains on, those of the arms, or both; automask makes masks for the arms only, as
            anybody lets it go through what they train on and nothing else.

    Raises:
        FileNotFoundError: Marks or masks have not been made yet.
    """
    chosen = [each for each in pictures if each.part == "train"]
    subject = np.array([each.subject for each in chosen])
    taken = np.ones(len(chosen), dtype=np.bool_) if use == "all" else for_arms(subject) == (use == "arms")
    pixels = _reduced_pixels(out, chosen, arm.kind, arm.pixels)[taken]
    marked = np.array([is_marked(each.name) for each in chosen])
    if arm.masks == "automask":
        if use != "arms":
            raise ValueError("automask makes masks for the pictures of the arms only")
        weight = _reduced_weight(out, arms_of(pictures), arm.kind, arm.masks, growth_cells=arm.growth_cells)
    else:
        weight = _reduced_weight(out, chosen, arm.kind, arm.masks, growth_cells=arm.growth_cells)[taken]
    if arm.masks == "truth":
        told = np.array([has_mask(each.name, arm.recall) for each in chosen])
        weight = np.where((marked & ~told)[taken, None, None], np.float32(1.0), weight)
    return ArmSet(pixels=pixels, weight=weight, subject=subject[taken], marked=marked[taken])


def arms_of(pictures: Sequence[CleanPicture]) -> list[CleanPicture]:
    """The pictures that arms train on, in the order of their list."""
    chosen = [each for each in pictures if each.part == "train"]
    for_them = for_arms(np.array([each.subject for each in chosen]))
    return [each for each, is_theirs in zip(chosen, for_them, strict=True) if is_theirs]


def for_arms(subject: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the pictures to train on, of subjects (N,) in the order of their list, are for the arms."""
    nth = np.zeros(len(subject), dtype=np.int64)
    for each in np.unique(subject):
        nth[subject == each] = np.arange((subject == each).sum())
    return np.asarray(nth % _ARMS_EACH == 0)


def reduced(pairs: Sequence[Pair]) -> tuple[Bytes, NDArray[np.float32]]:
    """Pictures and masks at the size of the model: uint8 (N, 64, 64, 3) and float32 (N, 32, 32), 1 = train."""
    data = MaskedImages(pairs, size_px=(TRAINING_PX, TRAINING_PX))
    pixels, weights = [], []
    for number in range(len(data)):
        sample = data[number]
        pixels.append(((sample["pixels"].numpy() + 1.0) * 127.5).round().astype(np.uint8).transpose(1, 2, 0))
        weights.append(weight_on_latents(sample["weight"][None], cell_px=CELL_PX)[0, 0].numpy())
    return np.stack(pixels), np.stack(weights).astype(np.float32)


def reduced_clean(out: Path, pictures: Sequence[CleanPicture]) -> Bytes:
    """Clean pictures at the size of the model, uint8 (N, 64, 64, 3)."""
    return reduced([Pair(out / "clean" / f"{each.name}.png", None) for each in pictures])[0]


def _reduced_pixels(out: Path, pictures: Sequence[CleanPicture], kind: Kind, which: Pixels) -> Bytes:
    kept = out / "reduced" / ("clean.npy" if which == "clean" else f"{kind}-{which}.npy")
    if kept.exists():
        return np.asarray(np.load(kept), dtype=np.uint8)
    if which == "clean":
        pixels = reduced_clean(out, pictures)
    elif which == "marked":
        pixels = reduced([Pair(out / "marked" / kind / f"{each.name}.jpg", None) for each in pictures])[0]
    else:
        folder = out / which / kind
        folder.mkdir(parents=True, exist_ok=True)
        for each in pictures:
            with Image.open(out / "marked" / kind / f"{each.name}.jpg") as opened:
                marked = np.asarray(opened.convert("RGB"), dtype=np.uint8)
            change = sets.filled if which == "filled" else sets.cropped
            changed = change(marked, sets.truth_of(out, kind, each.name))
            Image.fromarray(changed).save(folder / f"{each.name}.png")
        pixels = reduced([Pair(folder / f"{each.name}.png", None) for each in pictures])[0]
    _keep(kept, pixels)
    return pixels


def _reduced_weight(
    out: Path, pictures: Sequence[CleanPicture], kind: Kind, masks: Masks, *, growth_cells: float
) -> NDArray[np.float32]:
    cells = TRAINING_PX // CELL_PX
    if masks == "none":
        return np.ones((len(pictures), cells, cells), dtype=np.float32)
    growth = "" if masks == "automask" or growth_cells == 1.0 else f"-{growth_cells:g}-cells"
    kept = out / "reduced" / f"{kind}-by-{masks}{growth}.npy"
    if kept.exists():
        return np.asarray(np.load(kept), dtype=np.float32)
    if masks == "automask":
        pairs = _automask_pairs(out, pictures, kind)
    else:
        folder = out / f"true-masks{growth}" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for each in pictures:
            weight = sets.true_weight(sets.truth_of(out, kind, each.name), growth_cells=growth_cells)
            Image.fromarray(weight).save(folder / f"{each.name}.png")
        pairs = [Pair(out / "marked" / kind / f"{each.name}.jpg", folder / f"{each.name}.png") for each in pictures]
    weight_cells = reduced(pairs)[1]
    _keep(kept, weight_cells)
    return weight_cells


def _automask_pairs(out: Path, pictures: Sequence[CleanPicture], kind: Kind) -> list[Pair]:
    """Pictures and masks of a finished `automask run`, in the order of the pictures."""
    if not sets.automask_finished(out, kind, len(pictures)):
        raise FileNotFoundError(f"automask has not gone through {sets.automask_source(out, kind)} yet")
    masks = out / "masks" / kind / "masks"
    return [Pair(out / "marked" / kind / f"{each.name}.jpg", masks / f"{each.name}.png") for each in pictures]


def leak_and_waste(weight: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
    """How masks compare with grown true ones, both float32 (N, 32, 32), over pictures that carry a mark.

    Returns:
        `leak`: mean weight left on cells that the true mask takes away; `waste`: mean weight lost on cells that it
        leaves alone; `missed`: share of pictures with more than half of the weight left on the cells of the mark.
    """
    taken = truth <= 0.0
    has = taken.any(axis=(1, 2))
    left = (weight * taken).sum(axis=(1, 2))[has] / taken.sum(axis=(1, 2))[has]
    lost = ((1.0 - weight) * (truth >= 1.0)).sum(axis=(1, 2)) / (truth >= 1.0).sum(axis=(1, 2)).clip(1)
    return {"leak": float(left.mean()), "waste": float(lost.mean()), "missed": float((left > 0.5).mean())}


def _keep(path: Path, values: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, values)
    part.replace(path)


def held_out_pair(
    out: Path, pictures: Sequence[CleanPicture], kind: Kind, marker: Callable[[], Marker]
) -> tuple[Bytes, Bytes]:
    """Held-out pictures without and with marks at the size of the model, both uint8 (N, 64, 64, 3)."""
    kept = out / "reduced" / f"{kind}-held-out.npy"
    if not kept.exists():
        folder = out / "held-out" / kind
        folder.mkdir(parents=True, exist_ok=True)
        layer = marker()
        for each in pictures:
            laid = layer.lay(sets.clean_pixels(out, each.name), kind, name=each.name)
            Image.fromarray(laid.pixels).save(folder / f"{each.name}.png")
        marked = reduced([Pair(folder / f"{each.name}.png", None) for each in pictures])[0]
        _keep(kept, np.stack([reduced_clean(out, pictures), marked]))
    both = np.asarray(np.load(kept), dtype=np.uint8)
    return both[0], both[1]
