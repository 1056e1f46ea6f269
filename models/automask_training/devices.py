"""Batches on the device of the module that learns from them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any


def moved(value: Any, device: str) -> Any:  # noqa: ANN401 - a batch is whatever its task makes
    """The same with its tensors on a device: those in dataclasses, tuples, lists and dictionaries, too."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(device)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: moved(getattr(value, each.name), device) for each in fields(value)})
    if isinstance(value, (tuple, list)):
        return type(value)(moved(each, device) for each in value)
    if isinstance(value, dict):
        return {key: moved(each, device) for key, each in value.items()}
    return value
