"""`automask bench`: which masks are fine, folders beside single images, and what cannot be combined."""

import json

import numpy as np
import pytest
from bench_cases import table_rows, top_environment, write_manifest
from cli_process import CHEAP, automask
from PIL import Image

from automask.bench.manifest import Manifest, ManifestEntry, read_manifest
from automask.bench.outcomes import Outcomes, outcomes_table
from automask.bench.run import BenchRun, ImageFigures

ALONE = ("--detectors", "top")
FOLDERS = ("--detectors", "top", "--dataset-detectors", "none", "--as-folders")


def figures(leak, waste, verdict="auto", *, error="", source="s"):
    return ImageFigures(
        pipeline="automask", kind="text", source=source, image="a.png", leak=leak, waste=waste, confidence=0.9,
        verdict=verdict, masked_share=0.1, megapixels=1.0, drawn={}, seconds={"total": 1.0}, error=error,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("leak", "waste", "error", "fine"),
    [
        (0.1, 0.05, "", True),  # both limits are inclusive
        (0.1001, 0.0, "", False),
        (0.0, 0.0501, "", False),
        (None, 0.02, "", True),  # nothing unwanted: no leak
        (None, 0.2, "", False),
        (0.0, None, "", True),  # no far cells: no waste
        (None, None, "image-corrupt", False),  # no mask at all
        (None, 0.0, "stage-failed", False),  # a white mask, because a stage failed
    ],
)
def test_fine(leak, waste, error, fine):
    assert figures(leak, waste, error=error).is_fine == fine


def test_outcomes_count_what_nobody_is_asked_about_and_work_for_nothing():
    seen = [
        figures(0, 0), figures(0, 0), figures(0, 0, "review"), figures(1, 0, "auto"), figures(1, 0, "review"),
        figures(None, None, "review", error="image-corrupt"),
    ]  # fmt: skip
    assert Outcomes.of(seen) == Outcomes(images=6, fine=3, bad_and_auto=1, fine_and_review=1)


def test_a_total_counts_every_image_once_and_unknown_truth_not_at_all(tmp_path):
    sources = ["few", "many", "many", "many", "unlabelled"]
    entries = [
        ManifestEntry(kind="text", source=name, image=f"{index}.png",
                      truth="unknown" if name == "unlabelled" else "nothing")
        for index, name in enumerate(sources)
    ]  # fmt: skip
    run = BenchRun(
        automask="1", started="", machine="", packages={}, load_seconds={}, peak_memory_mb=0,
        images=tuple(figures(None, 0.0 if name == "few" else 1.0, source=name) for name in sources),
    )  # fmt: skip
    table = outcomes_table(run, Manifest(root=tmp_path, entries=tuple(entries)))
    rows = {row["kind / source"]: row for row in table_rows(table, "fine")}
    assert list(rows) == ["text/few", "text/many", "all"]
    assert rows["all"]["n"] == "4"
    assert rows["all"]["fine"] == "0.250 (1)"  # of images, not a mean over sources
    assert rows["text/many"]["bad-and-auto"] == "1.000 (3)"


@pytest.mark.parametrize("how", [ALONE, FOLDERS], ids=["alone", "folders"])
def test_bench_prints_what_is_fine_per_source(tmp_path, how):
    manifest = write_manifest(tmp_path / "data")
    env = top_environment(tmp_path / "plugins")
    done = automask("bench", manifest, *how, "--policy", "frame=review", env=env)
    assert done.returncode == 0, done.stderr
    rows = {row["kind / source"]: row for row in table_rows(done.stdout, "fine")}
    assert rows["frame/bars"]["fine"] == "1.000 (2)"
    assert rows["frame/bars"]["fine-and-review"] == "1.000 (2)"  # the policy asks for all
    assert rows["clean/plain"]["fine"] == "0.000 (0)"
    assert rows["clean/plain"]["bad-and-auto"] == "0.000 (0)"
    assert rows["all"]["fine"] == "0.667 (2)"


def test_one_source_may_hold_images_of_any_truth(tmp_path):
    """`kind` groups a set; its truth holds all kinds, and some of its images have nothing unwanted."""
    manifest = write_manifest(tmp_path / "data")
    entries = json.loads(manifest.read_text())
    manifest.write_text(json.dumps([{**entry, "kind": "watermark", "source": "mixed"} for entry in entries]))
    assert {entry.truth for entry in read_manifest(manifest).entries} == {"pixels", "nothing"}
    done = automask("bench", manifest, *FOLDERS, env=top_environment(tmp_path / "plugins"))
    row = next(row for row in table_rows(done.stdout, "fine") if row["kind / source"] == "watermark/mixed")
    assert (row["n"], row["fine"]) == ("3", "0.667 (2)")


@pytest.mark.parametrize("mixed", [False, True])
def test_folders_run_every_pipeline_that_is_compared(tmp_path, mixed):
    manifest = write_manifest(tmp_path / "data")
    (tmp_path / "none.toml").write_text('detectors = []\ndataset_detectors = []\nrefiner = "polygon"\n')
    done = automask(
        "bench", manifest, *FOLDERS, "--compare", f"none={tmp_path / 'none.toml'}", "--calibration",
        *(["--mixed"] if mixed else []), "--save", tmp_path / "f.json", env=top_environment(tmp_path / "plugins"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = ["automask", "none", *(["automask, mixed", "none, mixed"] if mixed else [])]
    fine = {row["pipeline"]: row for row in table_rows(done.stdout, "fine") if row["kind / source"] == "all"}
    assert list(fine) == expected
    assert fine["automask"]["fine"] == "0.667 (2)"
    assert fine["none"]["fine"] == "0.333 (1)"
    assert [row["set"] for row in table_rows(done.stdout, "AUROC")] == expected
    assert {row["pipeline"] for row in table_rows(done.stdout, "drawn again")} == set(expected)
    saved = json.loads((tmp_path / "f.json").read_text())
    assert len(saved["bench"]["images"]) == 3 * len(expected)


def test_the_baseline_runs_in_folders_and_knows_nothing_that_repeats(tmp_path):
    done = automask("bench", write_manifest(tmp_path / "data"), *CHEAP, "--as-folders", "--baseline")
    assert done.returncode == 0, done.stderr
    folders = [row for row in table_rows(done.stdout, "drawn again") if row["pipeline"] == "rapidocr-baseline"]
    assert [row["applied"] for row in folders] == ["0", "0"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--mixed"], "--as-folders"),
        (["--dataset-detectors", "overlay"], "--as-folders"),
        (["--as-folders", "--overhead", "3"], "--overhead"),
        (["--compare", "automask=x.toml"], "--compare"),
        (["--compare", "rapidocr-baseline=x.toml", "--baseline"], "--compare"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path, flags, named):
    done = automask("bench", write_manifest(tmp_path), "--detectors", "edges", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


@pytest.mark.parametrize("folders", [[], ["--as-folders"]], ids=["alone", "folders"])
@pytest.mark.parametrize("fault", ["image", "truth", "size"])
def test_a_manifest_that_names_what_is_not_there(tmp_path, fault, folders):
    manifest = write_manifest(tmp_path)
    entries = json.loads(manifest.read_text())
    if fault == "size":
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "small.png")
        entries[0]["mask"] = "small.png"
    else:
        entries[0]["image" if fault == "image" else "mask"] = "nosuch.png"
    manifest.write_text(json.dumps(entries))
    done = automask("bench", manifest, "--detectors", "edges", *folders)
    assert done.returncode == 3, done.stderr
    assert ("small.png" if fault == "size" else "nosuch.png") in done.stderr
