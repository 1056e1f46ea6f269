"""Detectors, refiners and their weights: everything of automask that needs a model.

Importing this package costs nothing: each plug-in imports its heavy packages in `load()`.
"""

from __future__ import annotations

from pathlib import Path

WEIGHT_CATALOGUE = Path(__file__).with_name("weights.toml")
"""What `automask models list` lists; the weights shipped with the package lie in `weights/` beside it."""
