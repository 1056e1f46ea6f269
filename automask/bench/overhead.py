"""What a run costs beyond its model calls."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path

from automask.bench.manifest import Manifest
from automask.bench.run import load_image
from automask.config import FrozenModel, PipelineConfig
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset


class Overhead(FrozenModel):
    """Seconds of a whole run against its model calls alone, on the same images and threads.

    Attributes:
        images: How many images.
        run_s: `automask run` on files: walk, decode, models, render, encode, store.
        replay_s: The same stages called one after another on inputs decoded beforehand.
    """

    images: int
    run_s: float
    replay_s: float

    @property
    def ratio(self) -> float:
        """Whole run ÷ model calls."""
        return self.run_s / self.replay_s


def measure_overhead(manifest: Manifest, config: PipelineConfig, *, images: int = 60) -> Overhead:
    """Time both on an even sample of the manifest; models are loaded and warmed before either clock starts."""
    step = max(1, len(manifest.entries) // images)
    entries = manifest.entries[::step][:images]
    pipeline = MaskPipeline.from_config(config)
    pipeline.load()
    decoded = [load_image(manifest.root, entry, config) for entry in entries]
    pipeline.run(decoded[:1])
    with tempfile.TemporaryDirectory(prefix="automask-bench-") as scratch:
        folder = Path(scratch) / "images"
        for index, entry in enumerate(entries):
            target = folder / f"{index:05d}{Path(entry.image).suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(manifest.root / entry.image, target)
        clock = time.perf_counter()
        for image in decoded:
            pipeline.run([image])
        replay_s = time.perf_counter() - clock
        clock = time.perf_counter()
        run_dataset(folder, Path(scratch) / "masks", config, pipeline=pipeline, stop=threading.Event())
        run_s = time.perf_counter() - clock
    return Overhead(images=len(entries), run_s=run_s, replay_s=replay_s)
