"""Pictures with one synthesized mark each, to see which marks are found: `... synth.labelled MATERIALS OUT`.

Writes pictures of the held-out materials, their masks and a manifest, with one source per label, for `automask bench`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from automask.errors import AutomaskError
from automask_training.starting import start
from automask_training.synth.synthesizer import MARK_LABELS, Synthesizer

_SEED = 3_000


def write(materials: Path, out: Path, *, each: int, size_px: int) -> int:
    """Write `each` pictures per label and `manifest.json`; returns how many pictures.

    Raises:
        InputError: There are no materials.
    """
    synthesizer = Synthesizer(materials, seed=_SEED, size_px=size_px, split="val")
    entries = []
    for label in MARK_LABELS:
        (out / label).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            made = synthesizer.with_mark(number, label)
            image, mask = f"{label}/{number:03}.png", f"{label}/{number:03}.mask.png"
            PillowImage.fromarray(made.pixels).save(out / image)
            PillowImage.fromarray(made.artefact().astype(np.uint8) * np.uint8(255)).save(out / mask)
            entries.append({"kind": "watermark", "source": label, "image": image, "mask": mask, "truth": "pixels"})
    (out / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return len(entries)


def main(arguments: list[str] | None = None) -> int:
    """Write the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="automask_training.synth.labelled", description=__doc__)
    parser.add_argument("materials", type=Path, help="folder made by synth.materials")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--each", type=int, default=10, help="pictures per label")
    parser.add_argument("--size-px", type=int, default=896, help="side of a picture")
    given = parser.parse_args(arguments)
    try:
        count = write(given.materials, given.out, each=given.each, size_px=given.size_px)
    except AutomaskError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{count} pictures; now: automask bench {given.out / 'manifest.json'}\n")
    return 0


if __name__ == "__main__":
    start(main)
