"""All of a proof in small, on pictures that are drawn: losses fall and figures come out, nothing more is meant."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from automask_training.loop import LOSS_FILE
from automask_training.proof.arms import CORE
from automask_training.proof.marks import SITE, Kind, MarkedPicture
from automask_training.proof.measure import FIGURES_FILE
from automask_training.proof.pictures import LIST_FILE, SIDE_PX, SUBJECTS, CleanPicture, Part, write_list
from automask_training.proof.runs import Proof, Scale
from automask_training.synth.raster import Bytes

_SCALE = Scale(
    base_samples=250,
    total_samples=500,
    batch_samples=5,
    widths=(8, 16, 16),
    per_subject=4,
    finder_epochs=4,
    feature_epochs=2,
)
_PICTURES: tuple[tuple[Part, int], ...] = (("train", 2), ("held_out", 1))
_ARMS = ("plain", "truth", "automask")


class DrawnMark:
    """A line of letters that needs no font file, at one place."""

    def lay(self, pixels: Bytes, kind: Kind, *, name: str) -> MarkedPicture:
        """Lay it on a picture, uint8 (H, W, 3)."""
        import cv2

        drawn, place = pixels.copy(), (SIDE_PX // 3, SIDE_PX - 24)
        for colour, thick_px in (((0, 0, 0), 6), ((255, 255, 255), 3)):
            cv2.putText(drawn, SITE, place, cv2.FONT_HERSHEY_SIMPLEX, 1.3, colour, thick_px, cv2.LINE_AA)
        return MarkedPicture(drawn, np.asarray((drawn != pixels).any(axis=2)))


def run(out: Path) -> str:
    """Do three arms in small in an empty folder and return their figures, a line each.

    Raises:
        RuntimeError: A loss did not fall, or a figure is missing or no number.
    """
    _draw_pictures(out)
    proof = Proof(out, (), DrawnMark, _SCALE)
    lines = []
    for arm in (each for each in CORE if each.name in _ARMS):
        if not proof.do(arm, 0):
            raise RuntimeError(f"{arm.name} was stopped")
        folder = proof.folder_of(arm, 0)
        with (folder / LOSS_FILE).open(newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        if not losses[-1] < losses[0]:
            raise RuntimeError(f"the loss of {arm.name} did not fall: {losses}")
        figures = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
        told = {"share": figures["share"], "kid": figures["kid"]["value"], "trained": figures["trained_weight"]}
        if not all(math.isfinite(value) for value in told.values()):
            raise RuntimeError(f"figures of {arm.name} are no numbers: {told}")
        words = ", ".join(f"{name} {value:.3f}" for name, value in told.items())
        lines.append(f"{arm.name}: loss {losses[0]:.3f} to {losses[-1]:.3f}, {words}")
    return "\n".join(lines)


def _draw_pictures(out: Path) -> None:
    import cv2

    (out / "clean").mkdir(parents=True)
    rng = np.random.default_rng(0)
    made = []
    for number, subject in enumerate(SUBJECTS):
        for part, count in _PICTURES:
            for nth in range(count):
                share = np.linspace(0, 1, SIDE_PX)[:, None, None]
                ground = rng.uniform(60, 255, 3) * share + rng.uniform(60, 255, 3) * (1 - share)
                pixels = np.broadcast_to(ground, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8).copy()
                colour = tuple(int(each) for each in rng.integers(0, 256, 3))
                corners = cv2.ellipse2Poly((256, 220), (150, 120), 30 * nth, 0, 360, 360 // (3 + number))
                cv2.fillPoly(pixels, [corners], colour)
                name = f"{subject.name.replace(' ', '-')}-{nth}-{part}"
                Image.fromarray(pixels).save(out / "clean" / f"{name}.png")
                made.append(CleanPicture(name, number, part, "drawn", name, ""))
    write_list(made, out / LIST_FILE)
