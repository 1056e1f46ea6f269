"""The proof in small, with torch: a real training, real masks, and figures that come out of it."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from automask_training.proof.__main__ import main
from automask_training.proof.arms import CORE
from automask_training.proof.arrays import for_arms, leak_and_waste
from automask_training.proof.detector import trained_finder
from automask_training.proof.model import Denoiser, ModelConfig, Sampling, drawn_samples, folded, unfolded
from automask_training.proof.page import write
from automask_training.proof.runs import Proof
from automask_training.proof.task import ArmSet, ProofTask, has_mask, loop_config

pytestmark = pytest.mark.slow


def small_set(*, weight: float = 1.0) -> ArmSet:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    cells = np.full((6, 32, 32), weight, dtype=np.float32)
    return ArmSet(pixels=pixels, weight=cells, subject=np.arange(6), marked=np.arange(6) < 5)


def test_the_smoke_run_trains_measures_and_tells(capsys: pytest.CaptureFixture[str]):
    assert main(["--smoke"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == ["plain", "automask", "truth"]
    trained = {line.partition(":")[0]: float(line.rpartition(" ")[2]) for line in told}
    assert trained["plain"] == 1.0
    assert 0.5 < trained["truth"] < 1.0
    assert 0.5 < trained["automask"] < 1.0


def test_folding_gives_cells_of_two_pixels_and_comes_back():
    pixels = torch.randn(2, 3, 64, 64)
    cells = folded(pixels)
    assert cells.shape == (2, 12, 32, 32)
    assert torch.allclose(unfolded(cells), pixels, atol=1e-6)
    assert torch.allclose(cells.square().sum(), pixels.square().sum())
    changed = pixels.clone()
    changed[:, :, 10:12, 18:20] += 1.0
    rows, columns = (folded(changed) - cells).abs().amax(dim=(0, 1)).nonzero().unbind(1)
    assert (rows.tolist(), columns.tolist()) == ([5], [9])


def test_cells_that_a_mask_takes_away_teach_nothing():
    torch.manual_seed(0)
    task = ProofTask(CORE[0], 0, small_set(weight=0.0), ModelConfig(widths=(8, 16, 16)))
    network = task.build()
    loss, _ = task.loss(network, task.collate([task.sample(number) for number in range(4)]), samples=0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(float(each.grad.abs().max()) == 0.0 for each in network.parameters() if each.grad is not None)


def test_every_arm_of_a_seed_sees_the_same_noise_times_and_subjects():
    config = ModelConfig(widths=(8, 16, 16))
    one, other = (ProofTask(arm, 0, small_set(), config).sample(11) for arm in CORE[:2])
    assert one.time == other.time
    assert one.subject == other.subject
    assert np.array_equal(one.noise, other.noise)
    assert not np.array_equal(one.noise, ProofTask(CORE[0], 1, small_set(), config).sample(11).noise)


def test_arms_go_on_from_the_base():
    config = ModelConfig(widths=(8, 16, 16))
    base = {name: torch.randn_like(value) for name, value in Denoiser(config).state_dict().items()}
    for arm in CORE[:2]:
        built = ProofTask(arm, 1, small_set(), config, start=base).build().state_dict()
        assert all(torch.equal(built[name], base[name]) for name in base)


def test_the_base_sees_no_picture_of_the_arms_and_both_see_all_subjects():
    subject = np.repeat(np.arange(6), 340)
    arms = for_arms(subject)
    assert arms.sum() == 510
    assert set(subject[arms]) == set(subject[~arms]) == set(range(6))


def test_a_network_that_was_not_trained_tells_what_noise_alone_tells():
    network = Denoiser(ModelConfig(widths=(8, 16, 16)))
    x = torch.randn(1, 12, 32, 32)
    told = network(x, torch.ones(1), torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    assert torch.allclose(told, x)


def test_sampling_from_a_picture_without_noise_gives_the_picture():
    network = Denoiser(ModelConfig(widths=(8, 16, 16))).eval()
    start = torch.rand(2, 3, 64, 64) * 2 - 1
    subject = torch.zeros(2, dtype=torch.long)
    again = drawn_samples(network, subject, torch.randn(2, 12, 32, 32), Sampling(start_time=0.0), start=start)
    assert torch.allclose(again, start, atol=1e-5)


def test_the_finder_finds_what_pairs_differ_by_on_pictures_that_it_has_not_seen():
    rng = np.random.default_rng(0)

    def pictures(count: int) -> np.ndarray:
        return rng.integers(0, 200, (count, 8, 8, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)

    def with_mark(pixels: np.ndarray) -> np.ndarray:
        marked = pixels.copy()
        marked[:, 54:58, 20:60:2] = 255
        return marked

    clean, unseen = pictures(96), pictures(60)
    finder = trained_finder(clean, with_mark(clean), epochs=8)
    assert finder.found(with_mark(unseen)).mean() > 0.95
    assert finder.found(unseen).mean() < 0.05


def test_a_larger_share_of_masks_holds_every_smaller_one():
    names = [f"picture-{number}" for number in range(500)]
    chosen = [{name for name in names if has_mask(name, recall)} for recall in (0.0, 0.5, 0.8, 0.95, 1.0)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(chosen))
    assert len(chosen[0]) == 0
    assert len(chosen[-1]) == len(names)


def test_masks_are_compared_on_the_cells_of_the_truth():
    truth = np.ones((2, 32, 32), dtype=np.float32)
    truth[0, 28:, 16:] = 0.0
    assert leak_and_waste(truth, truth) == {"leak": 0.0, "waste": 0.0, "missed": 0.0}
    nothing = np.ones_like(truth)
    assert leak_and_waste(nothing, truth) == {"leak": 1.0, "waste": 0.0, "missed": 1.0}
    everything = np.zeros_like(truth)
    assert leak_and_waste(everything, truth) == {"leak": 0.0, "waste": 1.0, "missed": 0.0}


def test_the_page_tells_only_of_runs_that_were_measured(tmp_path: Path):
    proof = Proof(tmp_path / "out", (), lambda: pytest.fail("nothing is laid"))
    folder = proof.folder_of(CORE[0], 0)
    folder.mkdir(parents=True)
    estimate = {"value": 0.9, "low": 0.88, "high": 0.92}
    asked = {"from a marked picture, noise 0.5": 0.97, "from a marked picture, noise 0.7": 0.95}
    figures = {"share_less_mistaken": estimate, "kid": estimate, "asked": asked}
    (folder / "figures.json").write_text(json.dumps(figures))
    (folder / "grid.jpg").write_bytes(b"grid")
    page = tmp_path / "proof.md"
    page.write_text("# before\n<!-- figures: written by --page -->\nold\n<!-- end of figures -->\nafter\n")
    write(proof, tmp_path / "proof")
    text = page.read_text()
    assert "| `plain`: no masks | 0 | 90.0 (88.0 to 92.0) | 900.0 (880.0 to 920.0) | 97, 95 |  |" in text
    assert "| `plain`: no masks | 1 | not run yet |" in text
    assert "old" not in text
    assert text.startswith("# before\n")
    assert text.endswith("after\n")
    assert (tmp_path / "proof" / "figures" / "watermark-plain-0.json").exists()
    assert (tmp_path / "proof" / "grids" / "watermark-plain.jpg").exists()


def test_the_schedule_ends_where_it_says():
    config = loop_config(1, total_samples=40_000)
    assert config.schedule.total_samples == 40_000
    assert config.seed == 1
