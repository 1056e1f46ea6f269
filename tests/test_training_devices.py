"""Losses on a graphics card, which tests do not have: torch checks devices without computing. Needs torch: all slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from training_cases import Squares, small_layout_task, small_sam_task, small_scene_task

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Inner:
    values: Any
    name: str


def test_all_tensors_of_a_batch_are_moved() -> None:
    import torch

    from automask_training.devices import moved

    array = np.zeros(2)
    batch = Inner((torch.zeros(2), [torch.ones(1)], {"x": torch.ones(3)}, array, None), "a")
    there = moved(batch, "meta")
    first, (second,), third, kept, nothing = there.values
    assert [each.device.type for each in (first, second, third["x"])] == ["meta"] * 3
    assert kept is array
    assert nothing is None
    assert there.name == "a"


def ink_task() -> Any:
    from automask_training.crops import CropConfig
    from automask_training.ink import InkRecipe, InkTask
    from automask_training.ink_model import InkConfig
    from automask_training.sam_loss import SamLossConfig

    crops = CropConfig(size_px=128, cells=32, short_side_px=(12.0, 60.0), zoom=(0.7, 2.0))
    return InkTask(Squares(), InkRecipe(model=InkConfig(head_channels=32), loss=SamLossConfig(), crops=crops))


def watermark_task() -> Any:
    from automask_training.watermark import DrawnMarks, WatermarkRecipe, WatermarkTask
    from automask_training.watermark_model import HeadConfig

    recipe = WatermarkRecipe(size_px=96, rendered=8)
    return WatermarkTask(DrawnMarks(Squares(), recipe), recipe, HeadConfig(width=32, branch_width=16))


def sam_task() -> Any:
    return small_sam_task(Squares())


@pytest.mark.parametrize("make", [ink_task, small_layout_task, watermark_task, sam_task, small_scene_task])
def test_a_loss_is_computed_where_the_module_is(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of the loss, with shapes and devices and without values; gradients would need a card."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from automask_training.devices import moved

    task = make()
    module = task.build().train()
    batch = task.collate([task.sample(index) for index in range(2)])
    # What depends on values, which there are none: any number, and any four places.
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 0.0)
    monkeypatch.setattr(torch.Tensor, "nonzero", lambda self: self.new_zeros((4, self.dim()), dtype=torch.long))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        _move(module, mode)
        loss, _ = task.loss(module, moved(batch, "cuda"), samples=0)
    assert loss.device.type == "cuda"


def _move(module: Any, mode: Any) -> None:
    """What `module.to("cuda")` does where there is a card."""
    from torch import nn

    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                there = mode.from_tensor(weight.detach()).to("cuda")
                part._parameters[name] = nn.Parameter(there, requires_grad=weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = mode.from_tensor(buffer).to("cuda")
