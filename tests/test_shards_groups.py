"""What repeats on the images of a group: compared with each other, looked for in that group only."""

import json

import pytest
from cli_process import CHEAP, automask
from group_cases import COUNT, INKS, MARKS, images, site_folder
from overlay_cases import WIDTH_PX
from shard_cases import masks_in, records_in, rows_in, table_of, tar_bytes

from automask.config import PipelineConfig
from automask.dataset.shards.groups import GroupBy
from automask.errors import ConfigError
from automask.run.pipeline import MaskPipeline
from automask.run.shards import sampling
from automask.run.shards.driver import run_shards
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions
from automask_models.refiners.polygon import PolygonRefiner


def run(source, target, **options):
    detector = OverlayDetector(OverlayOptions(reduced_px=WIDTH_PX))
    refiner = PolygonRefiner(PolygonRefiner.Options())
    made = MaskPipeline(PipelineConfig(), detectors=(), dataset_detectors=(detector,), refiner=refiner)
    options = {"shard_images": 5, **options}
    return run_shards(str(source), str(target), made.config, pipeline=made, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return site_folder(tmp_path_factory.mktemp("groups") / "set")


def marks_of(target):
    """Boxes of marks by image, each told by whose place it is."""
    found = {}
    for name, row in rows_in(target).items():
        found[name] = set()
        for one in row["regions"]:
            where = [
                site
                for site, (x0, y0, x1, y1) in MARKS.items()
                if x0 <= (one["x0"] + one["x1"]) / 2 <= x1 and y0 <= (one["y0"] + one["y1"]) / 2 <= y1
            ]
            found[name] |= set(where or ["nowhere"])
    return found


def index_of(target):
    return json.loads((target / "templates" / "templates.json").read_bytes())


def expected(names):
    """What should be found, by a name of an image to its site."""
    return {name: {site} & INKS.keys() for name, site in names.items()}


def test_each_group_has_its_own(folder, tmp_path):
    run(folder, tmp_path / "target", group_by="prefix")
    rows = rows_in(tmp_path / "target")
    assert marks_of(tmp_path / "target") == expected({name: name[0] for name in rows})
    assert {row["group"] for row in rows.values()} == {"a", "b", "c", "d"}
    index = index_of(tmp_path / "target")
    assert (index["group_by"], list(index["groups"])) == ("prefix:1", ["a", "b"])
    for one in index["groups"].values():
        (name,) = one["applied"]
        assert (tmp_path / "target" / name.replace(".template", ".png")).is_file()
        assert len(one["images"]) == COUNT
    for site in INKS:
        run(folder / site, tmp_path / site)
        alone = masks_in(tmp_path / site)
        together = {name: data for name, data in masks_in(tmp_path / "target").items() if name.startswith(f"{site}/")}
        assert {f"{site}/{name}": data for name, data in alone.items()} == together


class TestSites:
    def url(self, site, seed):
        return f"https://www.{site}.example:443/x/{seed}.png?size=9" if seed % 2 else f"http://{site}.example/{seed}"

    def check(self, target):
        rows = rows_in(target)
        assert len(rows) == 2 * COUNT + 2
        assert marks_of(target) == expected({name: row["group"][0] for name, row in rows.items()})
        assert list(index_of(target)["groups"]) == ["a.example", "b.example"]

    @pytest.mark.parametrize("told", ["json", "parquet", "both"])
    def test_of_tars_as_img2dataset_writes_them(self, tmp_path, told):
        members, rows = [], []
        for number, (site, seed, data) in enumerate(images()):
            key, url = f"{number:09d}", self.url(site, seed)
            members.append((f"{key}.png", data))
            if told != "parquet":
                members.append((f"{key}.json", json.dumps({"url": url, "status": "success"}).encode()))
            rows.append({"key": key, "url": url, "status": "success"})
        (tmp_path / "set").mkdir()
        for part in range(2):
            (tmp_path / "set" / f"{part:05d}.tar").write_bytes(
                tar_bytes([one for one in members if int(one[0][:9]) // 10 == part])
            )
            if told != "json":
                table_of(
                    tmp_path / "set" / f"{part:05d}.parquet", [row for row in rows if int(row["key"]) // 10 == part]
                )
        run(tmp_path / "set" / "*.tar", tmp_path / "target", group_by="site")
        self.check(tmp_path / "target")

    def test_of_a_column_of_parquet_files(self, tmp_path):
        rows = [{"image": data, "URL": self.url(site, seed)} for site, seed, data in images()]
        table_of(tmp_path / "set" / "x.parquet", rows, group_rows=5)
        run(tmp_path / "set", tmp_path / "target", group_by="site")
        self.check(tmp_path / "target")


def test_a_column_by_name(tmp_path):
    rows = [{"image": data, "photographer": site} for site, _, data in images()]
    table_of(tmp_path / "set" / "x.parquet", rows)
    run(tmp_path / "set", tmp_path / "target", group_by="column:photographer")
    found = rows_in(tmp_path / "target")
    assert marks_of(tmp_path / "target") == expected({name: row["group"] for name, row in found.items()})
    with pytest.raises(ConfigError, match="tells its group") as refused:
        run(tmp_path / "set", tmp_path / "other", group_by="column:author")
    assert "on the same target" in refused.value.advice
    run(tmp_path / "set", tmp_path / "other", group_by="column:photographer")
    assert marks_of(tmp_path / "other") == marks_of(tmp_path / "target")


def test_groups_are_few_and_the_rest_is_one(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "MOST_GROUPS", 1)
    run(folder, tmp_path / "target", group_by="prefix:1")
    index = index_of(tmp_path / "target")
    assert list(index["groups"]) == ["a"]
    assert {name[0] for name in index["images"]} == {"b", "c", "d"}
    rows = rows_in(tmp_path / "target")
    assert marks_of(tmp_path / "target") == expected({name: name[0] for name in rows})
    monkeypatch.setattr(sampling, "GROUP_IMAGES", 8)
    run(folder, tmp_path / "less", group_by="prefix:1")
    assert len(index_of(tmp_path / "less")["groups"]["a"]["images"]) == 8


class TestReuse:
    def test_later_runs_take_what_is_there(self, folder, tmp_path):
        run(folder, tmp_path / "target", group_by="prefix")
        before, index = masks_in(tmp_path / "target"), index_of(tmp_path / "target")
        (tmp_path / "target" / "done" / "000001.done").unlink()
        summary = run(folder, tmp_path / "target")  # it need not be said again
        assert (summary.reused, dict(summary.done)) == (3, {"analysed": 1})
        assert masks_in(tmp_path / "target") == before
        told = run(folder, tmp_path / "target", group_by="none")
        assert told.reused == 4
        assert "--group-by prefix:1" in next(one.message for one in told.notices if one.code == "templates-old")
        same = run(folder, tmp_path / "target", refresh_templates=True)
        assert (same.reused, index_of(tmp_path / "target")) == (4, index)

    def test_groups_are_changed_by_a_new_sample(self, folder, tmp_path):
        run(folder, tmp_path / "target")
        prints = {record["fingerprints"]["templates"] for record in records_in(tmp_path / "target").values()}
        assert "group_by" not in index_of(tmp_path / "target")
        told = run(folder, tmp_path / "target", group_by="prefix")
        assert told.reused == 4
        done = run(folder, tmp_path / "target", group_by="prefix", refresh_templates=True)
        assert dict(done.done) == {"analysed": 4}
        assert prints.isdisjoint(
            record["fingerprints"]["templates"] for record in records_in(tmp_path / "target").values()
        )
        run(folder, tmp_path / "target", group_by="none", refresh_templates=True)
        assert {record["fingerprints"]["templates"] for record in records_in(tmp_path / "target").values()} == prints

    def test_two_targets_are_the_same(self, folder, tmp_path):
        for name in ("x", "y"):
            run(folder, tmp_path / name, group_by="prefix", shard_images=4)
        assert masks_in(tmp_path / "x") == masks_in(tmp_path / "y")
        assert index_of(tmp_path / "x") == index_of(tmp_path / "y")


class TestWords:
    @pytest.mark.parametrize(
        ("text", "said"),
        [("site", "site"), ("prefix", "prefix:1"), ("prefix:3", "prefix:3"), ("column:x:y", "column:x:y")],
    )
    def test_known(self, text, said):
        assert str(GroupBy.parse(text)) == said

    @pytest.mark.parametrize("text", ["", "host", "prefix:0", "prefix:x", "column", "column:", "site:x", "none:1"])
    def test_unknown(self, text):
        with pytest.raises(ConfigError, match="no way to group"):
            GroupBy.parse(text)

    @pytest.mark.parametrize(
        ("url", "site"),
        [
            ("https://WWW.Example.org:8080/a?b", "example.org"),
            ("https://user:secret@cdn.example.org/a", "cdn.example.org"),
            ("http://[::1", ""),
            ("a/b.png", ""),
            (None, ""),
            (7, ""),
        ],
    )
    def test_the_site_of_an_address(self, url, site):
        assert GroupBy("site").of_value(url) == site

    def test_folders(self):
        assert GroupBy("prefix", 2).of_path("a/b/c/d.png") == "a/b"
        assert GroupBy("prefix", 2).of_path("a/d.png") == "a"
        assert GroupBy("prefix").of_path("d.png") == ""

    @pytest.mark.parametrize("data", [None, b"", b"{", b"[1]", b'{"url": null}', b'{"other": 1}'])
    def test_metadata_that_says_nothing(self, data):
        assert GroupBy("site").of_metadata(data) == ""


def test_the_command_refuses_what_cannot_be(folder, tmp_path):
    said = automask("run", folder, "--output", "out", "--group-by", "host", cwd=tmp_path)
    assert said.returncode == 2
    assert "Write site" in said.stderr
    said = automask("run", folder, "--output", "out", "--group-by", "prefix", *CHEAP, cwd=tmp_path)
    assert said.returncode == 2
    assert "no dataset detector is on" in said.stderr
    assert not (tmp_path / "out").exists()
