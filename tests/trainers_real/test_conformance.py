"""Exports through the trainers' own loaders, mask code and losses: `pytest tests/trainers_real --trainers DIR`."""

import datetime

import numpy as np
import pytest
from export_cases import export
from page import PAGE, between, clone_commands
from trainer_runs import RUNS, names_of, run_loader, version_of

from automask.trainers.conventions import TRAINERS


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.title)
def test_what_must_not_be_learned_weighs_nothing(run, needs_checkouts, images, store, report, tmp_path):
    if not (needs_checkouts / run.checkout).is_dir():
        pytest.skip(f"there is no {run.checkout} in {needs_checkouts}")
    export(store, run.exporter, output=tmp_path / "export", **run.options)
    facts, found = run_loader(
        run, trainers=needs_checkouts, export=tmp_path / "export", images=images, out=tmp_path / "outcome.npz"
    )
    assert facts["errors"] == {}
    assert facts["notes"].get("unknown keys", []) == []
    assert facts["notes"].get("draws differ", True)
    fifteen, oriented = names_of(run)
    assert set(found) == {*fifteen, *oriented}
    means = {name: found[name].mean for name in fifteen}
    worst = max(means, key=means.__getitem__)
    mean, lost = float(np.mean(list(means.values()))), float(np.mean([found[name].lost for name in fifteen]))
    version = version_of(needs_checkouts / run.checkout)
    figures = f"{mean:.4f} | {run.most_left} | {means[worst]:.4f}, {worst} | {lost:.3f}"
    report[run.title] = f"| {run.title} ({version}) | {figures} | {datetime.date.today()} |"
    assert mean <= run.most_left
    for name in oriented:  # each of the eight, for a mean may hide one
        assert found[name].mean <= 2 * run.most_left, name


def test_a_release_of_musubi_refuses_the_key_of_the_request(needs_checkouts, images, store, tmp_path):
    from trainer_runs import Run

    run = Run("musubi", "musubi", "run_musubi.py", "musubi-tuner")
    export(store, "musubi", output=tmp_path / "export")
    facts, _ = run_loader(
        run, trainers=needs_checkouts, export=tmp_path / "export", images=images, out=tmp_path / "outcome.npz"
    )
    assert "extra keys not allowed" in facts["notes"]["config"]
    assert facts["notes"]["masks taken for images"] == 0


def test_every_trainer_with_masks_is_run():
    assert {run.exporter for run in RUNS} == set(TRAINERS) - {"musubi"}  # no release of which has masks


def test_the_page_has_the_commands_and_a_row_for_every_run():
    text = PAGE.read_text(encoding="utf-8")
    start, stop = between(text, "clone")
    assert clone_commands() in text[start:stop]
    start, stop = between(text, "results")
    assert [run.title for run in RUNS if f"| {run.title} (" not in text[start:stop]] == []
