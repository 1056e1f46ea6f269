"""Walking over the rows of a store, and its totals."""

import pytest
from store_cases import put, write_file

from automask.store import Status, Store
from automask.values.types import Issue, Kind, Verdict


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "out", create=True) as opened:
        yield opened


class TestListing:
    @pytest.fixture
    def filled(self, store, root, monkeypatch):
        monkeypatch.setattr("automask.store.queries._CHUNK", 3)
        for number in range(10):
            file = write_file(root, f"{number}.jpg", bytes([number]))
            verdict = Verdict.REVIEW if number % 2 else Verdict.AUTO
            put(store, file, confidence=(number * 7 % 10) // 2 / 10, verdict=verdict)
        store.put_failure(write_file(root, "bad.jpg", b""), (Issue("decode", "image-empty", "Empty.", "error"),))
        return store

    def test_by_id(self, filled):
        assert [row.image_id for row in filled.images()] == [*(f"{number}.jpg" for number in range(10)), "bad.jpg"]

    def test_most_doubtful_first(self, filled):
        rows = list(filled.images(order="confidence"))
        assert rows[0].image_id == "bad.jpg"
        keys = [(row.confidence, row.image_id) for row in rows[1:]]
        assert keys == sorted(keys)
        assert len(keys) == 10

    def test_pages(self, filled):
        everything = [row.image_id for row in filled.images(order="confidence")]
        pages = [
            [row.image_id for row in filled.images(order="confidence", offset=offset, limit=4)]
            for offset in (0, 4, 8, 12)
        ]
        assert [len(page) for page in pages] == [4, 4, 3, 0]
        assert [image_id for page in pages for image_id in page] == everything

    def test_filters(self, filled):
        assert len(list(filled.images(verdict=Verdict.REVIEW))) == 5
        assert [row.image_id for row in filled.images(status=Status.FAILED)] == ["bad.jpg"]
        assert len(list(filled.images(verdict=Verdict.AUTO, status=Status.DONE, limit=4))) == 4

    def test_counts(self, filled):
        counts = filled.counts()
        assert (counts.images, counts.done, counts.failed, counts.missing) == (11, 10, 1, 0)
        assert (counts.auto, counts.review, counts.over_half_masked, counts.corrected) == (5, 5, 0, 0)
        assert counts.issues == {"image-empty": 1}
        assert counts.kinds == {Kind.TEXT: 10, Kind.FRAME: 10}

    def test_order_by_confidence_needs_no_sorting(self, filled):
        with filled._database.reading() as connection:
            plan = connection.execute(
                "EXPLAIN QUERY PLAN SELECT * FROM images WHERE (ifnull(confidence, -1.0), image_id) > (0.5, 'a')"
                " ORDER BY ifnull(confidence, -1.0), image_id LIMIT 500"
            ).fetchall()
        assert any("images_by_confidence" in row["detail"] for row in plan)
        assert not any("TEMP B-TREE" in row["detail"] for row in plan)

    def test_writing_between_rows(self, filled, root):
        for row in filled.images():
            if row.image_id.startswith("1"):
                put(filled, write_file(root, "99.jpg", b"new"))
        assert filled.lookup("99.jpg") is not None
