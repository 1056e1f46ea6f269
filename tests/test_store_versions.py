"""Stores that older versions wrote open, and hold what they held."""

import dataclasses
import os
import shutil
import sqlite3
from pathlib import Path

from store_cases import FINGERPRINTS, File, add_template

from automask.mask.rendering import CorrectionLayers
from automask.store import Decision, Store, Work
from automask.values.kinds import region_keys
from automask.values.templates import TemplateDecision, TemplateOrigin
from automask.values.types import Kind, Verdict

FIXTURE_V1 = Path(__file__).parent / "data" / "store_v1"
FIXTURE_V2 = Path(__file__).parent / "data" / "store_v2"
FIXTURE_V3 = Path(__file__).parent / "data" / "store_v3"
FIXTURE_V4 = Path(__file__).parent / "data" / "store_v4"
FIXTURE_V5 = Path(__file__).parent / "data" / "store_v5"


def test_an_updated_store_has_the_tables_of_a_new_one(tmp_path):
    def tables(out):
        with Store.open(out, create=True):
            connection = sqlite3.connect(out / "automask.sqlite")
        names = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        columns = {
            name: connection.execute(f"SELECT name, type FROM pragma_table_info('{name}')").fetchall()
            for kind, name in names
            if kind == "table"
        }
        return sorted(names), columns

    shutil.copytree(FIXTURE_V1, tmp_path / "old")
    assert tables(tmp_path / "old") == tables(tmp_path / "new")


def test_the_store_of_the_first_release_opens(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V1, out)
    with Store.open(out) as store:
        assert list(store.verify()) == []
        counts = store.counts()
        assert (counts.images, counts.done, counts.failed, counts.corrected) == (2, 1, 1, 1)
        stored = store.lookup("card.jpg")
        assert (stored.verdict, stored.kinds, stored.correction_revision) == (Verdict.AUTO, (Kind.FRAME, Kind.TEXT), 1)
        result = store.result("card.jpg")
        assert result.regions[0].attributes["text"] == "Привет"
        assert [int(patch.artefact.sum()) for patch in result.patches] == [4, 160]
        correction = store.correction(stored.content_sha256)
        assert (correction.author, int(correction.layers.add.sum())) == ("ann", 6)
        assert [issue.code for issue in store.issues("sub/broken.png")] == ["image-truncated"]
        assert store.last_run().status == "done"
        store.put_correction(
            stored.content_sha256, CorrectionLayers(replaces=True), author="ann", tool="review", based_on=1
        )


def test_a_store_without_templates_learns_them(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V1, out)
    with Store.open(out) as store:
        stored = store.lookup("card.jpg")
        assert (stored.template_set, stored.templates_fingerprint) == ("", None)
        assert store.templates.all() == []
        add_template(store)
        assert store.templates.find("c0ffee").matches == 1
    assert (out / "automask.v1.backup.sqlite").is_file()


def test_the_store_of_the_second_version_opens(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V2, out)
    with Store.open(out) as store:
        assert list(store.verify()) == []
        (known,) = store.templates.all()
        assert (known.origin, known.decision, known.author) == (TemplateOrigin.ESTIMATED, TemplateDecision.APPLY, "ann")
        assert (known.template.anchor, known.template.images, known.matches) == ("bottom-right", 12, 1)
        stored = store.lookup("card.jpg")
        assert stored.kinds == (Kind.FRAME, Kind.OVERLAY, Kind.TEXT)
        result = store.result("card.jpg")
        assert [region.source for region in result.regions] == ["rapidocr", "edges", "overlay"]
        assert result.regions[-1].confidence == 1.0
        assert result.template_set == stored.template_set != ""


def test_a_store_without_kinds_of_regions_learns_them(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V3, out)
    with Store.open(out) as store:
        assert list(store.verify()) == []
        stored = store.lookup("card.jpg")
        assert (stored.kinds, stored.decision) == ((Kind.FRAME, Kind.TEXT), Decision.ACCEPTED)
        correction = store.correction(stored.content_sha256)
        assert (int(correction.layers.add.sum()), dict(correction.layers.kinds)) == (6, {})
        (key, _) = region_keys(store.regions("card.jpg"))
        layers = dataclasses.replace(correction.layers, kinds={key: Kind.WATERMARK})
        store.put_correction(stored.content_sha256, layers, author="ann", tool="review", based_on=1)
        assert store.lookup("card.jpg").kinds == (Kind.FRAME, Kind.WATERMARK)
    assert (out / "automask.v3.backup.sqlite").is_file()


def test_regions_that_only_asked_by_their_confidence_say_so(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V4, out)
    images = "SELECT * FROM images ORDER BY image_key"
    with sqlite3.connect(out / "automask.sqlite") as connection:
        before = connection.execute(images).fetchall()
    with Store.open(out) as store, sqlite3.connect(out / "automask.sqlite") as connection:
        assert connection.execute(images).fetchall() == [(*row, None) for row in before]  # the column of version 6
        assert list(store.verify()) == []
        assert {(each.confidence, each.kind.value): each.proposed for each in store.regions("asked.jpg")} == {
            (0.5, "text"): False,
            (0.45, "text"): True,
            (0.3333, "frame"): True,
            (0.47, "frame"): False,
            (0.45, "watermark"): False,  # drawn, as its run accepted watermarks from .35 on
            (0.3, "watermark"): True,
        }
        waiting, decided = store.regions("card.jpg")[-2:]
        assert (waiting.confidence, waiting.proposed) == (0.4, True)
        assert (decided.confidence, decided.proposed) == (1.0, False), "a person said that it is masked"
        connection.execute("UPDATE images SET mtime_ns = 1")  # a file as young as the fixture's would be read again
        connection.commit()
        row = store.lookup("asked.jpg")
        file = File(row.image_id, Path("gone.jpg"), row.size_bytes, row.mtime_ns, 1, row.mask_name)
        assert store.plan(file, FINGERPRINTS).work is Work.NONE
    assert (out / "automask.v4.backup.sqlite").is_file()


def test_a_store_without_change_times_learns_them(tmp_path):
    out = tmp_path / "out"
    shutil.copytree(FIXTURE_V5, out)
    with Store.open(out) as store, sqlite3.connect(out / "automask.sqlite") as connection:
        assert list(store.verify()) == []
        row = store.lookup("card.jpg")
        assert row.ctime_ns is None
        times = (row.mask_mtime_ns, row.mask_mtime_ns)  # a clone of the project has others, which would be learned, too
        os.utime(out / "masks" / "card.png", ns=times)
        connection.execute("UPDATE images SET mtime_ns = 1")  # a file as young as the fixture's would be read again
        connection.commit()
        file = File(row.image_id, Path("gone.jpg"), row.size_bytes, 1, 7, row.mask_name)
        assert store.plan(file, FINGERPRINTS).work is Work.NONE, "and the file was not read, which is not there"
        assert store.lookup("card.jpg") == dataclasses.replace(row, mtime_ns=1, ctime_ns=7)
        assert store.plan(dataclasses.replace(file, ctime_ns=8), FINGERPRINTS).work is Work.DETECT
    assert (out / "automask.v5.backup.sqlite").is_file()
