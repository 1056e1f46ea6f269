"""What we exported changes nothing when it comes back; what somebody touched changes its own image only."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from import_cases import (
    CORRECTED,
    NAMES,
    ROUNDS,
    SIZE_PX,
    export_round,
    levels_of,
    make_import_store,
    run,
    state_of,
)
from PIL import Image

from automask.errors import ConfigError, CorrectionConflict
from automask.importing.found import FoundMask
from automask.importing.names import Entry, match_by_name
from automask.importing.run import READERS
from automask.mask.rendering import CorrectionLayers
from automask.store import Store
from automask.trainers.conventions import TRAINERS
from automask.values.types import Verdict


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_import_store(tmp_path_factory.mktemp("untouched"))


@pytest.fixture
def store(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "store"))


# From above what is masked, however far a trainer's masks are grown: a box inside of it would change nothing.
BOXES = st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(50, SIZE_PX[0]), st.integers(25, SIZE_PX[1]))


def test_every_reader_takes_part():
    assert {case.format for case in ROUNDS.values()} == set(READERS)


@pytest.mark.parametrize("name", sorted(ROUNDS))
@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(touched=st.sampled_from(NAMES), box=BOXES)
def test_an_export_changes_nothing_and_a_touched_entry_only_its_own(original, tmp_path, name, touched, box):
    case = ROUNDS[name]
    root = tmp_path / "store"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(original, root)
    before = state_of(root)
    source = export_round(root, case, tmp_path / "out")
    summary = run(root, source, case.format, replaces=True)
    assert (summary.imported, summary.unusable, summary.would_empty, summary.unmatched) == ([], {}, [], ())
    assert len(summary.unchanged) + len(summary.left_alone) == len(NAMES)
    assert state_of(root) == before
    case.touch(source, touched, box)
    summary = run(root, source, case.format, replaces=True)
    assert (summary.imported, sorted([*summary.unchanged, touched])) == ([touched], NAMES), summary
    after = state_of(root)
    assert {key: after[key] for key in NAMES if key != touched} == {key: before[key] for key in NAMES if key != touched}
    x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
    trainer = TRAINERS.get(case.format)
    is_stored = trainer is not None and not trainer.transposes_exif and name != "kohya-alpha"
    stored = is_stored and touched == "turned.jpg"
    centre = (SIZE_PX[0] - 1 - x, SIZE_PX[1] - 1 - y) if stored else (x, y)
    assert levels_of(root, touched)[centre[1], centre[0]] == 0
    assert run(root, source, case.format).imported == []
    assert run(root, export_round(root, case, tmp_path / "out"), case.format, replaces=True).imported == []
    assert state_of(root) == after


def test_what_is_untouched_keeps_its_kind_beside_what_is_new(store, tmp_path):
    source = export_round(store, ROUNDS["cvat"], tmp_path / "out")
    ROUNDS["cvat"].touch(source, "a.png", (60, 40, 90, 60))
    run(store, source, "cvat")
    again = export_round(store, ROUNDS["cvat"], tmp_path / "again").read_text()
    image = again[again.index('name="a.png"') : again.index('name="b.jpg"')]
    assert [image.count(f'label="{kind}"') for kind in ("text", "custom")] == [1, 1]


UPLOADS = [
    ("images/7d56f811-a.jpg", "a.jpg"), ("data/upload/3/7d56f811-a.jpg", "a.jpg"), ("7d56f811-b_c.png", "sub/b c.png"),
    ("7d56f811-fünf.jpg", "fünf.jpg"), ("7d56f811-same.png", None), ("7d56f81-a.jpg", None), ("7D56F811-a.jpg", None),
    ("x7d56f811-a.jpg", None), ("7d56f811-a.png", None), ("7d56f811-", None),
    ("0badcafe-seen.png", "0badcafe-seen.png"),
    ("sub__b c.png", "sub/b c.png"), ("images\\a.jpg", "a.jpg"), ("./a.jpg", "a.jpg"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "meant"), UPLOADS)
def test_names_of_uploads(name, meant):
    images = ["a.jpg", "sub/b c.png", "fünf.jpg", "x/same.png", "y/same.png", "0badcafe-seen.png", "seen.png"]
    found = match_by_name(images, [Entry([name], FoundMask(name, lambda target: None))])
    assert (list(found.masks), found.unmatched) == (([meant], ()) if meant else ([], (name,)))
    assert list(found.prefixed) == ([meant] if meant and "7d56f811" in name else [])


@pytest.mark.parametrize("name", ["kohya", "onetrainer", "kohya-alpha", "coco-rle", "labelme", "labelstudio", "cvat"])
def test_flat_names_are_known(store, tmp_path, name):
    source = export_round(store, ROUNDS[name], tmp_path / "out", flatten=True, images="link")
    summary = run(store, source, ROUNDS[name].format)
    assert (summary.imported, summary.unmatched, summary.without) == ([], (), 0)


@pytest.mark.parametrize("name", ["masks", "kohya", "onetrainer", "rgba"])
def test_the_options_of_an_export_are_known_from_its_manifest(store, tmp_path, name):
    source = export_round(store, ROUNDS[name], tmp_path / "out", growth_cells=3.0, training_px=512)
    before = state_of(store)
    assert run(store, source, ROUNDS[name].format).imported == []
    assert state_of(store) == before


@pytest.mark.parametrize(
    "header", ["", "[" * 100_000, "{}", '{"format": 1}', '{"format": 1, "exporter": "x", "options": 3}']
)
def test_a_strange_manifest_is_none(store, tmp_path, header):
    source = export_round(store, ROUNDS["masks"], tmp_path / "out")
    (tmp_path / "out" / "automask-export.jsonl").write_text(header)
    assert run(store, source).imported == []


def test_masks_packed_anew_are_the_same_masks(store, tmp_path):
    source = export_round(store, ROUNDS["masks"], tmp_path / "out")
    for path in source.rglob("*.png"):
        Image.open(path).convert("RGB").save(path, compress_level=9)
    assert run(store, source).imported == []


@pytest.mark.parametrize("name", ["kohya", "onetrainer"])
def test_masks_of_the_store_are_known_in_any_layout(store, tmp_path, name):
    for image_id in NAMES:
        wanted = tmp_path / "in" / TRAINERS[name].naming.mask_name(image_id)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        levels = levels_of(store, image_id)
        Image.fromarray(levels[::-1, ::-1] if (name, image_id) == ("kohya", "turned.jpg") else levels).save(wanted)
    before = state_of(store)
    assert run(store, tmp_path / "in", name).kept == [CORRECTED], "its mask was drawn before its correction"
    assert state_of(store) == before


def test_our_own_masks_settle_no_verdict(store, tmp_path):
    with Store.open(store) as opened:
        opened.apply_review_budget(1.0)
        waiting = opened.counts().review
    assert waiting == len(NAMES), "a correction by itself settles nothing either"
    for name in ("masks", "coco-rle", "labelstudio", "cvat"):
        run(store, export_round(store, ROUNDS[name], tmp_path / "out"), ROUNDS[name].format)
    with Store.open(store) as opened:
        assert (opened.counts().review, opened.counts().corrected) == (waiting, 1)
        assert opened.lookup("a.png").verdict is Verdict.REVIEW


@pytest.mark.parametrize("name", ["yolo-seg", "huggingface", "grey", "zebra"])
def test_formats_without_a_reader_are_refused_by_name(store, tmp_path, name):
    with pytest.raises(ConfigError, match=name):
        run(store, tmp_path, name)


KILLED = """
import os, signal, sys
from pathlib import Path
from automask.importing import run as importing
from automask.importing.planning import ImportOptions
from automask.store import corrections
module, name = {"corrections": (corrections, "append"), "masks": (importing, "redraw_image")}[sys.argv[3]]
real, calls = getattr(module, name), []
def killed(*args, **options):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)
setattr(module, name, killed)
importing.import_masks(Path(sys.argv[1]), Path(sys.argv[2]), ImportOptions(format="masks", replaces=True))
"""


@pytest.mark.parametrize("when", ["corrections", "masks"])
def test_a_killed_import_leaves_all_or_nothing(store, tmp_path, when):
    source = export_round(store, ROUNDS["masks"], tmp_path / "out")
    for image_id in NAMES:
        ROUNDS["masks"].touch(source, image_id, (0, 0, 40, 60))
    before = state_of(store)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store), str(source), when], check=False)
    assert killed.returncode == -9
    if when == "corrections":
        assert state_of(store) == before
    with Store.open(store, read_only=True) as opened:
        revisions = {len(opened.correction_history(opened.lookup(name).content_sha256)) for name in ("a.png", "b.jpg")}
    assert revisions == {0 if when == "corrections" else 1}
    summary = run(store, source, replaces=True)
    assert len(summary.imported if when == "corrections" else summary.unchanged) == len(NAMES)
    assert all(levels_of(store, name)[30, 20] == 0 for name in NAMES)
    with Store.open(store, read_only=True) as opened:
        assert opened.outdated_masks() == []
        assert list(opened.verify()) == []


def test_a_correction_that_arrives_meanwhile_stays(store, tmp_path, monkeypatch):
    source = export_round(store, ROUNDS["masks"], tmp_path / "out")
    for image_id in ("a.png", "b.jpg"):
        ROUNDS["masks"].touch(source, image_id, (0, 0, 90, 60))
    real = Store.put_corrections

    def slow(self, changes, **options):
        if len(changes) == 2:
            layers = CorrectionLayers(add=np.eye(SIZE_PX[1], SIZE_PX[0], dtype=np.bool_))
            content = self.lookup("a.png").content_sha256
            self.put_correction(content, layers, author="bob", tool="review", based_on=None)
        real(self, changes, **options)

    monkeypatch.setattr(Store, "put_corrections", slow)
    summary = run(store, source)
    assert (summary.imported, summary.kept) == (["b.jpg"], ["a.png"])
    monkeypatch.setattr(Store, "put_corrections", _conflict)
    ROUNDS["masks"].touch(source, "turned.jpg", (0, 0, 90, 60))
    before = state_of(store)
    with pytest.raises(CorrectionConflict, match="again and again"):
        run(store, source)
    assert state_of(store) == before


def _conflict(self, changes, **options):
    raise CorrectionConflict("busy")


def test_a_mask_that_somebody_painted_in_the_store_is_kept_first(store, tmp_path):
    with Store.open(store) as opened:
        path = opened.mask_path(opened.lookup("a.png").mask_name)
    painted = np.full((SIZE_PX[1], SIZE_PX[0]), 255, dtype=np.uint8)
    painted[:9] = 0
    source = export_round(store, ROUNDS["masks"], tmp_path / "out")
    Image.fromarray(painted).save(path)
    ROUNDS["masks"].touch(source, "a.png", (0, 0, 90, 60))
    summary = run(store, source)
    assert summary.kept == ["a.png"]
    assert np.array_equal(levels_of(store, "a.png"), painted)
