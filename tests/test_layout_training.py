"""The layout network's training task, export and figures, on a few made-up samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_cases import Bars, small_layout_task

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("halved_until", [0, 1000])
def test_smoke_training_lowers_the_loss(tmp_path: Path, halved_until: int):
    from automask_training.loop import LoopConfig, train
    from automask_training.schedule import Schedule

    task = small_layout_task(halved_until=halved_until)
    schedule = Schedule(peak=5e-3, warmup_samples=8, decay_start_samples=400, total_samples=400)
    config = LoopConfig(batch_samples=8, schedule=schedule, threads=1, workers=0, log_steps=5)
    result = train(task, config, tmp_path)
    assert result.finished
    rows = (tmp_path / "loss.csv").read_text().splitlines()
    losses = [float(row.split(",")[4]) for row in rows[1:]]
    assert losses[-1] < 0.9 * losses[0]


def test_passes_after_the_first_see_the_same_samples_in_another_order():
    task = small_layout_task(rendered=8)
    seen = [tuple(sorted(int(task.sample(turn * 8 + k)[1][0].sum()) for k in range(8))) for turn in range(3)]
    assert seen[0] == seen[1] == seen[2]
    assert np.array_equal(task.sample(11)[0], task.sample(11)[0])


def test_a_changed_sample_keeps_its_truth():
    from automask_training.layout import changed

    pixels = np.full((64, 64, 3), 90, np.uint8)
    shares = np.zeros((4, 16, 16), np.uint8)
    pixels[:16, :32] = (10, 20, 30)
    shares[0, :4, :8] = 100
    for seed in range(40):
        other, moved = changed(np.random.default_rng(seed), pixels, shares)
        corner = np.repeat(np.repeat(moved[0] == 100, 4, axis=0), 4, axis=1)
        assert len(np.unique(other[corner].reshape(-1, 3), axis=0)) == 1
        assert not np.array_equal(other[corner][0], other[~corner][0])


def test_what_is_unknown_has_no_say_in_the_loss():
    import torch

    task = small_layout_task()
    module = task.build().eval()
    samples = [task.source.get(index) for index in range(2)]
    for _, shares in samples:
        shares[0, :8] = 255
    batch = task.collate(samples)
    first, _ = task.loss(module, batch, samples=0)
    batch.shares[:, 1:, :8] = 255
    for _, shares in samples:
        assert (shares[0, :8] == 255).all()
    again, _ = task.loss(module, batch, samples=0)
    assert torch.isfinite(first)
    assert float(again.detach()) < float(first.detach())


def test_the_export_agrees_with_torch_and_says_what_it_needs(tmp_path: Path):
    import onnxruntime

    from automask_training.layout_export import NAME, export_layout

    differences = export_layout(small_layout_task().build(), tmp_path)
    assert differences[f"{NAME}.onnx"] < 0.02
    session = onnxruntime.InferenceSession(str(tmp_path / f"{NAME}.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 256, 256]
    assert session.get_outputs()[0].shape[1:] == [4, 64, 64]


def test_figures_count_what_is_drawn_where_nothing_is():
    import torch
    from torch import nn

    from automask_training.evaluate_layout import evaluate_layout
    from automask_training.synth.layout.synthesizer import LayoutSample

    class Everything(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(pixels), 4, 16, 16)

    class Source:
        def sample(self, index: int) -> LayoutSample:
            return LayoutSample("bars", *Bars().get(index))

    figures = evaluate_layout(Everything(), Source(), images=4)
    assert (figures.framed, figures.unframed) == (2, 2)
    assert figures.iou == pytest.approx(0.5)
    assert figures.false_share == figures.falsely_drawn == 1.0


def test_the_shipped_recipe_builds_what_it_says(tmp_path: Path):
    import tomllib

    from automask_training.recipe import load_recipe
    from automask_training.synth.layout.kinds import LayoutShares

    recipe = Path(__file__).parent.parent / "models" / "training" / "layout.toml"
    table = tomllib.loads(recipe.read_text(encoding="utf-8"))
    task, loop = load_recipe(table, materials=tmp_path)
    assert task.name == "layout"
    assert 1 < sum(parameter.numel() for parameter in task.build().parameters()) / 1e6 < 2
    assert loop.schedule.total_samples > task.recipe.halved_until
    assert len(table["render"]["held_out"]) > 10
    assert LayoutShares()
