"""The command line: `automask run FOLDER` and its companions."""

from __future__ import annotations

from automask.cli.app import main

__all__ = ["main"]
