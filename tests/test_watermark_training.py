"""Head, loss, training and export of the watermark detector, on small made-up pictures. Needs torch: all slow."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import Squares

from automask_training.watermark import DrawnMarks, WatermarkRecipe, WatermarkTask
from automask_training.watermark_samples import RenderedMarks, render
from automask_training.watermark_truth import CLASSES, Truth

pytestmark = pytest.mark.slow

RECIPE = WatermarkRecipe(size_px=96, rendered=8)


def small_task(source: Any = None, **changes: Any) -> WatermarkTask:
    from automask_training.watermark_model import HeadConfig

    head = HeadConfig(width=32, branch_width=16)
    return WatermarkTask(source or DrawnMarks(Squares(), RECIPE), RECIPE, head, **changes)


def truth(*boxes: tuple[float, ...], ignored: tuple[tuple[float, ...], ...] = ()) -> Truth:
    return Truth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(len(boxes), np.int64),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def answer_of(boxes: Any, centres: Any, strides: Any, *, requires_grad: bool = False) -> Any:
    """A batch of one with scores of .01 everywhere."""
    import torch

    from automask_training.watermark_model import Answer

    logits = torch.full((1, len(centres), len(CLASSES)), -4.6, requires_grad=requires_grad)
    return Answer(logits, boxes[None], centres, strides)


def grid(side_px: int, stride: int) -> Any:
    """Middles of the cells of one level."""
    import torch

    along = torch.arange(side_px // stride) * stride + stride / 2
    return torch.stack(torch.meshgrid(along, along, indexing="xy"), -1).reshape(-1, 2)


def test_a_short_training_lowers_the_loss_and_leaves_the_ink_network_alone(tmp_path: Path) -> None:
    import torch

    from automask_training.loop import LoopConfig, train
    from automask_training.schedule import Schedule

    schedule = Schedule(peak=4e-3, warmup_samples=16, decay_start_samples=400, total_samples=400)
    config = LoopConfig(batch_samples=8, schedule=schedule, threads=1, workers=0, log_steps=5, average_decay=0.8)
    task = small_task()
    torch.manual_seed(config.seed)  # as the loop does: without a state, the answer of the ink network is random
    before = {name: value.clone() for name, value in task.build().ink.state_dict().items()}
    result = train(task, config, tmp_path)
    with (tmp_path / "loss.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["iou"] > rows[0]["iou"]
    after: Any = result.module
    assert all(bool((before[name] == value).all()) for name, value in after.ink.state_dict().items())


def test_features_that_learn_change_but_for_the_lowest_stage_and_the_answer() -> None:
    import torch

    from automask_training.tables import RecipeError
    from automask_training.watermark_model import HeadConfig

    head = HeadConfig(width=32, branch_width=16, learns_features=True)
    task = WatermarkTask(DrawnMarks(Squares(), RECIPE), RECIPE, head)
    module: Any = task.build()
    batch = task.collate([task.sample(index) for index in range(2)])
    loss, _ = task.loss(module, batch, samples=0)
    loss.backward()
    backbone = module.ink.backbone
    assert all(each.grad is not None for each in backbone.stages[1].parameters())
    for part in (backbone.stem, backbone.stages[0], backbone.inner, backbone.outer, module.ink.head):
        assert all(each.grad is None for each in part.parameters())
    assert not module.train().ink.training
    with torch.inference_mode():
        stored = replace(batch, content=torch.zeros(2, 10, dtype=torch.float16))
    with pytest.raises(RecipeError, match="without --features"):
        task.loss(module, stored, samples=0)


def test_stored_features_are_what_pixels_give(tmp_path: Path) -> None:
    import torch

    from automask_training.watermark_features import InkFeatures, packed

    module: Any = small_task().build().eval()
    pixels, features = tmp_path / "pixels", tmp_path / "features"
    render(Squares(), RECIPE, pixels, count=4)
    render(Squares(), RECIPE, features, count=4, encode=InkFeatures(module.ink))
    task = small_task()
    seen = task.collate([RenderedMarks(pixels).get(index) for index in range(4)])
    stored = task.collate([RenderedMarks(features).get(index) for index in range(4)])
    found = module.features(seen.content)
    assert torch.allclose(packed(found).float(), stored.content.float(), atol=1e-2)
    for first, again in zip(found, module.unpacked(stored.content, RECIPE.size_px), strict=True):
        assert first.shape == again.shape
        assert torch.allclose(first, again, atol=0.02 * float(first.abs().max()))
    losses = [float(task.loss(module, batch, samples=0)[0].detach()) for batch in (seen, stored)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_cells_that_fit_answer_and_only_inside_of_the_mark() -> None:
    import torch

    from automask_training.watermark_loss import assigned

    centres = grid(64, 8)
    box = torch.tensor([[16.0, 16.0, 48.0, 48.0]])
    found = torch.cat([centres - 8, centres + 8], 1)
    found[27] = box[0]  # the cell at (28, 28) already knows it
    answer = answer_of(found, centres, torch.full((64,), 8.0))
    cells, marks, quality = assigned(answer.logits[0].sigmoid(), found, answer, box, torch.tensor([1]))
    assert set(marks.tolist()) == {0}
    assert ((centres[cells] > 16) & (centres[cells] < 48)).all()
    assert cells[quality.argmax()] == 27
    assert float(quality.max()) == pytest.approx(1.0)
    assert len(cells) <= 10


def test_marks_thinner_than_a_cell_and_large_ones_have_cells_that_answer() -> None:
    import torch

    from automask_training.watermark_loss import assigned

    levels = [(8, grid(256, 8)), (32, grid(256, 32)), (64, grid(256, 64))]
    centres = torch.cat([each for _, each in levels])
    strides = torch.cat([torch.full((len(each),), float(stride)) for stride, each in levels])
    found = torch.cat([centres - strides[:, None], centres + strides[:, None]], 1)
    boxes = torch.tensor([[40.0, 9.0, 140.0, 13.0], [0.0, 0.0, 256.0, 256.0]])
    answer = answer_of(found, centres, strides)
    scores = answer.logits[0].sigmoid()
    cells, marks, quality = assigned(scores, found, answer, boxes, torch.tensor([0, 1]))
    assert set(marks.tolist()) == {0, 1}
    assert set(strides[cells[marks == 1]].tolist()) == {64.0}, (
        "a mark as large as the picture is for the coarsest level"
    )
    assert bool((quality > 0).all())


def test_what_counts_neither_way_has_no_say() -> None:
    import torch

    from automask_training.watermark_loss import detector_loss

    centres = grid(64, 8)
    found = torch.cat([centres - 8, centres + 8], 1)
    answer = answer_of(found, centres, torch.full((64,), 8.0), requires_grad=True)
    loss, parts = detector_loss(answer, [truth(ignored=((0, 0, 32, 64),))], box_weight=2.0)
    loss.backward()
    pushed = answer.logits.grad[0].abs().sum(1) > 0
    assert pushed.tolist() == (centres[:, 0] > 32).tolist()
    assert parts["box"] == 0


def test_a_picture_without_marks_pushes_every_score_down() -> None:
    import torch

    from automask_training.watermark_loss import detector_loss

    centres = grid(32, 8)
    answer = answer_of(torch.cat([centres, centres + 4], 1), centres, torch.full((16,), 8.0), requires_grad=True)
    detector_loss(answer, [truth()], box_weight=2.0)[0].backward()
    assert bool((answer.logits.grad > 0).all())


def test_giou_of_known_boxes() -> None:
    import torch

    from automask_training.watermark_loss import paired_iou

    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    iou, giou = paired_iou(first, second)
    assert iou.tolist() == pytest.approx([1, 1 / 3, 0], abs=1e-5)
    assert giou.tolist() == pytest.approx([1, 1 / 3, -1 / 3], abs=1e-5)


def test_suppression_in_the_graph_is_greedy_suppression() -> None:
    import torch

    from automask_models.watermark.heads import Detections, suppressed
    from automask_training.watermark_model import unsuppressed

    for seed in range(5):
        rng = np.random.default_rng(seed)
        low = rng.uniform(0, 120, (200, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 60, (200, 2))], 1).astype(np.float32)
        scores = np.sort(rng.random(200).astype(np.float32))[::-1].copy()
        wanted = suppressed(Detections(boxes, scores, np.zeros(200, np.int64)), max_iou=0.6, across_classes=True)
        kept = unsuppressed(torch.from_numpy(boxes)[None])[0].nonzero().squeeze(1)
        assert kept.tolist() == sorted(wanted.tolist())


def test_the_export_agrees_with_torch_and_runs_in_the_detector(tmp_path: Path) -> None:
    from automask.config import RuntimeConfig
    from automask.protocols import WeightFile
    from automask.values.types import Image
    from automask_models.watermark.network import OnnxYolo
    from automask_models.watermark.yolo import YoloDetector, YoloOptions
    from automask_training.watermark_export import NAME, export_watermark

    module: Any = small_task().build()
    module.to_logits.bias.data[1] = 2.0  # an untrained head that is sure of logos everywhere
    assert export_watermark(module, tmp_path)[f"{NAME}.onnx"] < 0.05
    path = tmp_path / f"{NAME}.onnx"
    network = OnnxYolo.open(path, runtime=RuntimeConfig(threads=1))
    assert dict(network.names) == dict(enumerate(CLASSES))
    assert network.canvas_shape is None
    rows, prototypes = network.predict(np.zeros((64, 96, 3), np.uint8))
    assert prototypes is None
    assert rows.shape == (300, 6)
    assert (np.diff(rows[:, 4]) <= 0).all()
    weights = WeightFile(name=NAME, path=path, sha256="0" * 64)
    detector = YoloDetector(YoloOptions(confidence=0.5), weights=weights, runtime=RuntimeConfig(threads=1))
    pixels = np.random.default_rng(0).integers(0, 255, (100, 150, 3)).astype(np.uint8)
    (regions,) = detector.detect([Image(id="a", pixels=pixels)])
    assert regions
    assert {region.attributes["label"] for region in regions} == {"logo"}
    assert all(region.box.x1 <= 150 and region.box.y1 <= 100 for region in regions)


def test_figures_of_a_run_are_of_rendered_samples(tmp_path: Path) -> None:
    from automask_training.evaluate_watermark import evaluate_task

    render(Squares(), RECIPE, tmp_path, count=8)
    task = small_task(RenderedMarks(tmp_path), is_rendered=True)
    figures = evaluate_task(task.build(), task, images=8)
    assert figures.images == 8
    assert figures.marks == sum(len(RenderedMarks(tmp_path).get(index).truth.boxes) for index in range(8))
    assert figures.curve[-1].false_an_image == 0, "a head that learned nothing is sure of nothing"
