"""Marks and frames that repeat across a dataset: estimated in one pass over it, found in a second one."""

from automask_models.overlay.estimator import OverlayEstimator
from automask_models.overlay.finding import find, find_all
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.template import Template

__all__ = ["OverlayEstimator", "OverlayOptions", "Template", "find", "find_all"]
