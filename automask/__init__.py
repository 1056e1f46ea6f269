"""automask: loss masks that keep a diffusion model from learning text, frames and watermarks."""

from __future__ import annotations

__version__ = "0.1.0"
