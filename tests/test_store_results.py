"""Results in and out, and what a run finds to do."""

import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import PngImagePlugin
from store_cases import (
    FINGERPRINTS,
    assert_same_result,
    make_levels,
    make_result,
    put,
    sha256,
    write_file,
)

from automask.errors import StoreError
from automask.files.png import is_as_written
from automask.store import Status, Store, Work
from automask.values.geometry import Box
from automask.values.types import Issue, Kind, MaskResult, Patch, Region, Verdict


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "out", create=True) as opened:
        yield opened


def work(store, file, fingerprints=FINGERPRINTS):
    return store.plan(file, fingerprints).work


def test_round_trip(store, root):
    file = write_file(root, "sub/a.jpg", b"pixels")
    put(store, file, issues=(Issue("decode", "wrong-extension", "It is a PNG.", "warning"),))
    stored = store.lookup("sub/a.jpg")
    assert (stored.status, stored.verdict, stored.kinds) == (Status.DONE, Verdict.AUTO, (Kind.FRAME, Kind.TEXT))
    assert stored.masked_share == pytest.approx(5 / 24)
    assert (stored.width_px, stored.height_px, stored.fingerprints) == (32, 24, FINGERPRINTS)
    assert_same_result(store.result(file.id), make_result(file.id, issues=tuple(store.issues(file.id))))
    assert [region.artefact for region in store.regions(file.id)] == [None, None]
    assert store.regions(file.id)[0].attributes["text"] == "Привет"
    assert store.lookup("nobody") is None
    assert store.result("nobody") is None
    assert store.issues("nobody") == []


def test_mask_file_says_its_polarity(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    put(store, file)
    with PillowImage.open(store.mask_path("a.png")) as image:
        assert (image.mode, image.size) == ("L", (32, 24))
        assert image.text["automask"] == "white = train, black = ignore"
        assert np.array_equal(np.asarray(image), make_levels())
        assert is_as_written(image)


def test_an_edited_mask_is_told_from_ours_even_where_the_editor_keeps_our_text(store, root):
    put(store, write_file(root, "a.jpg", b"pixels"))
    path = store.mask_path("a.png")
    with PillowImage.open(path) as image:
        text = PngImagePlugin.PngInfo()
        for key, value in image.text.items():
            text.add_text(key, value)
        edited = image.copy()
    edited.save(path, pnginfo=text)  # the same pixels, written by another program
    with PillowImage.open(path) as image:
        assert is_as_written(image)
    edited.putpixel((3, 20), 0)
    edited.save(path, pnginfo=text)
    with PillowImage.open(path) as image:
        assert not is_as_written(image)
    edited.save(path)
    with PillowImage.open(path) as image:
        assert not is_as_written(image)


boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), *[st.integers(0, 20)] * 2, *[st.integers(1, 12)] * 2)
shares = st.floats(0, 1)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def found(draw):
    def artefact(box):
        return np.array(draw(st.lists(st.booleans(), min_size=box.area_px, max_size=box.area_px))).reshape(box.shape)

    box, window = draw(boxes), draw(boxes)
    patch = Patch(window, artefact(window), draw(shares), draw(names), note=draw(names))
    region = Region(
        draw(st.sampled_from(Kind)),
        box,
        draw(shares),
        draw(names),
        polygon=draw(st.none() | st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(tuple)),
        artefact=draw(st.sampled_from([None, patch.artefact if box == window else None]))
        if draw(st.booleans())
        else artefact(box),
        attributes=draw(st.dictionaries(names, names | st.integers() | numbers | st.booleans(), max_size=3)),
        proposed=draw(st.booleans()),
    )
    return region, patch


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(found(), max_size=3), shares, st.sampled_from(Verdict), st.lists(st.tuples(names, names), max_size=2))
def test_any_result_comes_back_as_it_was(store, root, pairs, confidence, verdict, notes):
    file = write_file(root, "a.jpg", b"pixels")
    result = MaskResult(
        "a.jpg", 32, 24, [p[0] for p in pairs], [p[1] for p in pairs],
        [Issue("detect", f"x{code}", message) for code, message in notes], FINGERPRINTS, {"a": confidence},
        confidence=confidence, verdict=verdict,
    )  # fmt: skip
    store.put_result(file, result, make_levels(), content_sha256=sha256(b"pixels"))
    assert_same_result(store.result("a.jpg"), result)
    outlines = [store.regions("a.jpg"), store.regions_and_issues(verdict)[0].get("a.jpg", [])]
    assert [[region.proposed for region in found] for found in outlines] == [[p[0].proposed for p in pairs]] * 2


def test_names_and_messages_that_are_not_utf8(store, root):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    file = write_file(root, name, b"pixels")
    issue = Issue("decode", "odd", f"{name} is odd.")
    put(store, file, issues=(issue,))
    assert [stored.image_id for stored in store.images()] == [name]
    assert store.issues(name) == [issue]
    assert work(store, file) is Work.NONE
    assert list(store.verify()) == []
    run_id = store.begin_run(config_json="{}", input_root=name, version="1")
    assert (store.last_run().run_id, store.last_run().input_root) == (run_id, name)


def test_numpy_scalars_in_evidence(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    box = Box(0, 0, 2, 2)
    region = Region(Kind.TEXT, box, np.float32(0.5), "x", attributes={"a": np.float32(0.25), "b": np.bool_(True)})
    patch = Patch(box, np.ones((2, 2), dtype=np.bool_), np.float64(1), "polygon")
    result = replace(make_result("a.jpg"), regions=(region,), patches=(patch,), confidence=np.float32(0.5))
    store.put_result(file, result, make_levels(), content_sha256="c")
    assert store.result("a.jpg").regions[0].attributes == {"a": 0.25, "b": True}


class TestFailures:
    ISSUES = (Issue("decode", "image-truncated", "It ends early.", "error"),)

    def test_row_without_mask(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        store.put_failure(file, self.ISSUES)
        stored = store.lookup("a.jpg")
        assert (stored.status, stored.verdict, stored.mask_name) == (Status.FAILED, None, None)
        assert store.issues("a.jpg") == list(self.ISSUES)
        assert work(store, file) is Work.DETECT

    def test_mask_of_the_same_pixels_stays(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        content = put(store, file)
        store.put_failure(file, self.ISSUES, content_sha256=content)
        assert store.lookup("a.jpg").mask_name == "a.png"
        assert store.mask_path("a.png").exists()
        assert store.result("a.jpg") is None
        assert work(store, file) is Work.DETECT

    def test_unreadable_but_unchanged(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        content = put(store, file)
        store.put_failure(file, self.ISSUES)
        stored = store.lookup("a.jpg")
        assert (stored.status, stored.mask_name, stored.content_sha256) == (Status.FAILED, "a.png", content)
        assert store.mask_path("a.png").exists()

    @pytest.mark.parametrize("content", [None, "other"])
    def test_mask_of_other_pixels_goes(self, store, root, content):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        store.put_failure(replace(file, size_bytes=7), self.ISSUES, content_sha256=content)
        assert store.lookup("a.jpg").mask_name is None
        assert not store.mask_path("a.png").exists()
        assert store.regions("a.jpg") == []
        assert list(store.verify()) == []


def test_put_mask_replaces_only_the_mask(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    put(store, file, issues=(Issue("detect", "kept", "Kept."),))
    store.put_mask(
        "a.jpg", make_levels(20), fuse_fingerprint="fuse-2", confidence=0.3, verdict=Verdict.REVIEW,
        correction_revision=None,
    )  # fmt: skip
    stored = store.lookup("a.jpg")
    assert (stored.verdict, stored.confidence, stored.fingerprints.fuse) == (Verdict.REVIEW, 0.3, "fuse-2")
    assert stored.masked_share == pytest.approx(20 / 24)
    assert [issue.code for issue in store.issues("a.jpg")] == ["kept"]
    assert work(store, file, replace(FINGERPRINTS, fuse="fuse-2")) is Work.NONE
    with pytest.raises(StoreError, match="no result"):
        store.put_mask(
            "b.jpg", make_levels(), fuse_fingerprint="f", confidence=1, verdict=Verdict.AUTO, correction_revision=None
        )


def test_levels_of_another_size_are_refused(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    with pytest.raises(ValueError, match="levels must be"):
        store.put_result(file, make_result("a.jpg"), make_levels()[1:], content_sha256="c")
    assert store.lookup("a.jpg") is None


def test_missing_images_keep_what_was_found(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    put(store, file)
    assert store.mark_missing(lambda image_id: True) == 1
    assert store.mark_missing(lambda image_id: True) == 0
    assert store.counts().missing == 1
    assert not store.mask_path("a.png").exists()
    assert store.result("a.jpg") is not None
    assert work(store, file) is Work.RENDER  # it is back: no model has to run
    put(store, file)
    assert store.counts().missing == 0


def test_a_mask_that_somebody_changed_is_never_deleted(store, root):
    put(store, write_file(root, "a.jpg", b"pixels"))
    path = store.mask_path("a.png")
    PillowImage.fromarray(make_levels(11)).save(path)
    edited = path.read_bytes()
    store.mark_missing(lambda image_id: True)
    assert path.read_bytes() == edited
    assert [problem.code for problem in store.verify()] == ["mask-unknown"]


def test_damaged_blob_is_a_store_error(store, root, tmp_path):
    put(store, write_file(root, "a.jpg", b"pixels"))
    with sqlite3.connect(tmp_path / "out" / "automask.sqlite") as connection:
        connection.execute("UPDATE regions SET patch_rle = x'0102' WHERE position = 1")
    connection.close()
    with pytest.raises(StoreError) as caught:
        store.result("a.jpg")
    assert caught.value.code == "store-corrupt"
    assert [problem.code for problem in store.verify()] == ["result-damaged"]


def test_verify_names_strangers(store, root):
    put(store, write_file(root, "a.jpg", b"pixels"))
    (store.masks_root / "stranger.png").write_bytes(b"")
    store.mask_path("a.png").unlink()
    assert sorted(problem.code for problem in store.verify()) == ["mask-missing", "mask-unknown"]


def test_threads_share_a_store(store, root):
    files = [write_file(root, f"{number}.jpg", bytes([number])) for number in range(24)]
    failures = []

    def write(share):
        try:
            for file in share:
                put(store, file)
                assert store.plan(file, FINGERPRINTS).work is Work.NONE
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(files[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store.counts()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.counts().done == 24
    assert list(store.verify()) == []
