"""What people did in a gathered store comes back into the sharded run, and nothing of it is lost there."""

import dataclasses
import io
import json

import numpy as np
import pytest
from cli_process import automask
from gather_cases import (
    GROWN,
    HEIGHT_PX,
    WIDTH_PX,
    act,
    gathered_target,
    is_masked,
    mask_in_store,
    mask_in_target,
    painted,
    row_of,
)
from PIL import Image
from shard_cases import (
    Unsure,
    encoded,
    image_folder,
    masks_in,
    records_in,
    rows_in,
    run_unsure,
    source_of,
)

from automask.config import PipelineConfig
from automask.files.png import read_mask
from automask.run.shards.gathering import gather
from automask.run.shards.scattering import scatter
from automask.run.shards.status import status_of, verify
from automask.store import Decision, Store
from automask.values.geometry import Box


@pytest.fixture
def target(tmp_path):
    return gathered_target(tmp_path)


@pytest.fixture
def store(target, tmp_path):
    return tmp_path / "store"


class TestRoundTrip:
    @pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
    def test_corrections_and_decisions_come_back(self, tmp_path, kind):
        source = source_of(kind, tmp_path / "set", 6)
        target, root = tmp_path / "target", tmp_path / "store"
        run_unsure(source, target)
        before, records = masks_in(target), records_in(target)
        gather(str(target), root, doubtful=6)
        first, second, third, *_ = sorted(rows_in(target))
        act(root, first, layers=painted())
        act(root, second, decision=Decision.ACCEPTED)
        act(root, third, decision=Decision.EXCLUDED)
        told = scatter(root)
        assert (told.changed, told.unchanged, told.shards) == (3, 3, 1)
        assert (told.refused, told.busy, told.later, told.notes) == ({}, {}, {}, {})
        rows, masks = rows_in(target), masks_in(target)
        assert masks[rows[first]["mask"]] == mask_in_store(root, first)
        assert is_masked(target, first)
        assert (rows[first]["corrected"], rows[first]["decision"], rows[first]["verdict"]) == (True, None, "review")
        assert (rows[second]["decision"], rows[second]["verdict"]) == ("accepted", "auto")
        assert (rows[third]["decision"], rows[third]["verdict"], rows[third]["mask"]) == ("excluded", "auto", None)
        changed = {rows[first]["mask"], *(before.keys() - masks.keys())}
        assert {name: png for name, png in masks.items() if name not in changed} == {
            name: png for name, png in before.items() if name not in changed
        }
        assert len(before.keys() - masks.keys()) == 1
        assert list(verify(str(target))) == []
        found = status_of(str(target))
        assert (found.decisions, found.undrawn, found.images, found.masks, found.corrected) == (
            {"accepted": 1, "excluded": 1},
            0,
            6,
            5,
            1,
        )
        touched = [name for name, record in records_in(target).items() if record != records[name]]
        assert len(touched) == 1
        assert sum(record["images"] - record["masks"] for record in records_in(target).values()) == 1
        again = scatter(root)
        assert (again.changed, again.unchanged, again.shards) == (0, 6, 0)
        summary = run_unsure(source, target)
        assert (summary.reused, dict(summary.done), summary.failed) == (2, {}, 0)

    def test_what_was_taken_back_is_taken_back(self, target, store):
        before = (masks_in(target), rows_in(target))
        act(store, "000.png", layers=painted())
        act(store, "002.png", decision=Decision.EXCLUDED)
        scatter(store)
        assert masks_in(target) != before[0]
        act(store, "000.png", withdraw=True)
        act(store, "002.png", decision=None)
        told = scatter(store)
        assert (told.changed, told.shards) == (2, 1)
        assert (masks_in(target), rows_in(target)) == before
        lines = (target / "corrections" / "000000.jsonl").read_text().splitlines()
        assert len(lines) == 4, "what was said once is still there to be read"
        assert scatter(store).changed == 0

    def test_a_gathered_image_has_what_was_said_before(self, target, store, tmp_path):
        act(store, "000.png", layers=painted(), author="ann")
        act(store, "002.png", decision=Decision.ACCEPTED, author="ann")
        scatter(store)
        told = gather(str(target), tmp_path / "second", names={"000.png", "002.png", "004.png"})
        assert (told.gathered, told.refused) == (3, {})
        assert mask_in_store(tmp_path / "second", "000.png") == mask_in_target(target, "000.png")
        assert row_of(tmp_path / "second", "002.png").decision is Decision.ACCEPTED
        with Store.open(tmp_path / "second", read_only=True) as opened:
            correction = opened.correction(row_of(tmp_path / "second", "000.png").content_sha256)
            assert (correction.author, correction.tool) == ("ann", "review")
        unchanged = scatter(tmp_path / "second")
        assert (unchanged.changed, unchanged.unchanged) == (0, 3)
        left = gather(str(target), tmp_path / "third", doubtful=6)
        assert left.selected == 5, "what a person accepted waits for nobody"

    def test_a_mask_painted_over_in_an_editor_comes_back(self, target, store):
        row = row_of(store, "000.png")
        levels = np.full((HEIGHT_PX, WIDTH_PX), 255, dtype=np.uint8)
        levels[:10] = 0
        out = io.BytesIO()
        Image.fromarray(levels).save(out, "PNG")
        (store / "masks" / row.mask_name).write_bytes(out.getvalue())
        assert "changed by another program" in scatter(store).notes["000.png"]
        assert np.array_equal(read_mask(mask_in_target(target, "000.png")), levels)
        assert rows_in(target)["000.png"]["verdict"] == "auto", "a whole mask of a person"


class TestNothingIsLost:
    @pytest.fixture(autouse=True)
    def said(self, target, store):
        act(store, "000.png", layers=painted(), decision=Decision.ACCEPTED)
        act(store, "002.png", decision=Decision.EXCLUDED)
        act(store, "004.png", decision=Decision.ACCEPTED)
        scatter(store)
        assert rows_in(target)["000.png"]["decision"] == "accepted"

    def test_by_another_rendering(self, target, tmp_path):
        summary = run_unsure(tmp_path / "set", target, config=GROWN)
        assert dict(summary.done) == {"rendered": 2}
        rows = rows_in(target)
        assert is_masked(target, "000.png")
        assert [rows[name]["decision"] for name in ("000.png", "002.png", "004.png")] == [
            "accepted", "excluded", "accepted",
        ]  # fmt: skip
        assert rows["000.png"]["verdict"] == "auto"
        assert run_unsure(tmp_path / "set", target, config=GROWN).reused == 2

    def test_by_other_detectors_that_find_the_same(self, target, tmp_path):
        assert dict(run_unsure(tmp_path / "set", target, detector=Unsure(version=2)).done) == {"analysed": 2}
        rows = rows_in(target)
        assert is_masked(target, "000.png")
        assert (rows["000.png"]["decision"], rows["002.png"]["mask"]) == ("accepted", None)

    def test_by_other_detectors_that_find_something_else(self, target, tmp_path):
        class Half(Unsure):
            name = "half"

            def find(self, image):
                return [dataclasses.replace(one, box=Box(16, 16, 32, 32)) for one in super().find(image)]

        run_unsure(tmp_path / "set", target, detector=Half())
        rows = rows_in(target)
        assert is_masked(target, "000.png"), "the correction is about pixels"
        assert (rows["000.png"]["decision"], rows["000.png"]["verdict"]) == (None, "review"), "nobody saw that"
        assert (rows["002.png"]["decision"], rows["002.png"]["mask"]) == ("excluded", None)
        run_unsure(tmp_path / "set", target)
        assert rows_in(target)["000.png"]["decision"] == "accepted", "that mask was seen"

    def test_by_a_shard_that_is_done_anew(self, target, tmp_path):
        before = masks_in(target)
        for path in (target / "done").iterdir():
            path.unlink()
        run_unsure(tmp_path / "set", target)
        assert masks_in(target) == before

    def test_other_pixels_wait_for_a_person(self, target, tmp_path):
        (tmp_path / "set" / "000.png").write_bytes(encoded(88))
        run_unsure(tmp_path / "set", target, detector=Unsure(version=2), config=PipelineConfig(dataset_detectors=()))
        row = rows_in(target)["000.png"]
        assert [issue["code"] for issue in row["issues"]] == ["correction-stale"]
        assert (row["verdict"], row["decision"], row["corrected"]) == ("review", None, False)
        grown = PipelineConfig(dataset_detectors=(), render={"growth_cells": 3})
        run_unsure(tmp_path / "set", target, detector=Unsure(version=2), config=grown)
        assert len(rows_in(target)["000.png"]["issues"]) == 1
        told = gather(str(target), tmp_path / "new", names={"000.png"})
        assert told.gathered == 1
        assert row_of(tmp_path / "new", "000.png").verdict == "review"

    def test_by_a_damaged_file_of_corrections(self, target, tmp_path):
        path = target / "corrections" / "000000.jsonl"
        kept = path.read_bytes()
        path.write_bytes(kept[:-20])
        summary = run_unsure(tmp_path / "set", target, config=GROWN)
        assert list(summary.unfinished) == ["000000"]
        assert "Put back a copy" in summary.unfinished["000000"]
        path.write_bytes(kept)
        assert dict(run_unsure(tmp_path / "set", target, config=GROWN).done) == {"rendered": 1}
        assert is_masked(target, "000.png")


def test_the_command(tmp_path):
    run_unsure(image_folder(tmp_path / "set", 4), tmp_path / "target")
    gather(str(tmp_path / "target"), tmp_path / "store", doubtful=4)
    said = automask("scatter", "store", cwd=tmp_path)
    assert (said.returncode, said.stdout.startswith("nothing is new")) == (0, True), said.stderr
    act(tmp_path / "store", "000.png", layers=painted(), decision=Decision.ACCEPTED)
    said = automask("scatter", "store", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "1 of 4 images taken over, 1 shard drawn again" in said.stdout
    status = automask("status", "target", cwd=tmp_path).stdout
    assert "decided by a person: 1 accepted\ncorrected by a person: 1 image\n" in status
    told = json.loads(automask("scatter", "store", "--json", cwd=tmp_path).stdout)
    assert (told["changed"], told["unchanged"], told["exit_code"]) == (0, 4, 0)
    assert automask("scatter", "set", cwd=tmp_path).returncode == 5
