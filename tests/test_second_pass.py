"""What repeats across a folder is masked by `run`; how often it was stopped, or the folder grew, does not show."""

import collections
import itertools
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
from cli_process import automask, command, draw_images, environment, masks_of
from overlay_cases import WIDTH_PX, lettering, marked, picture
from PIL import Image

from automask.config import PipelineConfig
from automask.dataset.decode import DecodingStopped, decode_bytes
from automask.errors import ConfigError, ImageError
from automask.run import second_pass
from automask.run.events import ImageDone, StageProgress
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.run.second_pass import SecondPass
from automask.run.spool import Spool
from automask.store import Store, images
from automask.values.templates import TemplateDecision
from automask.values.types import Kind
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions
from automask_models.refiners.polygon import PolygonRefiner

COUNT = 8
INK = lettering()
CHEAP = ("--detectors", "edges", "--option", f"overlay.reduced_px={WIDTH_PX}", "--no-report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures with one mark at one place, and one without it."""
    folder = tmp_path_factory.mktemp("marked") / "set"
    folder.mkdir()
    for seed in range(COUNT):
        Image.fromarray(marked(seed, INK, opacity=0.8).pixels).save(folder / f"{seed}.png")
    Image.fromarray(picture(99)).save(folder / "clean.png")
    return folder


def overlay_detector():
    return OverlayDetector(OverlayOptions(reduced_px=WIDTH_PX))


def make_pipeline(*, config=None, overlays=True):
    return MaskPipeline(
        config or PipelineConfig(),
        detectors=(),
        dataset_detectors=(overlay_detector(),) if overlays else (),
        refiner=PolygonRefiner(PolygonRefiner.Options()),
    )


def run(folder, output, **options):
    pipe = options.pop("pipe", None) or make_pipeline()
    return run_dataset(folder, output, pipe.config, pipeline=pipe, **options)


@pytest.fixture(scope="module")
def reference(folder):
    """The store of an undisturbed run."""
    output = folder.parent / "reference"
    summary = run(folder, output)
    assert (summary.written, summary.updated) == ({"analysed": COUNT + 1}, COUNT)
    return output


def test_files_are_decoded_as_the_caller_says_in_both_passes(folder, tmp_path, monkeypatch):
    """A server decodes what strangers sent within bounds, whatever asks for the pixels."""
    monkeypatch.setattr(Spool, "get", lambda self, *key: None)
    asked = collections.Counter()

    def noted(data, *, image_id, config):
        asked[image_id] += 1
        return decode_bytes(data, image_id=image_id, config=config)

    run(folder, tmp_path / "out", decode_data=noted)
    assert len(asked) == COUNT + 1
    assert min(asked.values()) >= 2


@pytest.mark.parametrize("after", [0, 4, COUNT + 3, 2 * COUNT + 5])
def test_a_run_ends_as_interrupted_where_it_waits_for_a_file(folder, reference, tmp_path, monkeypatch, after):
    """In the first pass, while images are compared, and while marks are searched."""
    count = itertools.count()
    stop = threading.Event()

    def stopped(data, *, image_id, config):
        if next(count) >= after:
            stop.set()
            raise DecodingStopped
        return decode_bytes(data, image_id=image_id, config=config)

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "get", lambda self, *key: None)
        summary = run(folder, tmp_path / "out", stop=stop, decode_data=stopped)
    assert summary.interrupted
    assert next(count) > after
    assert summary.failed == 0
    with Store.open(tmp_path / "out", read_only=True) as store:
        assert store.last_run().status == "interrupted"
    assert not run(folder, tmp_path / "out").interrupted
    assert masks_of(tmp_path / "out") == masks_of(reference)


def test_the_mark_is_masked_where_it_is_and_nowhere_else(reference):
    masks = masks_of(reference)
    assert len(masks) == COUNT + 1
    for name in masks:
        levels = np.asarray(Image.open(reference / "masks" / name))
        if name == "clean.png":
            assert (levels == 255).all()
        else:
            assert (levels[INK > 0.2] == 0).all()
            assert (levels[:150] == 255).all()
    with Store.open(reference) as store:
        (known,) = store.templates.all()
        assert (known.matches, known.template.kind, known.template.anchor) == (COUNT, Kind.OVERLAY, "bottom-right")
        assert known.template.picture_png.startswith(b"\x89PNG")
        assert store.result("3.png").regions[-1].source == "overlay"


def test_a_second_run_finds_everything_up_to_date(folder, reference):
    seen = []
    summary = run(folder, reference, events=seen.append)
    assert (summary.reused, summary.updated, summary.written) == (COUNT + 1, 0, {})
    assert not [event for event in seen if isinstance(event, StageProgress)]


@pytest.mark.parametrize("after", [2, COUNT + 1])
def test_an_interrupted_run_ends_with_the_same_masks(folder, reference, tmp_path, after):
    stop = threading.Event()
    done = 0

    def stop_soon(event):
        nonlocal done
        done += isinstance(event, ImageDone)
        if done >= after:
            stop.set()

    assert run(folder, tmp_path / "out", events=stop_soon, stop=stop).interrupted
    assert masks_of(tmp_path / "out") != masks_of(reference)
    assert not run(folder, tmp_path / "out").interrupted
    assert masks_of(tmp_path / "out") == masks_of(reference)


class Killed(BaseException):
    """Ends a run like a kill: nothing catches it."""


def die_on_call(patch, owner, name, number):
    """Let the call of that number, and all that come later, end the run instead."""
    original, calls = getattr(owner, name), itertools.count(1)

    def dying(*arguments, **options):
        if next(calls) >= number:
            raise Killed
        return original(*arguments, **options)

    patch.setattr(owner, name, dying)


@pytest.mark.parametrize(
    "instants",
    [
        pytest.param([(Store, "put_result", 4)], id="half of the images are known"),
        pytest.param([(SecondPass, "_estimate", 1)], id="all images are known"),
        pytest.param([(SecondPass, "_search", 1)], id="templates are estimated"),
        pytest.param([(second_pass, "redraw_image", 4)], id="found on images that are not drawn again"),
        pytest.param([(images, "write_mask", COUNT + 4)], id="mask in place, its row is not"),
        pytest.param(
            [
                (Store, "put_result", 4),
                (images, "write_mask", 3),
                (SecondPass, "_search", 1),
                (second_pass, "redraw_image", 3),
            ],
            id="one after the other",
        ),
    ],
)
def test_a_run_that_dies_at_the_worst_instants_ends_with_the_same_masks(
    folder, reference, tmp_path, monkeypatch, instants
):
    for instant in instants:
        with monkeypatch.context() as patch:
            die_on_call(patch, *instant)
            with pytest.raises(Killed):
                run(folder, tmp_path / "out")
    summary = run(folder, tmp_path / "out")
    assert not summary.interrupted
    assert masks_of(tmp_path / "out") == masks_of(reference)
    with Store.open(tmp_path / "out") as store, Store.open(reference) as undisturbed:
        ids = [[known.template.id for known in each.templates.all()] for each in (store, undisturbed)]
        assert ids[0] == ids[1]
        assert list(store.verify()) == []
        assert store.correction(store.lookup("3.png").content_sha256) is None


def test_a_growing_folder_ends_with_the_same_masks(folder, reference, tmp_path):
    growing = tmp_path / "set"
    growing.mkdir()
    names = sorted(path.name for path in folder.iterdir())
    for part in (names[:3], names[3:6], names[6:]):
        for name in part:
            shutil.copy2(folder / name, growing / name)
        run(growing, tmp_path / "out")
    assert masks_of(tmp_path / "out") == masks_of(reference)


def test_without_room_for_reduced_images_they_are_made_again(folder, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(Spool.__init__, "__kwdefaults__", {"most_bytes": 300_000})
    run(folder, tmp_path / "out")
    assert masks_of(tmp_path / "out") == masks_of(reference)


def test_a_folder_that_shrinks_below_the_least_number_loses_its_template(folder, tmp_path):
    shrinking = tmp_path / "set"
    shutil.copytree(folder, shrinking)
    run(shrinking, tmp_path / "out")
    for seed in range(3, COUNT):
        (shrinking / f"{seed}.png").unlink()
    summary = run(shrinking, tmp_path / "out")
    assert (summary.missing, summary.updated) == (COUNT - 3, 3)
    with Store.open(tmp_path / "out") as store:
        assert store.templates.all() == []


def test_switched_off_it_leaves_no_trace(folder, reference, tmp_path):
    shutil.copytree(reference, tmp_path / "out")
    summary = run(folder, tmp_path / "out", pipe=make_pipeline(overlays=False))
    assert summary.updated == COUNT
    run(folder, tmp_path / "alone", pipe=make_pipeline(overlays=False))
    assert masks_of(tmp_path / "out") == masks_of(tmp_path / "alone")


def test_detectors_are_loaded_also_where_no_image_is_analysed_again(folder, tmp_path):
    """A detector that searches with weights would find other things without them."""
    output = tmp_path / "out"
    run(folder, output, pipe=make_pipeline(overlays=False))
    pipe = make_pipeline()
    loaded = []
    pipe.dataset_detectors[0].load = lambda: loaded.append(True)
    summary = run(folder, output, pipe=pipe)
    assert (summary.written, summary.updated) == ({}, COUNT)
    assert loaded


def test_a_decision_outlives_another_estimate(folder, tmp_path):
    growing = tmp_path / "set"
    shutil.copytree(folder, growing)
    run(growing, tmp_path / "out")
    with Store.open(tmp_path / "out") as store:
        first = store.templates.all()[0].template.id
        store.templates.decide(first, TemplateDecision.FORGET, author="ann")
    Image.fromarray(marked(50, INK, opacity=0.8).pixels).save(growing / "new.png")
    run(growing, tmp_path / "out")
    with Store.open(tmp_path / "out") as store:
        newest = store.templates.all()[0]
        assert newest.is_active
        assert newest.template.id != first
        assert (newest.decision, newest.author) == (TemplateDecision.FORGET, "ann")
        assert store.lookup("new.png").kinds == ()
    assert all((np.asarray(Image.open(path)) == 255).all() for path in (tmp_path / "out/masks").iterdir())


def test_a_failing_dataset_detector_costs_no_mask(folder, tmp_path, monkeypatch):
    def fail(self, sample):
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(OverlayDetector, "estimate", fail)
    summary = run(folder, tmp_path / "out")
    assert [notice.code for notice in summary.notices] == ["dataset-stage-failed"]
    assert "out of cheese" in summary.notices[0].message
    assert len(masks_of(tmp_path / "out")) == COUNT + 1
    monkeypatch.undo()
    assert run(folder, tmp_path / "out").updated == COUNT


def test_single_images_use_saved_templates_only(folder, reference, tmp_path):
    with Store.open(reference) as store:
        (tmp_path / "mark.template").write_bytes(store.templates.all()[0].template.content)
    config = PipelineConfig(templates=(str(tmp_path / "mark.template"),))
    alone, saved = make_pipeline(), make_pipeline(config=config)
    image = marked(70, INK, opacity=0.8)
    assert alone.run([image])[0].regions == ()
    (result,) = saved.run([image])
    assert [region.kind for region in result.regions] == [Kind.OVERLAY]
    assert (saved.render(result).levels[INK > 0.2] == 0).all()
    other = tmp_path / "two"
    other.mkdir()
    for seed in (70, 71):
        Image.fromarray(marked(seed, INK, opacity=0.8).pixels).save(other / f"{seed}.png")
    assert run(other, tmp_path / "out", pipe=saved).updated == 2
    in_dataset = np.asarray(Image.open(tmp_path / "out/masks/70.png"))
    assert np.array_equal(in_dataset, saved.render(result).levels)


def test_an_estimated_template_outlives_its_saved_file(folder, reference, tmp_path):
    shutil.copytree(reference, tmp_path / "out")
    with Store.open(tmp_path / "out") as store:
        (known,) = store.templates.all()
        (tmp_path / "mark.template").write_bytes(known.template.content)
    config = PipelineConfig(templates=(str(tmp_path / "mark.template"),))
    run(folder, tmp_path / "out", pipe=make_pipeline(config=config))
    assert masks_of(tmp_path / "out") == masks_of(reference)
    run(folder, tmp_path / "out")
    assert masks_of(tmp_path / "out") == masks_of(reference)
    with Store.open(tmp_path / "out") as store:
        (again,) = store.templates.all()
        assert (again.template.id, again.is_active) == (known.template.id, True)


def test_images_that_could_not_be_compared_are_compared_by_the_next_run(folder, reference, tmp_path, monkeypatch):
    def unreadable(file, config, **how):
        raise ImageError("Cannot read it: stale file handle.", advice="Try again.")

    monkeypatch.setattr(Spool.__init__, "__kwdefaults__", {"most_bytes": 300_000})
    with monkeypatch.context() as patch:
        patch.setattr("automask.dataset.stored.decode", unreadable)
        run(folder, tmp_path / "out")
    assert masks_of(tmp_path / "out") != masks_of(reference)
    run(folder, tmp_path / "out")
    assert masks_of(tmp_path / "out") == masks_of(reference)
    with Store.open(tmp_path / "out") as store, Store.open(reference) as undisturbed:
        ids = [[known.template.id for known in each.templates.all()] for each in (store, undisturbed)]
        assert ids[0] == ids[1]


def test_what_is_no_template_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not a template")
    for name in ("notes.txt", "missing.template"):
        with pytest.raises(ConfigError) as caught:
            make_pipeline(config=PipelineConfig(templates=(str(tmp_path / name),)))
        assert caught.value.code == "template-file"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_kills_do_not_show_in_the_masks(folder, tmp_path):
    expected = tmp_path / "expected"
    assert automask("run", folder, *CHEAP, "--output", expected).returncode == 0
    output = tmp_path / "out"
    for instant in (2, COUNT + 1):
        process = subprocess.Popen(
            command("run", folder, *CHEAP, "--output", output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        while len(list((output / "masks").rglob("*.png"))) < instant and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    done = automask("run", folder, *CHEAP, "--output", output)
    assert done.returncode == 0, done.stderr
    assert masks_of(output) == masks_of(expected)
    assert not list(output.rglob(".reduced-*"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("seed", [1, 2])
def test_many_kills_at_random_instants_do_not_show_in_the_masks(tmp_path, seed):
    folder = draw_images(tmp_path / "set", 40, side_px=200)
    arguments = ("run", folder, "--detectors", "edges", "--no-report")
    began = time.perf_counter()
    assert automask(*arguments, "--output", tmp_path / "expected").returncode == 0
    usual_s = time.perf_counter() - began
    with Store.open(tmp_path / "expected", read_only=True) as store:
        assert store.templates.all()  # else the second pass would have nothing to lose
    rng = random.Random(seed)
    output = tmp_path / "out"
    for _ in range(4):
        process = subprocess.Popen(
            command(*arguments, "--output", output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        time.sleep(rng.uniform(0.2, 0.9) * usual_s)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    done = automask(*arguments, "--output", output)
    assert done.returncode == 0, done.stderr
    assert masks_of(output) == masks_of(tmp_path / "expected")
