"""The training loop on tiny tasks: exact resume, export, shipped recipes. Needs torch: all slow."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import Squares, small_sam_task

from automask_training.crops import CropConfig
from automask_training.schedule import Schedule
from automask_training.synth import SyntheticImage
from automask_training.ultralytics_task import UltralyticsRecipe
from automask_training.watermark_truth import CLASSES

RECIPES = Path(__file__).parents[1] / "models" / "training"


@dataclass(frozen=True)
class TinyTask:
    """A net with every sort of state that a real one has: norm buffers, dropout's random numbers, embeddings."""

    name: str = "tiny"

    def build(self) -> Any:
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 1, 1)
        )

    def sample(self, index: int) -> SyntheticImage:
        return Squares().sample(index)

    def collate(self, samples: list[SyntheticImage]) -> tuple[Any, Any]:
        import torch

        pixels = np.stack([s.pixels[::4, ::4].transpose(2, 0, 1) for s in samples]).astype(np.float32) / 255
        truth = np.stack([s.artefact()[::4, ::4] for s in samples])[:, None].astype(np.float32)
        return torch.from_numpy(pixels), torch.from_numpy(truth)

    def loss(self, module: Any, batch: tuple[Any, Any], *, samples: int) -> tuple[Any, dict[str, float]]:
        from torch.nn.functional import binary_cross_entropy_with_logits

        loss = binary_cross_entropy_with_logits(module(batch[0]), batch[1])
        return loss, {"samples": float(samples)}


def loop_config(total: int, **changes: Any) -> Any:
    from automask_training.loop import LoopConfig

    schedule = Schedule(peak=1e-2, warmup_samples=4, decay_start_samples=total, total_samples=total)
    return LoopConfig(
        **{"batch_samples": 4, "schedule": schedule, "threads": 1, "workers": 0, "log_steps": 2, **changes}
    )


def same_weights(first: Any, second: Any) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(bool((a[k] == b[k]).all()) for k in a)


@pytest.mark.slow
class TestLoop:
    def test_stopped_and_resumed_equals_uninterrupted_to_the_bit(self, tmp_path: Path) -> None:
        import torch

        from automask_training.checkpoint import Progress
        from automask_training.loop import train

        def stop_half_way(progress: Progress) -> None:
            if progress.steps == 4:
                os.kill(os.getpid(), signal.SIGTERM)

        straight = train(TinyTask(), loop_config(32), tmp_path / "straight")
        stopped = train(TinyTask(), loop_config(32), tmp_path / "halves", after_log=stop_half_way)
        torch.manual_seed(99)
        resumed = train(TinyTask(), loop_config(32), tmp_path / "halves")
        assert straight.finished
        assert not stopped.finished
        assert resumed.finished
        assert (stopped.progress.steps, resumed.progress.steps) == (4, 8)
        assert not same_weights(straight.module, stopped.module)
        assert same_weights(straight.module, resumed.module)
        first, second = ((tmp_path / n / "loss.csv").read_text().splitlines() for n in ("straight", "halves"))
        columns = [r for r in range(len(first[0].split(","))) if first[0].split(",")[r] != "hours"]
        rows = [[[line.split(",")[c] for c in columns] for line in table] for table in (first, second)]
        assert rows[0] == rows[1]

    def test_workers_do_not_change_the_result(self, tmp_path: Path) -> None:
        from automask_training.loop import train

        alone = train(TinyTask(), loop_config(16), tmp_path / "alone")
        helped = train(TinyTask(), loop_config(16, workers=1), tmp_path / "helped")
        assert same_weights(alone.module, helped.module)

    def test_bfloat16_learns_nearly_the_same_in_float32_weights(self, tmp_path: Path) -> None:
        import torch

        from automask_training.loop import train

        exact = train(TinyTask(), loop_config(32), tmp_path / "exact").module.state_dict()
        coarse = train(TinyTask(), loop_config(32, precision="bfloat16"), tmp_path / "coarse").module.state_dict()
        assert all(value.dtype != torch.bfloat16 for value in coarse.values())
        assert any(bool((exact[key] != coarse[key]).any()) for key in exact)
        assert all(torch.allclose(exact[key].float(), coarse[key].float(), atol=0.05) for key in exact)

    def test_other_precisions_are_refused(self) -> None:
        with pytest.raises(ValueError, match="known are float32, bfloat16"):
            loop_config(8, precision="float16")

    def test_an_error_in_the_data_leaves_a_state_to_go_on_from(self, tmp_path: Path) -> None:
        from automask_training.checkpoint import load_state
        from automask_training.loop import train

        class Broken(TinyTask):
            def sample(self, index: int) -> SyntheticImage:
                if index >= 8:
                    raise OSError("disk gone")
                return super().sample(index)

        with pytest.raises(OSError, match="disk gone"):
            train(Broken(), loop_config(32), tmp_path)
        assert load_state(tmp_path / "state.pt", task="tiny").progress.samples == 8

    def test_states_of_other_tasks_are_refused(self, tmp_path: Path) -> None:
        from automask_training.checkpoint import StateError
        from automask_training.loop import train

        train(TinyTask(), loop_config(8), tmp_path)
        with pytest.raises(StateError, match="'tiny', not 'other'"):
            train(TinyTask(name="other"), loop_config(8), tmp_path)

    def test_states_are_averaged_by_weight_and_the_last_one_counts_on(self, tmp_path: Path) -> None:
        import torch

        from automask_training.__main__ import main
        from automask_training.checkpoint import StateError, load_state, mean_state
        from automask_training.loop import train

        task = TinyTask()
        for name, total in (("short", 8), ("long", 16)):
            train(task, loop_config(total), tmp_path / name)
        paths = [tmp_path / name / "state.pt" for name in ("short", "long")]
        assert main(["average", *map(str, paths), "--task", task.name, "--out", str(tmp_path / "mean")]) == 0
        short, long = (load_state(path, task=task.name) for path in paths)
        mean = load_state(tmp_path / "mean" / "state.pt", task=task.name)
        assert mean.progress == long.progress
        for key, value in mean.average.items():
            if value.dtype.is_floating_point:
                torch.testing.assert_close(value, (short.average[key] + long.average[key]) / 2)
        with pytest.raises(StateError, match="no states"):
            mean_state([])

    def test_a_compact_state_is_smaller_and_goes_on(self, tmp_path: Path) -> None:
        from automask_training.checkpoint import compact, load_state, save_state
        from automask_training.loop import train

        train(TinyTask(), loop_config(16), tmp_path / "full")
        state = load_state(tmp_path / "full" / "state.pt", task="tiny")
        save_state(compact(state), tmp_path / "small" / "state.pt")
        result = train(TinyTask(), loop_config(24), tmp_path / "small")
        assert result.progress.samples == 24
        with (tmp_path / "small" / "loss.csv").open() as file:
            assert float(list(csv.DictReader(file))[-1]["loss"]) < 0.7

    def test_muon_makes_directions_equal(self) -> None:
        import torch

        from automask_training.muon import orthogonalised

        skewed = torch.randn(24, 60, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -1.5, 24)[:, None]
        for matrix in (skewed, skewed.T):
            values = torch.linalg.svdvals(orthogonalised(matrix))
            assert float(values.min()) > 0.5
            assert float(values.max()) < 1.4


@pytest.mark.slow
class TestLoss:
    def test_one_false_mark_costs_more_than_a_plain_mean_says(self) -> None:
        import torch

        from automask_training.sam_loss import mask_parts

        target = torch.zeros(2, 80, 80)
        logits = torch.full((2, 80, 80), -6.0)
        logits[1, 10:18, 10:18] = 4.0
        plain, _ = mask_parts(logits, target)
        hard, dice = mask_parts(logits, target, hard=0.15)
        assert plain[1] - plain[0] < 0.1
        assert hard[1] - hard[0] > 0.3
        assert (dice == 0).all()

    def test_what_is_not_known_has_no_part_in_any_loss(self) -> None:
        """Neither in the value nor in a gradient, whatever the network says there and whatever stands in its truth."""
        import torch

        from automask_training.sam_loss import SamLossConfig, answer_loss, dense_loss, known_cells
        from automask_training.sam_model import Decoded

        config = SamLossConfig(hard=0.15)
        generator = torch.Generator().manual_seed(0)
        coverage = (torch.rand(2, 3, 40, 40, generator=generator) > 0.8).float()
        unknown = torch.zeros(2, 1, 40, 40, dtype=torch.uint8)
        unknown[:, :, 10:30, 5:25] = 1
        hidden = unknown.bool().expand_as(coverage)
        coverage = coverage.masked_fill(hidden, 0.0)
        known = known_cells(coverage, unknown, config)
        assert torch.equal(known, ~hidden)

        def values(logits: Any, truth: Any) -> list[Any]:
            scores = torch.zeros(2, 3, 1)
            answer, _ = answer_loss(Decoded(logits, scores, scores), truth, config, known=known)
            return [answer, dense_loss(logits, truth, config, known=known)[0]]

        logits = torch.randn(2, 3, 40, 40, generator=generator, requires_grad=True)
        others = torch.where(hidden, -logits.detach() + 3, logits.detach())
        for here, there in zip(values(logits, coverage), values(others, coverage + 0.4 * hidden), strict=True):
            assert float(here) == pytest.approx(float(there), rel=1e-5)
            (gradient,) = torch.autograd.grad(here, logits, retain_graph=True)
            assert not gradient[hidden].any()
            assert gradient[~hidden].any()

    def test_enough_that_is_wanted_makes_a_cell_known(self) -> None:
        import torch

        from automask_training.sam_loss import SamLossConfig, known_cells

        coverage, unknown = torch.tensor([0.0, 0.3, 0.6]), torch.tensor([1, 1, 1])
        assert known_cells(coverage, unknown, SamLossConfig(stroke_gain=2.0)).tolist() == [False, False, True]


@pytest.mark.slow
class TestSam:
    def test_smoke_training_lowers_the_loss(self, tmp_path: Path) -> None:
        from automask_training.loop import train

        schedule = Schedule(peak=2e-3, warmup_samples=20, decay_start_samples=320, total_samples=320)
        config = loop_config(320, schedule=schedule, log_steps=10, average_decay=0.9)
        train(small_sam_task(Squares()), config, tmp_path)
        with (tmp_path / "loss.csv").open() as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
        assert rows[-1]["iou"] > rows[0]["iou"] + 0.05

    def test_exports_agree_with_torch(self, tmp_path: Path) -> None:
        import onnxruntime
        import torch

        from automask_training.sam_export import NAME, export_sam

        torch.manual_seed(0)
        model = small_sam_task(Squares()).build().eval()
        assert max(export_sam(model, tmp_path).values()) < 0.05
        decoder = onnxruntime.InferenceSession(tmp_path / f"{NAME}.decoder.onnx")
        assert {i.name for i in decoder.get_inputs()} == {
            "image_embeddings", "high_res_s1", "high_res_s0", "points", "labels", "boxes", "masks", "has_mask",
        }  # fmt: skip
        assert [o.name for o in decoder.get_outputs()] == ["mask_logits", "iou", "object_score"]

    def test_an_exported_answer_begins_at_the_chance_that_the_recipe_gives(self) -> None:
        import dataclasses

        import torch

        from automask_training.sam_export import SamDecoder, decoder_inputs

        torch.manual_seed(0)
        model = small_sam_task(Squares()).build().eval()
        size = model.config.size_px
        with torch.no_grad():
            features = model.encode(torch.rand(1, 3, size, size) * 255)
            generator = torch.Generator().manual_seed(0)
            asked = decoder_inputs(model, features, prompts=2, points=1, generator=generator)  # a box, and none
            at_half = SamDecoder(model)(**asked)[0]
            model.config = dataclasses.replace(model.config, click_answers_from=0.2, box_answers_from=0.1)
            moved = SamDecoder(model)(**asked)[0] - at_half
        assert torch.allclose(moved[0, 0], torch.tensor(9.0).log(), atol=1e-4)
        assert torch.allclose(moved[0, 1], torch.tensor(4.0).log(), atol=1e-4)

    def test_prompts_on_several_crops_do_not_mix(self) -> None:
        import torch

        from automask_training.sam import answer

        torch.manual_seed(0)
        task = small_sam_task(Squares())
        model = task.build().eval()
        samples = [task.sample(i) for i in range(2)]
        with torch.no_grad():
            together = answer(model, task.collate(samples), box_prompts=5)
            alone = answer(model, task.collate(samples[1:]), box_prompts=5)
        assert torch.allclose(together.mask_logits[2:], alone.mask_logits, atol=1e-4)


@pytest.mark.slow
class TestInk:
    def test_the_backbone_is_the_network_in_the_file(self) -> None:
        import onnx
        import onnxruntime
        import torch

        from automask_models.text.ppocr import DETECTION_FILE, bundled_model
        from automask_training.ocr_backbone import OcrBackbone, load_pretrained

        path = bundled_model(DETECTION_FILE).path
        backbone = OcrBackbone().eval()
        load_pretrained(backbone, path)
        graph = onnx.load(str(path))
        joined = next(node.output[0] for node in reversed(graph.graph.node) if node.op_type == "Concat")
        graph.graph.output.append(onnx.helper.make_tensor_value_info(joined, onnx.TensorProto.FLOAT, None))
        pixels = np.random.default_rng(0).standard_normal((1, 3, 96, 160)).astype(np.float32)
        theirs = onnxruntime.InferenceSession(graph.SerializeToString()).run([joined], {"x": pixels})[0]
        with torch.no_grad():
            ours = backbone(torch.from_numpy(pixels)).joined.numpy()
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()

    def test_smoke_training_lowers_the_loss_and_the_export_agrees(self, tmp_path: Path) -> None:
        from automask_training.ink import InkRecipe, InkTask
        from automask_training.ink_export import export_ink
        from automask_training.ink_model import InkConfig
        from automask_training.loop import train
        from automask_training.sam_loss import SamLossConfig

        crops = CropConfig(size_px=128, cells=32, short_side_px=(12.0, 60.0), zoom=(0.7, 2.0))
        recipe = InkRecipe(model=InkConfig(head_channels=32), loss=SamLossConfig(), crops=crops)
        schedule = Schedule(peak=2e-3, warmup_samples=10, decay_start_samples=160, total_samples=160)
        config = loop_config(
            160, schedule=schedule, log_steps=5, average_decay=0.9, pretrained="backbone", pretrained_rate=0.25
        )
        result = train(InkTask(Squares(), recipe), config, tmp_path)
        with (tmp_path / "loss.csv").open() as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
        assert max(export_ink(result.module, tmp_path).values()) < 0.02


@pytest.mark.slow
class TestRecipes:
    @pytest.mark.parametrize("name", ["ink", "sam", "watermark"])
    def test_shipped_recipes_build_what_they_say(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        import tomllib

        monkeypatch.chdir(RECIPES.parents[1])  # recipes name other states from the top of the repository

        from automask_training.recipe import _NoImages, task_of
        from automask_training.tables import RecipeError

        table = tomllib.loads((RECIPES / f"{name}.toml").read_text())
        task = task_of(table, _NoImages(), split="train")
        assert task.name == name
        millions = sum(p.numel() for p in task.build().parameters()) / 1e6
        assert 2 < millions < 4
        with pytest.raises(RecipeError, match="no materials"):
            task.sample(0)

    def test_unknown_keys_are_named(self) -> None:
        from automask_training.tables import RecipeError, table_to

        with pytest.raises(RecipeError, match="Schedule has no peek"):
            table_to(Schedule, {"peek": 1.0})


@pytest.mark.slow
class TestUltralytics:
    def test_importing_ultralytics_changes_nothing_around_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        from automask_training.ultralytics_boundary import build_detector

        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        before = torch.get_num_threads()
        build_detector(len(CLASSES))
        assert torch.get_num_threads() == before
        assert "OMP_NUM_THREADS" not in os.environ

    def test_a_step_trains_and_the_export_agrees(self, tmp_path: Path) -> None:
        import onnxruntime

        from automask_training.loop import train
        from automask_training.ultralytics_export import NAME, export_ultralytics
        from automask_training.ultralytics_task import UltralyticsTask

        task = UltralyticsTask(Squares(), UltralyticsRecipe(size_px=160))
        result = train(task, loop_config(16, clip_norm=10.0), tmp_path / "run")
        export_ultralytics(result.module, tmp_path)
        session = onnxruntime.InferenceSession(tmp_path / f"{NAME}.onnx")
        found = session.run(None, {"images": np.zeros((2, 3, 160, 224), np.float32)})[0]
        assert found.shape == (2, 300, 6)
        assert (np.diff(found[..., 4], axis=1) <= 0).all()
