"""Marks and frames that repeat across a dataset: estimated from a sample of it, found in every image."""

from automask_models.overlay.estimator import estimate
from automask_models.overlay.finding import find, find_all
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.template import Template

__all__ = ["OverlayOptions", "Template", "estimate", "find", "find_all"]
