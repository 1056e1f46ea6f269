"""Learning rate as a pure function of the samples seen, so that a resumed run cannot drift."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Warm up, hold, then decay to a floor (warmup-stable-decay).

    The hold has no natural end: a run can be stopped anywhere in it and be continued, or be finished by setting
    `decay_start_samples` to where it stands and `total_samples` to where it shall end.
    """

    peak: float = 1e-3
    warmup_samples: int = 800
    decay_start_samples: int = 1_000_000
    total_samples: int = 1_000_000
    floor_ratio: float = 0.02

    def __post_init__(self) -> None:
        """Refuse orders of phases that cannot be."""
        if not 0 <= self.warmup_samples <= self.decay_start_samples <= self.total_samples:
            raise ValueError(
                "phases must be ordered: 0 <= warmup <= decay start <= total, got "
                f"{self.warmup_samples}, {self.decay_start_samples}, {self.total_samples}"
            )
        if self.peak <= 0 or not 0 <= self.floor_ratio <= 1:
            raise ValueError(f"need peak > 0 and 0 <= floor_ratio <= 1, got {self.peak} and {self.floor_ratio}")

    def rate(self, samples: int) -> float:
        """Learning rate for the step that starts after `samples` samples."""
        if samples < self.warmup_samples:
            return self.peak * (samples + 1) / (self.warmup_samples + 1)
        if samples < self.decay_start_samples:
            return self.peak
        span = max(1, self.total_samples - self.decay_start_samples)
        done = min(1.0, (samples - self.decay_start_samples) / span)
        # 1 - sqrt falls fast at first and spends most of the decay at small rates.
        return self.peak * (self.floor_ratio + (1 - self.floor_ratio) * (1 - math.sqrt(done)))
