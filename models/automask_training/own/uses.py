"""What each training task is for: which truth it needs, and how `automask run` is told to use what it makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TaskUse:
    """How one task fits into the pipeline.

    Attributes:
        weight: Name of the shipped weight that it continues.
        entry: Ending of the exported file that options name.
        stage: The section of `options` with its `weights`.
        kinds: Kinds of things that it learns; others are context.
        needs_outlines: It learns pixels, so boxes around things are no truth for it.
        packages: Packages that it needs, by the name that is imported.
        pipeline: Configuration keys under which it is measured alone.
        also_used_by: Other sections of `options` that can name the same weights, each with its key.
    """

    weight: str
    entry: str
    stage: str
    kinds: tuple[str, ...]
    needs_outlines: bool
    packages: tuple[str, ...]
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    also_used_by: tuple[tuple[str, str], ...] = ()

    def configuration(self, weights: Path) -> dict[str, Any]:
        """Keys of a pipeline configuration that measures the file `weights`."""
        return {**self.pipeline, "options": {self.stage: {"weights": str(weights)}}}

    def config_file(self, weights: Path) -> str:
        """TOML for `automask run --config` that uses the file `weights`."""
        refiner = self.pipeline.get("refiner")
        lines = [f"refiner = {json.dumps(refiner)}"] if refiner is not None else []
        for stage, key in ((self.stage, "weights"), *self.also_used_by):
            lines += ["", f"[options.{stage}]", f"{key} = {json.dumps(str(weights))}"]
        return "\n".join(lines).lstrip() + "\n"


USES: dict[str, TaskUse] = {
    "watermark": TaskUse(
        weight="automask-watermark",
        entry=".onnx",
        stage="yolo",
        kinds=("watermark",),
        needs_outlines=False,
        packages=("torch", "onnx"),
        pipeline={"detectors": ["yolo"]},
    ),
    "watermark-ultralytics": TaskUse(
        weight="automask-watermark-ultralytics",
        entry=".onnx",
        stage="yolo",
        kinds=("watermark",),
        needs_outlines=False,
        packages=("torch", "ultralytics", "onnx", "safetensors"),
        pipeline={"detectors": ["yolo"]},
    ),
    "sam": TaskUse(
        weight="automask-sam-tiny",
        entry=".encoder.onnx",
        stage="sam",
        kinds=("text", "watermark"),
        needs_outlines=True,
        packages=("torch", "transformers", "timm", "onnx"),
        pipeline={"refiner": "sam"},
    ),
    "ink": TaskUse(
        weight="automask-ink",
        entry=".onnx",
        stage="ink",
        kinds=("text", "watermark"),
        needs_outlines=True,
        packages=("torch", "onnx"),
        pipeline={"detectors": ["ink"], "refiner": "ink"},
        also_used_by=(("rapidocr", "ink"), ("sam", "ink")),
    ),
}
"""By the name of the task in its recipe."""
