"""Turning a measured value into a certainty."""

from __future__ import annotations


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, linear between; the two may be in falling order."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
