"""What was put right on one image, on all that show the same mark; undone in one step, later work kept."""

import json

import numpy as np
import pytest
from cli_process import automask
from export_cases import make_store
from PIL import Image

from automask.config import PipelineConfig
from automask.errors import InputError, StoreError
from automask.mask.rendering import CorrectionLayers
from automask.propagate.operations import new_operation, operations_from
from automask.propagate.propagation import apply, place, propose, undo
from automask.run.redraw import redraw_image, stored_config
from automask.store import Decision, Store
from automask.values.types import Verdict

SOURCE = "5" * 64
"""Hash of the file that pixels are said to be from."""
MARK = np.zeros((14, 40), dtype=np.bool_)
MARK[2:12, 3:6] = MARK[2:4, 3:20] = MARK[7:9, 3:16] = MARK[2:12, 26:29] = MARK[9:12, 26:38] = True


def picture(seed, size=(240, 160), *, mark_at=None):
    """Soft shapes, and a half-transparent mark at (x, y)."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 200, (6, 8, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(np.float32)
    pixels += rng.normal(0, 4, pixels.shape)
    if mark_at is not None:
        x, y = mark_at
        window = pixels[y : y + 14, x : x + 40]
        window[MARK] = 0.5 * window[MARK] + 0.5 * 255
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def store(tmp_path):
    """Three images with the mark near their lower right corner, one of another size, and two without it."""
    folder = tmp_path / "images"
    folder.mkdir()
    picture(1, mark_at=(190, 140)).save(folder / "a.png")
    picture(2, mark_at=(192, 138)).save(folder / "b.png")
    picture(3, (320, 200), mark_at=(270, 180)).save(folder / "c.png")
    picture(4).save(folder / "none.png")
    picture(5, (30, 20)).save(folder / "tiny.png")
    return make_store(folder)


def marked(size=(240, 160), at=(190, 140)):
    artefact = np.zeros((size[1], size[0]), dtype=np.bool_)
    artefact[at[1] : at[1] + 14, at[0] : at[0] + 40] = MARK
    return artefact


def layers_of(store, image_id):
    correction = store.correction(store.lookup(image_id).content_sha256)
    return correction.layers if correction is not None else None


def mask_of(store, image_id):
    return np.asarray(Image.open(store.mask_path(store.lookup(image_id).mask_name)))


def test_the_mark_is_found_where_it_is_and_nowhere_else(store):
    with Store.open(store) as opened:
        found = {each.image_id: each for each in propose(opened, "a.png", marked())}
    assert set(found) == {"b.png", "c.png"}
    assert found["b.png"].box.xyxy == (195, 140, 230, 150)
    assert found["c.png"].box.xyxy == (273, 182, 308, 192)
    assert all(np.array_equal(each.artefact, MARK[2:12, 3:38]) for each in found.values())


def test_applying_masks_it_and_undoing_gives_everything_back(store):
    with Store.open(store) as opened:
        before = {name: mask_of(opened, name) for name in ("b.png", "c.png")}
        operation = apply(opened, propose(opened, "a.png", marked()), mode="add", author="ann", source_sha256=SOURCE)
        assert np.array_equal(layers_of(opened, "b.png").add, marked(at=(192, 138)))
        assert mask_of(opened, "b.png")[marked(at=(192, 138))].max() == 0
        assert opened.outdated_masks() == []
        undone = undo(opened, operation, author="ann")
        assert (len(undone.reverted), undone.adjusted) == (2, ())
        assert layers_of(opened, "b.png") is None
        assert all(np.array_equal(mask_of(opened, name), mask) for name, mask in before.items())
        history = opened.correction_history(opened.lookup("b.png").content_sha256)
        assert [one.tool.split(":")[0] for one in history] == ["propagate", "propagate-undo"]
        with pytest.raises(StoreError, match="Nothing") as caught:
            undo(opened, "0" * 16, author="ann")
        assert caught.value.code == "correction-unknown"


def test_undoing_keeps_what_a_person_did_afterwards_and_before(store):
    mine, later = np.zeros((160, 240), dtype=np.bool_), np.zeros((160, 240), dtype=np.bool_)
    mine[10:20, 10:20] = True
    later[50:60, 50:60] = True
    with Store.open(store) as opened:
        content = opened.lookup("b.png").content_sha256
        opened.put_correction(content, CorrectionLayers(add=mine), author="bob", tool="review", based_on=None)
        operation = apply(opened, propose(opened, "a.png", marked()), mode="add", author="ann", source_sha256=SOURCE)
        now = layers_of(opened, "b.png").add
        assert np.array_equal(now, mine | marked(at=(192, 138)))
        opened.put_correction(content, CorrectionLayers(add=now | later), author="bob", tool="review", based_on=2)
        undone = undo(opened, operation, author="ann")
        assert undone.adjusted == (content,)
        assert np.array_equal(layers_of(opened, "b.png").add, mine | later)


def test_training_a_part_again_is_propagated_too(store):
    with Store.open(store) as opened:
        found = propose(opened, "a.png", marked())
        operation = apply(opened, found, mode="remove", author="ann", source_sha256=SOURCE)
        assert np.array_equal(layers_of(opened, "b.png").remove, marked(at=(192, 138)))
        undo(opened, operation, author="ann")
        assert layers_of(opened, "b.png") is None


def test_nothing_to_propagate(store, tmp_path):
    with Store.open(store) as opened:
        for image_id, artefact in (
            ("zebra.png", marked()),
            ("a.png", np.zeros((160, 240), dtype=np.bool_)),
            ("a.png", marked(size=(250, 160))),
        ):
            with pytest.raises(InputError, match="nothing to propagate"):
                propose(opened, image_id, artefact)
        (tmp_path / "images" / "a.png").unlink()
        with pytest.raises(InputError, match="gone"):
            propose(opened, "a.png", marked())


def test_asking_again_after_a_lost_answer_changes_nothing(store):
    with Store.open(store) as opened:
        found = propose(opened, "a.png", marked())
        operation = new_operation()
        for _ in range(2):
            assert (
                apply(opened, found, mode="add", author="ann", source_sha256=SOURCE, operation=operation) == operation
            )
        content = opened.lookup("b.png").content_sha256
        assert len(opened.correction_history(content)) == 1
        assert [len(undo(opened, operation, author="ann").reverted) for _ in range(2)] == [2, 2]
        assert len(opened.correction_history(content)) == 2


def test_a_mark_is_cut_where_the_image_ends(store):
    with Store.open(store) as opened:
        row = opened.lookup("b.png")
    whole = np.ones((10, 20), dtype=np.bool_)
    placed = place(row, whole, corner=(-5, 155), score=1.0)
    assert (placed.box.xyxy, placed.artefact.shape) == ((0, 155, 15, 160), (5, 15))
    assert place(row, whole, corner=(240, 0), score=1.0) is None


@pytest.fixture
def doubtful(tmp_path):
    """The same images, every one of which waits for a person: all are of the audit sample."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, seed, corner in (("a.png", 1, (190, 140)), ("b.png", 2, (192, 138)), ("none.png", 4, None)):
        picture(seed, mark_at=corner).save(folder / name)
    return make_store(folder, config=PipelineConfig.model_validate({"review": {"audit": 1.0}}))


def waiting(store):
    """What waits for a person: by the store, `automask status`, and what an export of accepted images leaves."""
    with Store.open(store) as opened:
        listed = [row.image_id for row in opened.images(verdict=Verdict.REVIEW)]
    told = json.loads(automask("status", store, "--json").stdout)["counts"]
    assert (told["review"], told["auto"]) == (len(listed), 3 - len(listed))
    done = automask("export", store, "--to", "coco", "--accepted-only", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads((store / "exports" / "coco" / "annotations-rle.json").read_text())["images"]
    assert sorted(listed) == sorted({"a.png", "b.png", "none.png"} - {one["file_name"] for one in written})
    return listed


def test_carrying_a_mark_over_settles_nobody_and_undoing_restores_who_was_accepted(doubtful):
    everybody = ["a.png", "b.png", "none.png"]
    with Store.open(doubtful) as opened:
        contents = {name: opened.lookup(name).content_sha256 for name in everybody}
        opened.decide(contents["none.png"], Decision.ACCEPTED, author="ann")
        opened.put_correction(
            contents["a.png"], CorrectionLayers(add=marked()), author="ann", tool="review", based_on=None
        )
        redraw_image(opened, opened.lookup("a.png"), stored_config(doubtful))
    assert waiting(doubtful) == ["a.png", "b.png"]
    told = json.loads(said(doubtful, "--from", "a.png", "--json"))
    assert [one["image"] for one in told["images"]] == ["b.png"]
    assert waiting(doubtful) == ["a.png", "b.png"]
    with Store.open(doubtful) as opened:
        opened.decide(contents["b.png"], Decision.ACCEPTED, author="ann")
        again = apply(opened, propose(opened, "a.png", marked()), mode="remove", author="ann", source_sha256=SOURCE)
        assert opened.lookup("b.png").verdict is Verdict.REVIEW, "this mask nobody has seen"
        undo(opened, again, author="ann")
        assert opened.lookup("b.png").decision is Decision.ACCEPTED
    assert waiting(doubtful) == ["a.png"]
    said(doubtful, "--undo", told["operation"])
    assert waiting(doubtful) == ["a.png", "b.png"]


def test_a_change_does_not_answer_why_an_image_was_asked_about(tmp_path):
    """It was much masked; that it is no more settles nothing, for a run, a redraw or the store."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (240, 160), (255, 0, 0)).save(folder / "red.png")
    config = PipelineConfig()
    store = make_store(folder, config=config)
    with Store.open(store) as opened:
        row = opened.lookup("red.png")
        assert (row.verdict, row.masked_share) == (Verdict.REVIEW, 1)
        opened.put_correction(
            row.content_sha256, CorrectionLayers(replaces=True), author="ann", tool="review", based_on=None
        )
    make_store(folder, config=config)
    with Store.open(store) as opened:
        assert (opened.lookup("red.png").verdict, opened.lookup("red.png").masked_share) == (Verdict.REVIEW, 0)


def test_the_image_that_pixels_are_from_knows_where_they_went(store):
    with Store.open(store) as opened:
        sources = [opened.lookup(name).content_sha256 for name in ("a.png", "none.png")]
        first = apply(opened, propose(opened, "a.png", marked()), mode="add", author="ann", source_sha256=sources[0])
        second = apply(
            opened, propose(opened, "a.png", marked())[:1], mode="remove", author="bob", source_sha256=sources[0]
        )
        undo(opened, first, author="ann")
        found = operations_from(opened, sources[0])
        assert [(one.operation, one.mode, one.images, one.author, one.is_taken_back) for one in found] == [
            (second, "remove", 1, "bob", False), (first, "add", 2, "ann", True),
        ]  # fmt: skip
        assert operations_from(opened, sources[1]) == []


@pytest.mark.parametrize("name", ["0" * 16, "*", "add:*", "[0-9a-f]*"])
def test_an_operation_is_named_exactly(store, name):
    with Store.open(store) as opened:
        apply(opened, propose(opened, "a.png", marked()), mode="add", author="ann", source_sha256=SOURCE)
        with pytest.raises(StoreError, match="Nothing"):
            undo(opened, name, author="ann")


def test_what_an_older_version_carried_over_is_taken_back(store):
    """Its history does not say where the pixels are from."""
    with Store.open(store) as opened:
        content = opened.lookup("b.png").content_sha256
        opened.put_correction(
            content, CorrectionLayers(add=marked()), author="ann", tool="propagate:add:0123456789abcdef", based_on=None
        )
        assert undo(opened, "0123456789abcdef", author="ann").reverted == (content,)
        assert layers_of(opened, "b.png") is None


def said(*arguments, code=0):
    done = automask("propagate", *arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_command_lists_applies_and_undoes(store):
    assert "Nobody corrected a.png" in said(store, "--from", "a.png", code=3)
    with Store.open(store) as opened:
        content = opened.lookup("a.png").content_sha256
        opened.put_correction(content, CorrectionLayers(add=marked()), author="ann", tool="test", based_on=None)
        before = {name: mask_of(opened, name) for name in ("b.png", "c.png")}
    listed = said(store, "--from", "a.png", "--dry-run")
    assert "2 images show the same mark; nothing was changed" in listed
    assert "b.png" in listed
    with Store.open(store) as opened:
        assert layers_of(opened, "b.png") is None
    told = json.loads(said(store, "--from", "a.png", "--json"))
    assert (told["mode"], {one["image"] for one in told["images"]}) == ("add", {"b.png", "c.png"})
    with Store.open(store) as opened:
        assert mask_of(opened, "b.png")[marked(at=(192, 138))].max() == 0
    assert "2 images are as they were before" in said(store, "--undo", told["operation"])
    with Store.open(store) as opened:
        assert all(np.array_equal(mask_of(opened, name), mask) for name, mask in before.items())


@pytest.mark.parametrize("has_layers", [False, True])
def test_a_mask_that_replaces_the_whole_is_not_propagated(store, has_layers):
    whole = np.ones_like(marked())
    empty = np.zeros_like(whole) if has_layers else None
    layers = CorrectionLayers(
        replaces=True, weight_levels=whole.astype(np.uint8), weight_set=whole, already_grown=True, add=empty
    )
    with Store.open(store) as opened:
        content = opened.lookup("a.png").content_sha256
        opened.put_correction(content, layers, author="ann", tool="import", based_on=None)
    told = said(store, "--from", "a.png", code=3)
    assert "replaces its whole mask" in told
    assert "Nobody" not in told


def test_the_command_takes_one_kind_of_correction_and_one_place_of_it(store):
    unmasked = np.zeros_like(marked())
    unmasked[10:30, 10:60] = True
    with Store.open(store) as opened:
        content = opened.lookup("a.png").content_sha256
        layers = CorrectionLayers(add=marked(), remove=unmasked)
        opened.put_correction(content, layers, author="ann", tool="test", based_on=None)
    assert "--mode" in said(store, "--from", "a.png", "--dry-run", code=2)
    for choice in (("--mode", "add"), ("--box", "180,130,240,160")):
        assert "2 images" in said(store, "--from", "a.png", "--dry-run", *choice)
    for wrong in (("--box", "1,2,3"), ("--box", "5,5,5,9"), ("--mode", "both"), ("--undo", "0" * 16)):
        said(store, "--from", "a.png", *wrong, code=2)
    assert "correction-unknown" in said(store, "--undo", "0" * 16, code=5)
