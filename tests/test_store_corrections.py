"""What a person changed: bound to pixels, with history, always kept."""

import sqlite3
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from store_cases import FINGERPRINTS, HEIGHT_PX, WIDTH_PX, file_at, make_result, put, sha256, write_file

from automask.config import PolicyConfig, RenderConfig
from automask.errors import CorrectionConflict, StoreError
from automask.mask.rendering import CorrectionLayers, Mask
from automask.store import STALE_CORRECTION_CODE, Decision, Store, Work
from automask.values.kinds import region_keys
from automask.values.types import Issue, Kind, Verdict

SHAPE = (HEIGHT_PX, WIDTH_PX)
NOTHING_TO_MASK = CorrectionLayers(replaces=True)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "out", create=True) as opened:
        yield opened


def correct(store, content, layers=NOTHING_TO_MASK, *, based_on=None, tool="review"):
    return store.put_correction(content, layers, author="ann", tool=tool, based_on=based_on)


def codes(store, image_id):
    return [issue.code for issue in store.issues(image_id)]


def assert_same_layers(left, right):
    assert (left.replaces, left.already_grown, left.kinds) == (right.replaces, right.already_grown, right.kinds)
    for name in ("add", "remove", "weight_set"):
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)
    if left.weight_set is not None:
        where = left.weight_set
        assert np.array_equal(left.weight_levels[where], right.weight_levels[where])


layers = st.builds(
    lambda replaces, grown, add, remove, weights, kinds: CorrectionLayers(
        replaces, add, remove, weights and weights[0], weights and weights[1], grown, kinds
    ),
    st.booleans(),
    st.booleans(),
    st.none() | hnp.arrays(np.bool_, (5, 7)),
    st.none() | hnp.arrays(np.bool_, (5, 7)),
    st.none() | st.tuples(hnp.arrays(np.uint8, (5, 7)), hnp.arrays(np.bool_, (5, 7))),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.sampled_from(Kind), max_size=4),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers)
def test_layers_come_back_as_they_were(store, given_layers):
    content = uuid.uuid4().hex  # examples share the store
    assert correct(store, content, given_layers) == 1
    assert_same_layers(given_layers, store.correction(content).layers)


def test_empty_layers_mean_nothing_to_mask(store, root):
    content = put(store, write_file(root, "a.jpg", b"pixels"))
    correct(store, content)
    kept = store.correction(content).layers
    assert (kept.replaces, kept.add, kept.remove, kept.weight_set) == (True, None, None, None)
    result = store.result("a.jpg")
    mask = Mask.from_patches(
        result.patches, result.regions, width_px=WIDTH_PX, height_px=HEIGHT_PX,
        render=RenderConfig(), policy=PolicyConfig(), correction=kept,
    )  # fmt: skip
    assert mask.masked_share == 0


def test_history_and_conflicts(store):
    add = np.zeros(SHAPE, dtype=np.bool_)
    assert store.correction("c") is None
    assert correct(store, "c") == 1
    with pytest.raises(CorrectionConflict) as caught:
        correct(store, "c")
    assert caught.value.advice
    assert correct(store, "c", CorrectionLayers(add=add), based_on=1) == 2
    with pytest.raises(CorrectionConflict):
        correct(store, "c", based_on=1)
    with pytest.raises(CorrectionConflict):
        store.withdraw_correction("c", author="bob", tool="review", based_on=1)
    assert store.withdraw_correction("c", author="bob", tool="review", based_on=2) == 3
    assert store.correction("c").layers is None
    assert store.revert_correction("c", to_revision=2, author="ann", tool="review", based_on=3) == 4
    assert_same_layers(store.correction("c").layers, CorrectionLayers(add=add))
    assert store.revert_correction("c", to_revision=3, author="ann", tool="review", based_on=4) == 5
    history = store.correction_history("c")
    assert [(one.revision, one.author, one.layers is None) for one in history] == [
        (1, "ann", False), (2, "ann", False), (3, "bob", True), (4, "ann", False), (5, "ann", True),
    ]  # fmt: skip
    assert history[0].created_s <= history[-1].created_s
    with pytest.raises(StoreError, match="no revision 9"):
        store.revert_correction("c", to_revision=9, author="ann", tool="review", based_on=5)


@pytest.mark.parametrize("statement", ["DELETE FROM corrections", "UPDATE corrections SET author = 'me'"])
def test_history_cannot_be_rewritten(store, tmp_path, statement):
    correct(store, "c")
    connection = sqlite3.connect(tmp_path / "out" / "automask.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        connection.execute(statement)
    connection.close()


def test_layers_must_fit(store, root):
    content = put(store, write_file(root, "a.jpg", b"pixels"))
    plane, other = np.zeros(SHAPE, dtype=np.bool_), np.zeros((3, 3), dtype=np.bool_)
    for wrong in (
        CorrectionLayers(add=other),
        CorrectionLayers(add=plane, remove=other),
        CorrectionLayers(weight_set=plane),
        CorrectionLayers(weight_set=plane, weight_levels=np.zeros(SHAPE, dtype=np.float32)),
        CorrectionLayers(add=np.zeros((1, 2, 3), dtype=np.bool_)),
        CorrectionLayers(add=np.zeros(SHAPE, dtype=np.uint8)),
    ):
        with pytest.raises(ValueError, match=r"layer|weight|bool"):
            correct(store, content, wrong)
    assert store.correction(content) is None


class TestKinds:
    """The kinds of an image are those of its regions as people call them."""

    @pytest.fixture
    def content(self, store, root):
        return put(store, write_file(root, "a.jpg", b"pixels"))

    def kinds(self, store, image_id="a.jpg"):
        return store.lookup(image_id).kinds

    def named(self, store, kind, *, position=0):
        key = region_keys(store.regions("a.jpg"))[position]
        return CorrectionLayers(kinds={key: kind})

    def test_follow_the_newest_revision(self, store, content):
        assert self.kinds(store) == (Kind.FRAME, Kind.TEXT)
        correct(store, content, self.named(store, Kind.WATERMARK))
        assert self.kinds(store) == (Kind.FRAME, Kind.WATERMARK)
        assert list(store.called_kinds(content).values()) == [Kind.WATERMARK]
        correct(store, content, self.named(store, Kind.FRAME), based_on=1)
        assert self.kinds(store) == (Kind.FRAME,)
        store.withdraw_correction(content, author="ann", tool="review", based_on=2)
        assert self.kinds(store) == (Kind.FRAME, Kind.TEXT)
        store.revert_correction(content, to_revision=1, author="ann", tool="review", based_on=3)
        assert self.kinds(store) == (Kind.FRAME, Kind.WATERMARK)
        assert store.counts().kinds == {Kind.FRAME: 1, Kind.WATERMARK: 1}
        assert [region.kind for region in store.regions("a.jpg")] == [Kind.TEXT, Kind.FRAME], "as they were found"

    def test_stay_when_the_same_is_found_again_or_under_another_name(self, store, root, content):
        correct(store, content, self.named(store, Kind.OVERLAY, position=1))
        put(store, file_at(root, "a.jpg"))
        put(store, write_file(root, "copy.jpg", b"pixels"))
        assert self.kinds(store) == self.kinds(store, "copy.jpg") == (Kind.OVERLAY, Kind.TEXT)

    def test_of_what_is_not_there_mean_nothing(self, store, content):
        correct(store, content, CorrectionLayers(kinds={"rapidocr 0,0,1,1": Kind.OVERLAY}))
        assert self.kinds(store) == (Kind.FRAME, Kind.TEXT)

    def test_cannot_be_changed_or_made_up(self, store):
        layers = CorrectionLayers(kinds={"a": Kind.TEXT})
        with pytest.raises(TypeError):
            layers.kinds["b"] = Kind.TEXT
        with pytest.raises(ValueError, match="doodle"):
            CorrectionLayers(kinds={"a": "doodle"})


def test_a_new_correction_makes_the_mask_outdated(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    content = put(store, file)
    correct(store, content)
    assert store.outdated_masks() == ["a.jpg"]
    assert store.plan(file, FINGERPRINTS).work is Work.RENDER
    put(store, file)
    assert store.outdated_masks() == []
    assert store.plan(file, FINGERPRINTS).work is Work.NONE
    assert store.counts().corrected == 1
    store.withdraw_correction(content, author="ann", tool="review", based_on=1)
    assert store.plan(file, FINGERPRINTS).work is Work.RENDER
    put(store, file)
    assert store.plan(file, FINGERPRINTS).work is Work.NONE
    assert store.counts().corrected == 0


def test_renamed_image_takes_its_correction_along(store, root):
    file = write_file(root, "a.jpg", b"pixels")
    content = put(store, file)
    correct(store, content)
    put(store, file)
    file.path.rename(root / "b.jpg")
    renamed = file_at(root, "b.jpg")
    plan = store.plan(renamed, FINGERPRINTS)
    assert plan.work is Work.RENDER
    assert plan.image.content_sha256 == content
    assert store.correction(plan.image.content_sha256).revision == 1
    put(store, renamed)
    store.mark_missing(lambda image_id: image_id == "a.jpg")
    assert store.plan(renamed, FINGERPRINTS).work is Work.NONE
    assert store.lookup("b.jpg").correction_revision == 1
    assert codes(store, "b.jpg") == []


class TestStale:
    @pytest.fixture
    def changed(self, store, root):
        """An image whose pixels changed after it was corrected."""
        file = write_file(root, "a.jpg", b"pixels")
        content = put(store, file)
        correct(store, content)
        put(store, file)
        put(store, write_file(root, "a.jpg", b"new pixels"), issues=(Issue("decode", "other", "Stays."),))
        return content

    def test_kept_unapplied_and_for_review(self, store, changed):
        stored = store.lookup("a.jpg")
        assert (stored.verdict, stored.correction_revision, stored.stale_sha256) == (Verdict.REVIEW, None, changed)
        assert codes(store, "a.jpg") == ["other", STALE_CORRECTION_CODE]
        assert store.stale_correction("a.jpg").layers.replaces
        assert store.counts().review == 1
        result = store.result("a.jpg")
        assert (result.verdict, [issue.code for issue in result.issues]) == (Verdict.AUTO, ["other"])

    def test_stays_so_when_drawn_again(self, store, root, changed):
        store.put_result(file_at(root, "a.jpg"), store.result("a.jpg"), None, content_sha256=sha256(b"new pixels"))
        assert codes(store, "a.jpg") == ["other", STALE_CORRECTION_CODE]
        put(store, write_file(root, "a.jpg", b"third pixels"))
        assert store.lookup("a.jpg").stale_sha256 == changed
        assert store.lookup("a.jpg").verdict is Verdict.REVIEW

    def test_old_pixels_again(self, store, root, changed):
        file = write_file(root, "a.jpg", b"pixels")
        put(store, file)
        assert store.lookup("a.jpg").correction_revision == 1
        assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, [])

    @pytest.mark.parametrize("tool", ["review", "propagate:add:0123456789abcdef"])
    def test_a_change_of_the_new_pixels_does_not_settle_it_but_accepting_does(self, store, changed, tool):
        correct(store, sha256(b"new pixels"), tool=tool)
        assert store.lookup("a.jpg").verdict is Verdict.REVIEW
        assert codes(store, "a.jpg") == ["other", STALE_CORRECTION_CODE]
        store.decide(sha256(b"new pixels"), Decision.ACCEPTED, author="ann")
        assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, ["other"])

    def test_settled_by_a_whole_mask_of_the_new_pixels(self, store, changed):
        correct(store, sha256(b"new pixels"), tool="mask-file")
        assert store.stale_correction("a.jpg") is None
        assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, ["other"])

    def test_settled_by_withdrawing_the_old_one(self, store, changed):
        store.withdraw_correction(changed, author="ann", tool="review", based_on=1)
        assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, ["other"])

    def test_settled_when_the_old_pixels_turn_up_elsewhere(self, store, root, changed):
        put(store, write_file(root, "moved.jpg", b"pixels"))
        assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, ["other"])
        assert store.lookup("moved.jpg").correction_revision == 1

    def test_unreadable_for_a_while(self, store, root):
        file = write_file(root, "a.jpg", b"pixels")
        correct(store, put(store, file))
        put(store, file)
        store.put_failure(replace(file, size_bytes=0), [Issue("decode", "image-unreadable", "Gone.", "error")])
        assert store.lookup("a.jpg").content_sha256 is None
        assert codes(store, "a.jpg") == ["image-unreadable"]
        put(store, file)
        assert (codes(store, "a.jpg"), store.lookup("a.jpg").correction_revision) == ([], 1)
        store.put_failure(file, [Issue("decode", "image-unreadable", "No permission.", "error")])
        put(store, write_file(root, "a.jpg", b"new pixels"))
        assert codes(store, "a.jpg") == [STALE_CORRECTION_CODE]

    def test_the_verdict_of_the_pipeline_survives(self, store, root, changed):
        put(store, file_at(root, "a.jpg"), verdict=Verdict.REVIEW)
        store.withdraw_correction(changed, author="ann", tool="review", based_on=1)
        assert store.lookup("a.jpg").verdict is Verdict.REVIEW

    def test_put_mask_keeps_the_mark(self, store, changed):
        store.put_mask(
            "a.jpg", np.zeros(SHAPE, dtype=np.uint8), fuse_fingerprint="fuse-2", confidence=0.9,
            verdict=Verdict.AUTO, correction_revision=None, issues=(),
        )  # fmt: skip
        assert store.lookup("a.jpg").verdict is Verdict.REVIEW
        assert codes(store, "a.jpg") == [STALE_CORRECTION_CODE]


def test_changed_pixels_without_a_correction_are_nothing_special(store, root):
    put(store, write_file(root, "a.jpg", b"pixels"))
    put(store, write_file(root, "a.jpg", b"new pixels"))
    assert (store.lookup("a.jpg").verdict, codes(store, "a.jpg")) == (Verdict.AUTO, [])


def test_renumbered_folder_moves_every_correction(store, root):
    """1, 2, 3 become 2, 3, 4: each name gets the pixels of another image, and nothing is stale at the end."""
    contents = []
    for number in (1, 2, 3):
        file = write_file(root, f"{number}.jpg", bytes([number]))
        contents.append(put(store, file))
        correct(store, contents[-1])
        put(store, file)
    for number in (3, 2, 1):
        (root / f"{number}.jpg").rename(root / f"{number + 1}.jpg")
    for number in (2, 3, 4):
        put(store, file_at(root, f"{number}.jpg"))
    assert store.mark_missing(lambda image_id: not (root / image_id).exists()) == 1
    for number in (2, 3, 4):
        stored = store.lookup(f"{number}.jpg")
        assert (stored.content_sha256, stored.correction_revision) == (contents[number - 2], 1)
        assert (stored.verdict, codes(store, stored.image_id)) == (Verdict.AUTO, [])


def test_corrections_of_unknown_images_wait_for_them(store, root):
    correct(store, sha256(b"pixels"), replace(NOTHING_TO_MASK, already_grown=True))
    file = write_file(root, "a.jpg", b"pixels")
    put(store, file)
    assert store.lookup("a.jpg").correction_revision == 1
    assert make_result("a.jpg").verdict is store.lookup("a.jpg").verdict
