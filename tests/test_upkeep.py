"""A big folder that did not change costs little: files that are opened and statements are counted, not seconds."""

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from export_cases import export
from fakes import RedDetector, pipeline, red_on_grey
from PIL import Image

from automask.config import PipelineConfig
from automask.report import pages
from automask.report.pages import write_report
from automask.report.source import ReportSource
from automask.run.runner import default_output, run_dataset
from automask.store import Decision, Store
from automask.store.database import Database
from automask.trainers.conventions import TRAINERS

COUNT = 12
FIXTURE_V5 = Path(__file__).parent / "data" / "store_v5"
LONG_AGO_NS = 1_600_000_000 * 10**9
_opened: list[str] = []
sys.addaudithook(lambda event, arguments: _opened.append(str(arguments[0])) if event == "open" else None)


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(COUNT):
        Image.fromarray(red_on_grey(seed=index)).save(folder / f"{index}.png")
        os.utime(folder / f"{index}.png", ns=(LONG_AGO_NS, LONG_AGO_NS))
    return folder


@pytest.fixture
def statements(monkeypatch):
    """All SQL from now on."""
    said: list[str] = []
    connect = Database._configured

    def configured(self, mode: str) -> sqlite3.Connection:
        connection = connect(self, mode)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(Database, "_configured", configured)
    return said


def run(dataset):
    config = PipelineConfig()
    return run_dataset(dataset, default_output(dataset), config, pipeline=pipeline(RedDetector(), config=config))


def pictures_opened() -> list[str]:
    return [path for path in _opened if path.endswith(".png")]


def other_pixels(path):
    """Other bytes of the same length."""
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    return bytes(data)


def test_an_unchanged_run_opens_no_picture_and_asks_no_more_of_more_images(dataset, statements):
    run(dataset)
    statements.clear()
    _opened.clear()
    assert run(dataset).reused == COUNT
    assert pictures_opened() == []
    many = len(statements)
    for index in range(1, COUNT):
        (dataset / f"{index}.png").unlink()
    run(dataset)  # notes what is missing
    statements.clear()
    assert run(dataset).reused == 1
    assert many <= len(statements) + 1


def test_a_store_of_the_version_before_change_times_runs_nothing_again(dataset):
    out = default_output(dataset)
    shutil.copytree(FIXTURE_V5, out)
    run(dataset)
    with sqlite3.connect(out / "automask.sqlite") as connection:
        connection.execute("ALTER TABLE images DROP COLUMN ctime_ns")
        connection.execute("UPDATE meta SET value = '5' WHERE key = 'schema_version'")
    _opened.clear()
    assert run(dataset).reused == COUNT
    assert pictures_opened() == []
    path = dataset / "3.png"
    path.write_bytes(other_pixels(path))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert run(dataset).reused == COUNT - 1, "its change time is known by now"


class TestChangedFilesAreNoticed:
    def test_one_that_was_young_when_it_was_read_and_keeps_size_and_time(self, dataset):
        path = dataset / "3.png"
        path.touch()
        run(dataset)
        time_ns = path.stat().st_mtime_ns
        path.write_bytes(other_pixels(path))
        os.utime(path, ns=(time_ns, time_ns))
        assert run(dataset).reused == COUNT - 1

    def test_one_that_was_young_is_compared_again_until_a_later_run_read_it(self, dataset):
        path = dataset / "3.png"
        young_ns = path.stat().st_mtime_ns
        os.utime(path)
        run(dataset)
        _opened.clear()
        assert run(dataset).reused == COUNT
        assert pictures_opened() == [str(path)]
        os.utime(path, ns=(young_ns, young_ns))
        assert run(dataset).reused == COUNT  # touched: read once more
        _opened.clear()
        assert run(dataset).reused == COUNT
        assert pictures_opened() == []

    def test_one_that_another_file_replaced(self, dataset):
        run(dataset)
        (dataset / "new").write_bytes(other_pixels(dataset / "3.png"))
        (dataset / "new").replace(dataset / "3.png")
        assert run(dataset).reused == COUNT - 1

    def test_one_of_the_same_size_and_an_old_time(self, dataset):
        run(dataset)
        path = dataset / "3.png"
        path.write_bytes(other_pixels(path))
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        assert run(dataset).reused == COUNT - 1

    def test_a_copy_of_the_dataset_is_read_once_and_not_run_again(self, dataset):
        run(dataset)
        shutil.copytree(dataset, dataset.with_name("copy"))
        shutil.rmtree(dataset)
        dataset.with_name("copy").rename(dataset)  # times of modification as they were, those of change new
        _opened.clear()
        assert run(dataset).reused == COUNT
        assert sorted(pictures_opened()) == sorted(str(path) for path in dataset.iterdir())
        _opened.clear()
        assert run(dataset).reused == COUNT
        assert pictures_opened() == []

    def test_one_behind_a_link(self, dataset, tmp_path):
        target = tmp_path / "elsewhere.png"
        (dataset / "3.png").rename(target)
        (dataset / "3.png").symlink_to(target)
        assert run(dataset).reused == 0
        target.write_bytes(other_pixels(target))
        assert run(dataset).reused == COUNT - 1

    def test_a_new_name_of_the_same_pixels_is_not_analysed(self, dataset):
        run(dataset)
        (dataset / "3.png").rename(dataset / "new.png")
        summary = run(dataset)
        assert summary.written == {"rendered": 1}
        assert summary.missing == 1

    def test_a_mask_that_is_gone(self, dataset):
        run(dataset)
        (default_output(dataset) / "masks/3.png").unlink()
        assert run(dataset).written == {"rendered": 1}


def test_an_export_again_opens_no_picture(dataset):
    run(dataset)
    root = default_output(dataset)
    assert export(root, "kohya").written == COUNT + 2
    _opened.clear()
    assert export(root, "kohya").written == 0
    assert pictures_opened() == []
    (root / "exports/kohya/masks/3.png").unlink()
    assert export(root, "kohya").written == 1


def test_a_cheap_look_at_a_mask_never_says_more_than_the_cells():
    random = np.random.default_rng(0)
    sure = 0
    for trainer in TRAINERS.values():
        for width_px, height_px in ((96, 64), (700, 300), (1024, 1024)):
            levels = np.zeros((height_px, width_px), dtype=np.uint8)
            side_px = int(random.integers(4, 64))
            x, y = int(random.integers(0, width_px - side_px)), int(random.integers(0, height_px - side_px))
            levels[y : y + side_px, x : x + side_px] = 255
            if trainer.certainly_trains(levels, training_px=512, cell_px=8):
                sure += 1
                assert trainer.cells(levels / np.float32(255), training_px=512, cell_px=8).max() > 0
    assert sure


class TestReport:
    def test_later_pages_show_the_files_themselves(self, dataset, monkeypatch):
        monkeypatch.setattr(pages, "IMAGES_PER_PAGE", 4)
        run(dataset)
        root = default_output(dataset)
        write_report(root)
        with Store.open(root) as store:
            first = [image.image_id for image in store.images(order="confidence", limit=4)]
            asked = {image.image_id for image in store.images() if image.verdict == "review"}
        assert len(list((root / "report/thumbs").rglob("*.jpg"))) == len(asked.union(first))
        later = (root / "report/page-3.html").read_text()
        assert 'class="tint"' in later
        assert "<polygon" in later

    def test_marks_in_bulk_are_those_of_each_image(self, dataset):
        run(dataset)
        with ReportSource.open(default_output(dataset)) as source:
            images = list(source.store.images())
            in_bulk = [[(m.region.box, m.region.kind, m.drawn) for m in marks] for marks in source.all_marks(images)]
            alone = [[(m.region.box, m.region.kind, m.drawn) for m in source.marks(image)] for image in images]
        assert in_bulk == alone
        assert any(alone)

    def test_it_is_left_while_nothing_changes(self, dataset):
        run(dataset)
        root = default_output(dataset)
        page = write_report(root)
        before = page.stat().st_mtime_ns
        run(dataset)
        assert write_report(root, only_if_changed=True).stat().st_mtime_ns == before
        with Store.open(root) as store:
            store.decide(store.lookup("3.png").content_sha256, Decision.ACCEPTED, author="a person")
        assert write_report(root, only_if_changed=True).stat().st_mtime_ns != before
        assert "accepted by a person" in page.read_text()
