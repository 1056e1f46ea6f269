"""`automask bench`: which masks are fine, folders beside single images, and what cannot be combined."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_cases import table_rows, top_environment, write_manifest
from cli_process import CHEAP, automask, install_detector
from PIL import Image

from automask.bench import beside, run
from automask.bench.manifest import Manifest, ManifestEntry, read_manifest
from automask.bench.outcomes import Outcomes, outcomes_table
from automask.bench.run import BenchRun, ImageFigures, JudgedImage
from automask.bench.worst import IGNORED, LEAK, RIGHT, UNWANTED, WASTE, WorstImages, tinted_mask, tinted_truth
from automask.config import PipelineConfig
from automask.run.pipeline import MaskPipeline

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
        (["--beside", "python", "--compare", "a=a.toml"], "--compare"),
        (["--beside", "python", "--baseline"], "--baseline"),
        (["--beside", "python", "--as-folders", "--mixed"], "--mixed"),
        (["--beside", "python", "--overhead", "3"], "--overhead"),
        (["--beside", "python", "--worst", "w"], "--worst"),
        (["--json", "--calibration"], "--calibration"),
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


def test_the_worst_are_those_furthest_from_fine():
    entry = ManifestEntry(kind="text", source="s", image="a.png", truth="pixels")
    worst = WorstImages(most=3)
    shown = [(0.1, 0.05), (0.3, 0.0), (0.0, 0.3), (0.2, 0.1), (None, 0.06), (0.99, None)]
    for leak, waste in shown:
        worst(JudgedImage.of(figures(leak, waste), entry, None, None, PipelineConfig()))
    failed = figures(None, None, "review", error="image-corrupt")
    worst(JudgedImage.of(failed, entry, None, None, PipelineConfig()))
    unknown = ManifestEntry(kind="text", source="s", image="b.png", truth="unknown")
    worst(JudgedImage.of(figures(1.0, 1.0), unknown, None, None, PipelineConfig()))
    kept = [(judged.figures.leak, judged.figures.waste, judged.figures.error) for judged in worst.worst_first]
    assert kept == [(None, None, "image-corrupt"), (0.99, None, ""), (0.0, 0.3, "")]


def test_colours_of_truth_and_mask():
    pixels = np.full((1, 5, 3), 100, dtype=np.uint8)
    truth = np.array([[255, 255, 0, 0, 128]], dtype=np.uint8)
    levels = np.array([[0, 255, 0, 255, 0]], dtype=np.uint8)

    def is_painted(painted, at, colour):
        return np.allclose(painted[0, at], 0.4 * 100 + 0.6 * np.array(colour), atol=1)

    mask = tinted_mask(pixels, levels, truth)
    for at, colour in enumerate((RIGHT, LEAK, WASTE, None, IGNORED)):
        assert is_painted(mask, at, colour) if colour else (mask[0, at] == 100).all()
    shown = tinted_truth(pixels, truth)
    assert is_painted(shown, 0, UNWANTED)
    assert is_painted(shown, 4, IGNORED)
    assert (shown[0, 2:4] == 100).all()
    assert (tinted_mask(pixels, levels, None)[0, 1] == 100).all()  # nothing unwanted: nothing leaks


@pytest.mark.parametrize("how", [ALONE, FOLDERS], ids=["alone", "folders"])
def test_a_page_of_the_worst(tmp_path, how):
    data = tmp_path / "data"
    manifest = write_manifest(data, barred=1, clean=2)
    (data / "<b>&.png").write_bytes((data / "2.png").read_bytes())
    entries = json.loads(manifest.read_text())
    entries[2]["image"] = "<b>&.png"
    manifest.write_text(json.dumps(entries))
    page = tmp_path / "worst"
    page.mkdir()
    (page / "worst-19-image.jpg").touch()  # of an earlier page
    (page / "mine.jpg").touch()
    env = top_environment(tmp_path / "plugins")
    done = automask("bench", manifest, *how, "--worst", page, "--save", tmp_path / "f.json", env=env)
    assert done.returncode == 0, done.stderr
    html = (page / "index.html").read_text()
    assert html.count("<article>") == 2  # the barred one is fine
    assert "&lt;b&gt;&amp;.png" in html
    assert "<b>&" not in html
    assert "waste 0.2" in html
    assert "probability of a fine mask" in html
    assert {path.name for path in page.glob("*.jpg")} == {
        "mine.jpg", *(f"worst-0{number}-{what}.jpg" for number in (1, 2) for what in ("image", "truth", "mask"))
    }  # fmt: skip
    red, green, blue = np.asarray(Image.open(page / "worst-01-mask.jpg"))[20, 20].astype(int)
    assert min(red, green) > blue + 40  # waste is yellow
    images = json.loads((tmp_path / "f.json").read_text())
    assert all(image["reasons"] for image in images.get("bench", images)["images"])


def other_python(folder, body="return [[] for image in images]"):
    """Another installation: the same program with another detector `top`."""
    plugins = install_detector(folder / "other", "top", body)
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={plugins} exec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("how", [ALONE, FOLDERS], ids=["alone", "folders"])
def test_another_installation_on_the_same_images(tmp_path, how):
    manifest = write_manifest(tmp_path / "data")
    env = top_environment(tmp_path / "plugins")
    done = automask(
        "bench", manifest, *how, "--beside", other_python(tmp_path), "--calibration", "--save", tmp_path / "f.json",
        env=env, cwd=tmp_path / "data",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["kind / source"]: row for row in table_rows(done.stdout, "s / image")}
    assert rows["frame/bars"]["leak"] == "0.0000 : 1.0000 (0.00)"
    assert rows["frame/bars"]["fine"] == "2 : 0"
    assert rows["clean/plain"]["fine"] == "0 : 1 (0.00)"
    assert rows["all"]["fine"] == "2 : 1 (2.00)"
    assert float(rows["all"]["s / image"].split()[0]) > 0
    assert [row["set"] for row in table_rows(done.stdout, "AUROC")] == ["here", "beside"]
    assert "seconds here / beside, median of" in done.stdout
    saved = json.loads((tmp_path / "f.json").read_text())
    assert [group["images"] for group in saved["groups"]] == ([1, 1, 1] if how is ALONE else [2, 1])
    assert {image["image"] for image in saved["bench"]["images"]} == {"0.png", "1.png", "2.png"}
    assert saved["installations"]["here"]["version"] == saved["installations"]["beside"]["version"]


def test_groups_alternate(tmp_path, monkeypatch):
    """Whoever runs second may find the files in memory: each of both does as often."""
    order = []

    def run(side, installation, root, entries, flags):
        order.append((side, len(entries)))
        images = [figures(0, 0).model_copy(update={"pipeline": side, "image": entry.image}) for entry in entries]
        return beside._Group(images=images, folders=[], load_s=0.0, peak_memory_mb=1.0)

    monkeypatch.setattr(beside, "_run", run)
    monkeypatch.setattr(beside, "GROUP_IMAGES", 2)
    manifest = read_manifest(write_manifest(tmp_path, barred=3, clean=2))
    result = beside.run_beside(manifest, Path(sys.executable), [], as_folders=False)
    assert order == [("here", 2), ("beside", 2), ("beside", 2), ("here", 2), ("here", 1), ("beside", 1)]
    order.clear()
    beside.run_beside(manifest, Path(sys.executable), [], as_folders=True)
    assert order == [("here", 3), ("beside", 3), ("beside", 2), ("here", 2)]
    names = [entry.image for entry in manifest.entries]
    assert [image.image for image in result.bench.images] == names * 2
    assert [image.pipeline for image in result.bench.images] == ["here"] * 5 + ["beside"] * 5


def test_figures_of_other_versions_are_understood():
    """An older one has fewer keys and other names, a newer one more keys."""
    entry = ManifestEntry(kind="text", source="s", image="a.png", truth="pixels")
    image = figures(0.1, 0.2).model_dump()
    del image["reasons"]
    image |= {"pipeline": "alone", "image": "/x/a.png", "novel": 1}
    bench = {"images": [image, {**image, "pipeline": "mixed"}], "load_seconds": {}, "peak_memory_mb": 5.0}
    folder = {"folder": "text/s", "images": 1, "applied": 0, "proposed": 0, "updated": 0, "run_s": 2.0,
              "second_pass_s": 0.0, "novel": 2}  # fmt: skip
    group = beside._group_of("beside", {"bench": bench, "folders": [folder]}, [entry])
    assert (group.images[0].pipeline, group.images[0].image, group.images[0].leak) == ("beside", "a.png", 0.1)
    assert (group.folders[0].pipeline, group.seconds) == ("beside", 2.0)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (None, 2, "cannot be started"),
        ("#!/bin/sh\nexit 3\n", 2, "no automask"),
        ('#!/bin/sh\necho \'["9.9", "/there/automask/__init__.py"]\'\n[ "$2" = -c ] || exit 7\n', 2, "exit code 7"),
    ],
)
def test_an_interpreter_that_does_not_do(tmp_path, script, code, said):
    other = tmp_path / "python"
    if script is not None:
        other.write_text(script)
        other.chmod(0o755)
    done = automask("bench", write_manifest(tmp_path / "data"), *CHEAP, "--beside", other)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_pipelines_beside_each_other_share_nothing_that_they_saw(tmp_path):
    """Else the first one's networks would save the others their time."""
    manifest = read_manifest(write_manifest(tmp_path, barred=0))
    seen = []

    class Looks:
        config = PipelineConfig(detectors=(), dataset_detectors=(), refiner="polygon")

        def run(self, images):
            seen.append(images[0].shared)
            images[0].shared["map"] = "seen"
            return MaskPipeline.from_config(self.config).run(images)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "load_pipelines", lambda configs: ({"one": Looks(), "other": Looks()}, {}))
        run.run_bench(manifest, {"one": Looks.config, "other": Looks.config})
    assert len(seen) == 2
    assert seen[0] is not seen[1]
    assert seen == [{"map": "seen"}] * 2
