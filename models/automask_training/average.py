"""Exponential moving average of a module's weights: what is evaluated and shipped."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class MovingAverage:
    """Averages parameters and float buffers; integer buffers are copied.

    The decay warms up (`(1 + n) / (10 + n)`), so that the first steps do not weigh for ever.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        """Start from a copy of `module`."""
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)

    def update(self, module: nn.Module, *, steps: int) -> None:
        """Move towards `module` after its optimizer step number `steps` (1 for the first)."""
        import torch

        rate = 1 - min(self.decay, (1 + steps) / (10 + steps))
        with torch.no_grad():
            source = module.state_dict()
            for name, value in self.module.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(source[name], rate)
                else:
                    value.copy_(source[name])

    def state_dict(self) -> dict[str, Any]:
        """State of the averaged module."""
        return dict(self.module.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the averaged module exactly."""
        self.module.load_state_dict(state)
