"""automask: loss masks that keep a diffusion model from learning text, frames and watermarks.

The library's face: `from automask import MaskPipeline, PipelineConfig, run_dataset, Store`. Each name is imported when
it is first asked for, so that `import automask` costs nothing; `docs/library.md` shows their use. Everything else may
change with any release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automask.config import PipelineConfig as PipelineConfig
    from automask.errors import AutomaskError as AutomaskError
    from automask.mask.rendering import Mask as Mask
    from automask.run.pipeline import MaskPipeline as MaskPipeline
    from automask.run.runner import run_dataset as run_dataset
    from automask.store import Store as Store
    from automask.values.geometry import Box as Box
    from automask.values.types import Image as Image
    from automask.values.types import Kind as Kind
    from automask.values.types import Region as Region
    from automask.version import __version__ as __version__

_HOMES = {
    "AutomaskError": "automask.errors",
    "Box": "automask.values.geometry",
    "Image": "automask.values.types",
    "Kind": "automask.values.types",
    "Mask": "automask.mask.rendering",
    "MaskPipeline": "automask.run.pipeline",
    "PipelineConfig": "automask.config",
    "Region": "automask.values.types",
    "Store": "automask.store",
    "run_dataset": "automask.run.runner",
    "__version__": "automask.version",
}
__all__ = [
    "AutomaskError",
    "Box",
    "Image",
    "Kind",
    "Mask",
    "MaskPipeline",
    "PipelineConfig",
    "Region",
    "Store",
    "run_dataset",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - classes, a function and a string
    if name not in _HOMES:
        raise AttributeError(f"module 'automask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
