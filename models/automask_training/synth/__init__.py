"""Synthetic training images with exact masks of text, marks and frames.

`Synthesizer` draws them from a folder of materials, which
``python -m automask_training.synth.materials`` collects.
"""

from automask_training.synth.synthesizer import Synthesizer, SynthRecipe
from automask_training.synth.types import KIND_OF_LABEL, SyntheticImage, SyntheticInstance

__all__ = ["KIND_OF_LABEL", "SynthRecipe", "Synthesizer", "SyntheticImage", "SyntheticInstance"]
