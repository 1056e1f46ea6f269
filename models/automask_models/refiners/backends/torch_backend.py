"""What the backends that run on torch share: tensors there and back, on one device with a number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automask.values.placement import Placement
from automask_models.device import import_torch, torch_threads
from automask_models.refiners.backends.protocol import FrameTraits, Proposals, SamBackend


class TorchBackend(SamBackend):
    """A torch module on a device, in evaluation mode."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - untyped library
        traits: FrameTraits,
        *,
        mask_side_px: int,
        placement: Placement,
        threads: int,
    ) -> None:
        super().__init__(traits, mask_side_px=mask_side_px)
        self._placement = placement
        self._model = model
        self._threads = threads

    @property
    def placement(self) -> Placement:
        """See `SamBackend`."""
        return self._placement

    def _on_device(self, values: NDArray[Any]) -> Any:  # noqa: ANN401 - torch is untyped here
        return import_torch("The sam refiner").from_numpy(np.ascontiguousarray(values)).to(self.placement.device)

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with import_torch("The sam refiner").inference_mode(), torch_threads(self._threads):
            yield

    @staticmethod
    def _proposals(logits: Any, ious: Any) -> Proposals:  # noqa: ANN401 - torch tensors
        return Proposals(logits=logits.float().cpu().numpy(), ious=ious.float().cpu().numpy())
