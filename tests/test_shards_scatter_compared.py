"""What is new about an image is told by what the target holds by now, and not by what the store remembers."""

import json
import shutil
import time

import pytest
from cli_process import automask
from gather_cases import CORNER, act, gathered_target, is_masked, painted
from shard_cases import Unsure, encoded, image_folder, masks_in, rows_in, run_unsure

from automask.errors import ConfigError
from automask.run.shards import scattering
from automask.run.shards.corrections import ShardCorrections
from automask.run.shards.gathering import gather
from automask.run.shards.scattering import scatter
from automask.run.shards.status import status_of
from automask.run.shards.target import ShardTarget
from automask.store import Decision


@pytest.fixture
def target(tmp_path):
    return gathered_target(tmp_path)


@pytest.fixture
def store(target, tmp_path):
    return tmp_path / "store"


def is_excluded(target, image="000.png"):
    row = rows_in(target)[image]
    assert (row["mask"] is None) == (row["decision"] == "excluded")
    return row["decision"] == "excluded"


def remembered(store, image="000.png"):
    """What the store remembers of an image."""
    for path in (store / "gathered").glob("*.json"):
        for one in json.loads(path.read_text())["images"]:
            if one["image"] == image:
                return one
    raise KeyError(image)


class TestKilled:
    @pytest.fixture(params=["announced", "kept", "drawn"])
    def killed(self, request, target, store, monkeypatch):
        """A scattering of an exclusion, and one of taking it back that dies at a moment."""
        act(store, "000.png", decision=Decision.EXCLUDED)
        scatter(store)
        assert is_excluded(target)
        act(store, "000.png", decision=None)
        cut = {
            "announced": (ShardCorrections, "write"),
            "kept": (scattering._Scattering, "_draw"),
            "drawn": (scattering._Scattering, "_remember"),
        }[request.param]

        def dying(*args, **named):
            raise KeyboardInterrupt

        monkeypatch.setattr(*cut, dying)
        with pytest.raises(KeyboardInterrupt):
            scatter(store)
        monkeypatch.undo()

    def test_what_is_done_after_the_next_one_counts(self, killed, target, store):
        scatter(store)
        assert not is_excluded(target)
        one = remembered(store)
        assert (one["said"], one["said_there"], one["saying"]) == ("", "", None)
        act(store, "000.png", decision=Decision.EXCLUDED)
        assert scatter(store).changed == 1
        assert is_excluded(target)
        assert (scatter(store).changed, scatter(store).unchanged) == (0, 6)

    def test_what_is_done_before_the_next_one_counts(self, killed, target, store):
        act(store, "000.png", decision=Decision.EXCLUDED)
        told = scatter(store)
        assert told.notes == {}, "nobody else changed it"
        assert is_excluded(target)
        assert status_of(str(target)).undrawn == 0
        assert (scatter(store).changed, scatter(store).unchanged) == (0, 6)


class TestTargets:
    @pytest.fixture(autouse=True)
    def said(self, target, store, tmp_path):
        shutil.copytree(target, tmp_path / "before")
        act(store, "000.png", layers=painted())
        act(store, "002.png", decision=Decision.EXCLUDED)
        assert scatter(store).changed == 2

    def test_one_that_was_made_anew_has_not_heard_it(self, target, store, tmp_path):
        shutil.rmtree(target)
        run_unsure(tmp_path / "set", target)
        told = scatter(store)
        assert (told.changed, told.unchanged, told.refused) == (2, 4, {})
        assert "another run" in told.notes[str(target)]
        assert is_masked(target, "000.png")
        assert is_excluded(target, "002.png")
        assert scatter(store).changed == 0

    def test_one_that_was_put_back_has_not_heard_it(self, target, store, tmp_path):
        shutil.rmtree(target)
        (tmp_path / "before").rename(target)
        told = scatter(store)
        assert (told.changed, told.unchanged, told.notes) == (2, 4, {})
        assert is_masked(target, "000.png")

    def test_what_was_taken_back_is_taken_back_in_an_older_copy(self, target, store, tmp_path):
        shutil.copytree(target, tmp_path / "older")
        act(store, "002.png", decision=None)
        scatter(store)
        assert not is_excluded(target, "002.png")
        assert is_excluded(tmp_path / "older", "002.png")
        told = scatter(store, address=str(tmp_path / "older"))
        assert (told.changed, told.unchanged, told.notes) == (1, 5, {})
        assert not is_excluded(tmp_path / "older", "002.png")
        assert scatter(store).unchanged == 6

    def test_one_of_other_images_does_not_have_them(self, store, tmp_path):
        run_unsure(image_folder(tmp_path / "few", 6, "jpg"), tmp_path / "other")
        told = scatter(store, address=str(tmp_path / "other"))
        assert (told.changed, told.unchanged, len(told.refused)) == (0, 0, 6)
        assert not list((tmp_path / "other").glob("corrections/*"))
        said = automask("scatter", "store", "--target", "other", cwd=tmp_path)
        assert said.returncode == 8, said.stderr
        assert said.stdout.startswith("nothing was taken over")
        assert " has them" not in said.stdout

    def test_one_that_is_not_done_anew_yet_is_left(self, target, store, tmp_path):
        shutil.rmtree(target)
        run_unsure(tmp_path / "set", target)
        (target / "done" / "000000.done").unlink()
        told = scatter(store)
        assert "not done yet" in told.refused["000.png"]
        assert not list(target.glob("corrections/*"))
        run_unsure(tmp_path / "set", target)
        assert scatter(store).changed == 2

    def test_an_older_store_of_which_less_is_remembered(self, target, store, tmp_path):
        for path in (store / "gathered").glob("*.json"):
            values = json.loads(path.read_text())
            for one in values["images"]:
                for name in ("said_s", "said_there_s", "saying"):
                    del one[name]
            path.write_text(json.dumps(values))
        note = json.loads((store / "gathered.json").read_text())
        del note["run"]
        (store / "gathered.json").write_text(json.dumps(note))
        assert scatter(store).unchanged == 6
        assert scatter(store, address=str(tmp_path / "before")).changed == 2

    def test_a_correction_of_an_image_that_changed_is_not_told_as_there(self, target, store, tmp_path):
        (tmp_path / "set" / "000.png").write_bytes(encoded(88))
        run_unsure(tmp_path / "set", target, detector=Unsure(version=2))
        told = scatter(store)
        assert (told.changed, told.unchanged, told.stale) == (0, 5, 1)
        assert "does not apply" in told.notes["000.png"]
        said = automask("scatter", "store", cwd=tmp_path).stdout.splitlines()
        assert said[0] == "nothing is new"
        assert "does not apply any more, since the image changed: 1 of 6 images" in said[2]


class TestOtherStores:
    def test_a_newer_change_is_not_undone_by_a_store_where_nobody_did_anything(self, target, store, tmp_path):
        act(store, "000.png", layers=painted(), author="ann")
        scatter(store)
        gather(str(target), tmp_path / "second", names={"000.png"})
        time.sleep(0.02)
        act(tmp_path / "second", "000.png", layers=painted((slice(0, 8), slice(0, 8))), author="bob")
        gather(str(target), tmp_path / "third", names={"000.png"})
        assert scatter(tmp_path / "second").changed == 1
        masks = masks_in(target)
        told = gather(str(target), store, names={"000.png", "004.png"})
        assert (told.gathered, told.present, told.older) == (0, 2, ["000.png"])
        for root, images in ((store, 6), (tmp_path / "third", 1)):
            told = scatter(root)
            assert (told.changed, told.unchanged, told.newer) == (0, images - 1, 1)
        assert masks_in(target) == masks
        said = automask("scatter", "third", cwd=tmp_path).stdout
        assert "changed later by another store" in said
        assert " has them" not in said

    def test_not_even_where_clocks_differ(self, target, store, tmp_path, monkeypatch):
        act(store, "000.png", layers=painted(), author="ann")
        scatter(store)
        gather(str(target), tmp_path / "second", names={"000.png"})
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        act(tmp_path / "second", "000.png", layers=painted((slice(0, 8), slice(0, 8))), author="bob")
        monkeypatch.undo()
        assert scatter(tmp_path / "second").changed == 1
        assert (scatter(store).changed, scatter(store).newer) == (0, 1)
        assert not is_masked(target, "000.png", CORNER)


def test_a_store_is_a_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = automask("scatter", "s3://bucket/store", cwd=tmp_path)
    assert said.returncode == ConfigError.exit_code, said.stderr
    assert "s3://bucket/store" in said.stderr


def test_every_target_has_an_id_of_its_own(tmp_path):
    image_folder(tmp_path / "set", 1)
    ids = set()
    for _ in range(2):
        run_unsure(tmp_path / "set", tmp_path / "target")
        run_unsure(tmp_path / "set", tmp_path / "target")
        ids.add(ShardTarget.at(str(tmp_path / "target")).head().id)
        shutil.rmtree(tmp_path / "target")
    assert len(ids) == 2
