"""Checks a dataset with masks against what one trainer does with it, before hours of training go wrong in silence."""

from __future__ import annotations

from automask.check.checking import CheckReport, check_folder
from automask.check.findings import Code, Finding

__all__ = ["CheckReport", "Code", "Finding", "check_folder"]
