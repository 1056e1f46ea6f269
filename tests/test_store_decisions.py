"""What a person decides about an image: bound to pixels, kept with history, settles the verdict."""

import hashlib
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from store_cases import file_at, make_result, put, write_file

from automask.errors import InputError
from automask.mask.rendering import CorrectionLayers
from automask.store import Decision, Status, Store
from automask.values.types import Fingerprints, Kind, Verdict

NOTHING = CorrectionLayers(replaces=True)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "out", create=True) as opened:
        yield opened


@pytest.fixture
def doubtful(store, tmp_path):
    """(store, file, content) of an image with verdict review."""
    file = write_file(tmp_path / "in", "a.png", b"pixels")
    return store, file, put(store, file, verdict=Verdict.REVIEW, confidence=0.3)


def state(store, image_id="a.png"):
    row = store.lookup(image_id)
    return row.decision, row.verdict


def test_accepting_settles_the_verdict_and_taking_it_back_restores_it(doubtful):
    store, _, content = doubtful
    record = store.decide(content, Decision.ACCEPTED, author="ann")
    assert (record.revision, record.decision, record.author) == (1, Decision.ACCEPTED, "ann")
    assert store.decision(content) == record
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)
    store.decide(content, None, author="bob")
    assert state(store) == (None, Verdict.REVIEW)
    assert [(one.decision, one.author) for one in store.decision_history(content)] == [
        (Decision.ACCEPTED, "ann"),
        (None, "bob"),
    ]


def test_skipping_settles_nothing_and_excluding_does(doubtful):
    store, _, content = doubtful
    store.decide(content, Decision.SKIPPED, author="ann")
    assert state(store) == (Decision.SKIPPED, Verdict.REVIEW)
    store.decide(content, Decision.EXCLUDED, author="ann")
    assert state(store) == (Decision.EXCLUDED, Verdict.AUTO)


@pytest.mark.parametrize("tool", ["review", "propagate:add:0123456789abcdef", "somebody's own"])
def test_a_change_settles_nothing_until_it_is_accepted(doubtful, tool):
    store, _, content = doubtful
    store.put_correction(content, NOTHING, author="ann", tool=tool, based_on=None)
    assert state(store) == (None, Verdict.REVIEW)
    assert (store.counts().review, store.counts().auto) == (1, 0)
    store.decide(content, Decision.ACCEPTED, author="ann")
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


@pytest.mark.parametrize("tool", ["mask-file", "import-coco"])
def test_a_whole_mask_from_another_program_settles(doubtful, tool):
    store, _, content = doubtful
    revision = store.put_correction(content, NOTHING, author="ann", tool=tool, based_on=None)
    assert state(store) == (None, Verdict.AUTO)
    store.put_correction(content, NOTHING, author="ann", tool="propagate:add:0123456789abcdef", based_on=revision)
    assert state(store) == (None, Verdict.REVIEW), "nobody has seen what came from another image"


def painted(value, *, kinds=None):
    """A correction of the image of `make_result`, (24, 32)."""
    add = np.zeros((24, 32), dtype=np.bool_)
    add[:value, :value] = True
    return CorrectionLayers(add=add, remove=np.zeros_like(add), kinds=kinds or {})


def test_acceptance_lapses_with_a_change_and_is_back_when_it_is_undone(doubtful):
    store, _, content = doubtful
    store.put_correction(content, painted(5), author="ann", tool="review", based_on=None)
    store.decide(content, Decision.ACCEPTED, author="ann")
    other = [painted(6), painted(5, kinds={"test 0,0,1,1": Kind.FRAME}), replace(painted(5), already_grown=True)]
    for revision, layers in enumerate(other, start=1):
        now = store.put_correction(content, layers, author="ann", tool="review", based_on=2 * revision - 1)
        assert state(store) == (None, Verdict.REVIEW)
        same = replace(painted(5), remove=None)  # an empty layer says as much as none
        store.put_correction(content, same, author="ann", tool="review", based_on=now)
        assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


def test_acceptance_without_a_correction_is_back_when_all_changes_are_withdrawn(doubtful):
    store, _, content = doubtful
    store.decide(content, Decision.ACCEPTED, author="ann")
    store.put_correction(content, painted(5), author="ann", tool="propagate:add:0123456789abcdef", based_on=None)
    assert state(store) == (None, Verdict.REVIEW)
    store.withdraw_correction(content, author="ann", tool="propagate-undo:0123456789abcdef", based_on=1)
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


def test_acceptance_by_an_older_version_holds(doubtful):
    """It hashed the number of the revision instead of what it says."""
    store, _, content = doubtful
    revision = store.put_correction(content, painted(5), author="ann", tool="review", based_on=None)
    seen = hashlib.sha256()
    with store._database.writing() as connection:
        for row in connection.execute("SELECT kind, patch_x0, patch_y0, patch_rle FROM regions ORDER BY position"):
            seen.update(f"{row['kind']} {row['patch_x0']} {row['patch_y0']} ".encode() + bytes(row["patch_rle"]))
        seen.update(f"correction {revision}".encode())
        connection.execute(
            "INSERT INTO decisions (content_sha256, revision, created_s, author, decision, seen_sha256)"
            " VALUES (?, 1, 0, 'ann', 'accepted', ?)",
            (content, seen.hexdigest()),
        )
    store.put_mask(
        "a.png", np.full((24, 32), 255, dtype=np.uint8), fuse_fingerprint="fuse-2", confidence=0.2,
        verdict=Verdict.REVIEW, correction_revision=revision,
    )  # fmt: skip
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


def test_acceptance_survives_a_redraw_and_a_rerun_with_the_same_pixels(doubtful):
    store, file, content = doubtful
    store.decide(content, Decision.ACCEPTED, author="ann")
    levels = np.full((24, 32), 255, dtype=np.uint8)
    store.put_mask(
        "a.png", levels, fuse_fingerprint="fuse-2", confidence=0.2, verdict=Verdict.REVIEW, correction_revision=None
    )
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)
    put(store, file, verdict=Verdict.REVIEW, fingerprints=Fingerprints("detect-2", "refine-2", "fuse-2"))
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


def test_acceptance_lapses_when_a_run_finds_other_pixels(doubtful):
    store, file, content = doubtful
    store.decide(content, Decision.ACCEPTED, author="ann")
    result = make_result(file.id, verdict=Verdict.REVIEW)
    fewer = type(result)(
        **{name: getattr(result, name) for name in result.__dataclass_fields__}
        | {"regions": result.regions[:1], "patches": result.patches[:1]}
    )
    store.put_result(file, fewer, None, content_sha256=content)
    assert state(store) == (None, Verdict.REVIEW)
    assert store.decision(content).decision is Decision.ACCEPTED  # the history keeps it
    put(store, file, verdict=Verdict.REVIEW)
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)


def test_acceptance_of_a_corrected_mask_does_not_outlive_the_correction(doubtful):
    store, _, content = doubtful
    revision = store.put_correction(content, NOTHING, author="ann", tool="review", based_on=None)
    store.decide(content, Decision.ACCEPTED, author="ann")
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)
    store.withdraw_correction(content, author="ann", tool="review", based_on=revision)
    assert state(store) == (None, Verdict.REVIEW)


def test_exclusion_follows_the_pixels_to_a_new_name_and_not_the_name_to_new_pixels(doubtful, tmp_path):
    store, file, content = doubtful
    store.decide(content, Decision.EXCLUDED, author="ann")
    copy = write_file(tmp_path / "in", "b.png", b"pixels")
    put(store, copy)
    assert state(store, "b.png")[0] is Decision.EXCLUDED
    file.path.write_bytes(b"other pixels")
    put(store, file_at(tmp_path / "in", "a.png"), verdict=Verdict.REVIEW)
    assert state(store) == (None, Verdict.REVIEW)


def test_a_decision_about_new_pixels_settles_a_stale_correction(doubtful, tmp_path):
    store, file, content = doubtful
    store.put_correction(content, NOTHING, author="ann", tool="review", based_on=None)
    file.path.write_bytes(b"other pixels")
    fresh = put(store, file_at(tmp_path / "in", "a.png"))
    assert store.lookup("a.png").verdict is Verdict.REVIEW
    assert [issue.code for issue in store.issues("a.png")] == ["correction-stale"]
    store.decide(fresh, Decision.ACCEPTED, author="ann")
    assert state(store) == (Decision.ACCEPTED, Verdict.AUTO)
    assert store.issues("a.png") == []
    store.decide(fresh, None, author="ann")
    assert state(store) == (None, Verdict.REVIEW)


def test_listing_and_counting(store, tmp_path):
    contents = [put(store, write_file(tmp_path / "in", f"{n}.png", b"%d" % n)) for n in range(5)]
    store.decide_all(contents[:2], Decision.ACCEPTED, author="ann")
    store.decide(contents[4], Decision.EXCLUDED, author="ann")
    assert [row.image_id for row in store.images(decision=Decision.ACCEPTED)] == ["0.png", "1.png"]
    assert store.counts().decisions == {Decision.ACCEPTED: 2, Decision.EXCLUDED: 1}
    store.mark_missing(lambda image_id: image_id == "4.png")
    assert store.counts().decisions == {Decision.ACCEPTED: 2}


def test_decisions_about_unknown_content_are_refused_as_a_whole(doubtful):
    store, _, content = doubtful
    with pytest.raises(InputError, match="no image") as caught:
        store.decide_all([content, "0" * 64], Decision.ACCEPTED, author="ann")
    assert caught.value.code == "image-unknown"
    assert store.decision(content) is None


def test_a_failed_image_can_be_excluded(store, tmp_path):
    file = write_file(tmp_path / "in", "a.png", b"broken")
    store.put_failure(file, [], content_sha256="f" * 64)
    store.decide("f" * 64, Decision.EXCLUDED, author="ann")
    row = store.lookup("a.png")
    assert (row.status, row.decision, row.verdict) == (Status.FAILED, Decision.EXCLUDED, None)


def test_history_cannot_be_changed(doubtful):
    store, _, content = doubtful
    store.decide(content, Decision.ACCEPTED, author="ann")
    connection = sqlite3.connect(store.root / "automask.sqlite")
    for statement in ("UPDATE decisions SET author = 'x'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
            connection.execute(statement)
    connection.close()
