"""Runs over folders: what is done again, what is not, and whose word counts."""

import shutil
import threading
from collections import Counter

import numpy as np
import pytest
from fakes import CrashOn, RedDetector, Slow, pipeline, red_on_grey
from PIL import Image

from automask.config import KindPolicy, PipelineConfig, PolicyConfig, RenderConfig, RuntimeConfig
from automask.errors import InputError, OutputError, StoreError, StoreLocked
from automask.mask.rendering import CorrectionLayers
from automask.run.events import ImageDone
from automask.run.runner import default_output, run_dataset
from automask.store import Status, Store
from automask.values.types import Verdict


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "images"
    for index, name in enumerate(["img1.png", "img2.png", "img10.png", "sub/other.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(red_on_grey(seed=index)).save(path)
    return folder


def run(dataset, *detectors, config=None, output=None, **options):
    config = config or PipelineConfig()
    pipe = pipeline(*detectors, config=config)
    output = output or default_output(dataset)
    return run_dataset(dataset, output, config, pipeline=pipe, **options)


def mask_of(dataset, name="img1.png"):
    return np.asarray(Image.open(default_output(dataset) / "masks" / name))


def all_masks(dataset):
    root = default_output(dataset) / "masks"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.png"))}


def test_a_run_writes_one_upright_grey_mask_per_image(dataset):
    summary = run(dataset)
    assert summary.written == {"analysed": 4}
    assert summary.images == 4
    assert summary.verdicts == {"auto": 4}
    assert sorted(all_masks(dataset)) == ["img1.png", "img10.png", "img2.png", "sub/other.png"]
    mask = Image.open(default_output(dataset) / "masks/img1.png")
    assert (mask.mode, mask.size) == ("L", (96, 64))
    assert (mask_of(dataset)[16:32, 16:48] == 0).all()
    assert mask_of(dataset)[60, 90] == 255


def test_images_are_worked_on_in_natural_order(dataset):
    order = []
    run(dataset, events=lambda event: order.append(event.image_id) if isinstance(event, ImageDone) else None)
    assert order == ["img1.png", "img2.png", "img10.png", "sub/other.png"]


def test_only_what_changed_is_done_again(dataset):
    run(dataset)
    detector = RedDetector()
    assert run(dataset, detector).reused == 4
    assert detector.seen == []
    Image.fromarray(red_on_grey(box=(60, 40, 80, 60))).save(dataset / "img2.png")
    Image.fromarray(red_on_grey(seed=7)).save(dataset / "new.png")
    (dataset / "img10.png").touch()
    summary = run(dataset, detector)
    assert detector.seen == ["img2.png", "new.png"], "a touched file with the same bytes is not done again"
    assert (summary.written, summary.reused) == ({"analysed": 2}, 3)


def test_a_changed_growth_renders_again_without_models(dataset):
    run(dataset)
    before = (mask_of(dataset) == 0).sum()
    detector = RedDetector()
    summary = run(dataset, detector, config=PipelineConfig(render=RenderConfig(growth_cells=8)))
    assert summary.written == {"rendered": 4}
    assert detector.seen == []
    assert (mask_of(dataset) == 0).sum() > before


def test_a_changed_detector_runs_again(dataset):
    run(dataset)
    assert run(dataset, RedDetector(version=2)).written == {"analysed": 4}


def test_interrupted_and_incremental_runs_give_the_masks_of_a_full_run(dataset, tmp_path):
    run(dataset, Slow(0))
    full = all_masks(dataset)
    shutil.rmtree(default_output(dataset))
    stop = threading.Event()
    summary = run(
        dataset, Slow(0.1), stop=stop, events=lambda event: stop.set() if isinstance(event, ImageDone) else None
    )
    assert summary.interrupted
    assert 1 <= len(all_masks(dataset)) < 4
    moved = tmp_path / "later.png"
    shutil.move(dataset / "img10.png", moved)
    run(dataset, Slow(0))
    shutil.move(moved, dataset / "img10.png")
    summary = run(dataset, Slow(0))
    assert not summary.interrupted
    assert all_masks(dataset) == full


def test_batches_and_prefetch_do_not_change_results(dataset):
    run(dataset)
    one = all_masks(dataset)
    shutil.rmtree(default_output(dataset))
    run(dataset, config=PipelineConfig(runtime=RuntimeConfig(batch_size=3, prefetch=1)))
    assert all_masks(dataset) == one


def test_a_bad_file_is_a_row_and_not_the_end(dataset):
    (dataset / "img2.png").write_bytes((dataset / "img2.png").read_bytes()[:-200])
    summary = run(dataset)
    assert (summary.failed, summary.written) == (1, {"analysed": 3})
    with Store.open(default_output(dataset), read_only=True) as store:
        assert store.lookup("img2.png").status is Status.FAILED
        assert [issue.code for issue in store.issues("img2.png")] == ["image-truncated"]
    Image.fromarray(red_on_grey()).save(dataset / "img2.png")
    assert run(dataset).written == {"analysed": 1}, "a repaired file is taken up"


def test_a_crashing_detector_fails_its_image_and_is_tried_again(dataset):
    assert run(dataset, CrashOn("img2")).failed == 1
    assert not (default_output(dataset) / "masks/img2.png").exists(), "no mask is better than one that leaks"
    assert run(dataset, RedDetector()).failed == 0


def test_a_deleted_mask_is_drawn_again_and_a_deleted_image_loses_its_mask(dataset):
    run(dataset)
    before = all_masks(dataset)
    (default_output(dataset) / "masks/img1.png").unlink()
    (dataset / "sub/other.png").unlink()
    summary = run(dataset)
    assert summary.written == {"rendered": 1}
    assert summary.missing == 1
    del before["sub/other.png"]
    assert all_masks(dataset) == before


def correct(dataset, name, layers):
    with Store.open(default_output(dataset)) as store:
        content = store.lookup(name).content_sha256
        store.put_correction(content, layers, author="ann", tool="test", based_on=None)


def test_a_correction_wins_over_every_later_run(dataset):
    run(dataset)
    correct(dataset, "img1.png", CorrectionLayers(replaces=True))
    assert run(dataset).written == {"rendered": 1}
    assert (mask_of(dataset) == 255).all(), "an empty correction means that there is nothing to mask"
    run(dataset, RedDetector(version=2), config=PipelineConfig(render=RenderConfig(growth_cells=3)))
    assert (mask_of(dataset) == 255).all()


def test_a_renamed_image_takes_its_correction_along(dataset):
    run(dataset)
    correct(dataset, "img1.png", CorrectionLayers(replaces=True))
    (dataset / "img1.png").rename(dataset / "renamed.png")
    detector = RedDetector()
    run(dataset, detector)
    assert (mask_of(dataset, "renamed.png") == 255).all()
    assert detector.seen == [], "the same pixels under another name need no model"
    assert not (default_output(dataset) / "masks/img1.png").exists()


@pytest.mark.parametrize("change", ["replaced", "rotated"])
def test_changed_pixels_keep_the_correction_unapplied_and_ask(dataset, change):
    run(dataset)
    correct(dataset, "img1.png", CorrectionLayers(replaces=True))
    run(dataset)
    picture = Image.open(dataset / "img1.png")
    picture.load()
    if change == "rotated":
        picture.transpose(Image.Transpose.ROTATE_90).save(dataset / "img1.png")
    else:
        Image.fromarray(red_on_grey(seed=9, box=(4, 4, 40, 20))).save(dataset / "img1.png")
    run(dataset)
    assert (mask_of(dataset) == 0).any(), "a correction of other pixels must not be applied"
    with Store.open(default_output(dataset), read_only=True) as store:
        stored = store.lookup("img1.png")
        assert stored.verdict is Verdict.REVIEW
        assert "correction-stale" in [issue.code for issue in store.issues("img1.png")]
        assert store.stale_correction("img1.png") is not None
    picture.save(dataset / "img1.png")  # the old pixels come back, and the correction with them
    run(dataset)
    assert (mask_of(dataset) == 255).all()


def test_a_mask_edited_in_another_program_is_kept(dataset):
    run(dataset)
    path = default_output(dataset) / "masks/img1.png"
    edited = mask_of(dataset).copy()
    edited[:, 90:] = 0
    Image.fromarray(edited).save(path)
    summary = run(dataset)
    assert [notice.code for notice in summary.notices] == ["mask-edited"]
    np.testing.assert_array_equal(mask_of(dataset), edited)
    run(dataset, config=PipelineConfig(render=RenderConfig(growth_cells=8)))
    np.testing.assert_array_equal(mask_of(dataset), edited)
    assert run(dataset, config=PipelineConfig(render=RenderConfig(growth_cells=8))).reused == 4


def test_an_edited_mask_that_cannot_be_used_is_moved_and_not_lost(dataset):
    run(dataset)
    path = default_output(dataset) / "masks/img1.png"
    Image.new("L", (5, 5)).save(path)
    summary = run(dataset)
    assert [notice.code for notice in summary.notices] == ["mask-edited-unusable"]
    assert Image.open(default_output(dataset) / "edited-masks/img1.png").size == (5, 5)
    assert mask_of(dataset).shape == (64, 96)


def test_a_list_of_images(dataset, tmp_path):
    listing = dataset / "list.txt"
    listing.write_text("# chosen\nimg10.png\nsub/other.png\nnot-there.png\n")
    summary = run(dataset, image_list=listing)
    assert (summary.written, summary.failed) == ({"analysed": 2}, 1)


def test_empty_folder_missing_folder_and_file(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    for place, text in [("empty", "no image"), ("nowhere", "does not exist"), ("images/img1.png", "is a file")]:
        with pytest.raises(InputError, match=text):
            run(tmp_path / place)
    assert not (tmp_path / "empty-masks").exists(), "nothing is created for a folder without images"


def test_output_may_not_be_the_input_and_inside_is_left_out(dataset):
    with pytest.raises(OutputError, match="is the input folder"):
        run(dataset, output=dataset)
    inside = dataset / "masks-here"
    first = run(dataset, output=inside)
    second = run(dataset, output=inside)
    assert [notice.code for notice in first.notices] == ["output-inside-input"]
    assert (first.images, second.images, second.reused) == (4, 4, 4), "our own masks are never taken for images"


def test_a_second_run_on_the_same_store_is_refused(dataset):
    run(dataset)
    with Store.open(default_output(dataset)) as store, store.lock(), pytest.raises(StoreLocked):
        run(dataset)


def test_a_store_of_another_folder_is_refused_until_that_folder_is_gone(dataset, tmp_path):
    run(dataset)
    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    with pytest.raises(StoreError):
        run(other, output=default_output(dataset))
    shutil.rmtree(dataset)
    assert run(other, output=default_output(dataset)).reused == 4


def test_a_full_disk_ends_the_run_with_an_error_and_keeps_what_was_done(dataset, monkeypatch):
    from automask.files import atomic

    real, calls = atomic.os.fsync, Counter()

    def full_after_two(descriptor):
        calls["fsync"] += 1
        if calls["fsync"] > 4:
            raise OSError(28, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", full_after_two)
    with pytest.raises(OutputError, match="space"):
        run(dataset)
    monkeypatch.undo()
    done = len(all_masks(dataset))
    assert 0 < done < 4
    summary = run(dataset)
    assert summary.reused == done
    assert summary.failed == 0


def test_keep_policy_and_partial_weight(dataset):
    run(dataset, config=PipelineConfig(policy=PolicyConfig(text=KindPolicy(weight=0.25))))
    assert mask_of(dataset)[20, 20] == 64
    run(dataset, config=PipelineConfig(policy=PolicyConfig(text=KindPolicy(action="keep"))))
    assert (mask_of(dataset) == 255).all()


def test_stop_finishes_the_image_in_hand(dataset):
    stop = threading.Event()
    timer = threading.Timer(0.15, stop.set)
    timer.start()
    summary = run(dataset, Slow(0.1), stop=stop)
    assert summary.interrupted
    assert summary.failed == 0
    assert 1 <= summary.images < 4
    assert run(dataset, Slow(0)).reused == summary.images
