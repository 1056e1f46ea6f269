"""The engine `ray` on clusters of this machine: the same bytes as `local`, nodes and workers that die, no room."""

import json
import os
import shutil
import threading
import time

import pytest
from cli_process import environment, new_process
from gather_cases import act
from group_cases import site_folder
from overlay_cases import WIDTH_PX
from shard_cases import image_folder, masks_in, records_in, tar_bytes, webdataset_tar

from automask.run.shards.gathering import gather
from automask.run.shards.scattering import scatter
from automask.store import Decision

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="the extra `ray`")

KILLER = '''
import os, time
from automask.config import FrozenModel
from automask.protocols import stage_fingerprint

class Options(FrozenModel):
    slow_s: float = 0.0

class Killer:
    """Ends its process on images whose name says so."""
    name = "killer"
    Options = Options
    notices = ()
    def __init__(self, options): self.options = options
    @classmethod
    def from_options(cls, options, *, weights, runtime): return cls(options)
    @property
    def fingerprint(self): return stage_fingerprint(self.name, algorithm_version=1)
    def load(self): pass
    def detect(self, images):
        time.sleep(self.options.slow_s * len(images))
        if any("poison" in image.id for image in images):
            os._exit(1)
        return [[] for _ in images]
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A package with a detector that ends its process."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "killer-1.0.dist-info"
    info.mkdir()
    (folder / "killer.py").write_text(KILLER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: killer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[automask.detectors]\nkiller = killer:Killer\n")
    return folder


@pytest.fixture
def cluster(site, monkeypatch):
    """Two nodes of one core each, started as `ray start` does."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(site))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made, second
    ray.shutdown()
    made.shutdown()


def drive(source, target, *, detectors=("killer",), engine="ray", slow_s=0.0, **options):
    """A run in this process."""
    from automask.plugins import load_config
    from automask.run.engines.protocol import EngineOptions
    from automask.run.shards.driver import run_shards

    flags = {
        "detectors": detectors,
        "dataset_detectors": options.pop("dataset_detectors", ()),
        "options": {"killer": {"slow_s": slow_s}, "overlay": {"reduced_px": WIDTH_PX}},
        "render": {"growth_cells": options.pop("growth_cells", 1.0)},
    }
    workers = options.pop("workers", None)
    made = EngineOptions(workers) if engine == "ray" else EngineOptions()
    return run_shards(
        str(source), str(target), load_config(flags=flags), engine=engine, options=made, shard_images=4, **options
    )


def files_of(target, *folders):
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for name in folders or ("masks", "regions")
        for path in sorted((target / name).rglob("*.*"))
    }


def test_two_nodes_give_the_bytes_of_one_process(cluster, tmp_path):
    folder = image_folder(tmp_path / "set", 15)
    (folder / "bad.png").write_bytes(b"no picture")
    summary = drive(folder, tmp_path / "ray", detectors=("edges",), workers=2)
    local = drive(folder, tmp_path / "local", detectors=("edges",), engine="local")
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "local")
    assert (summary.images, summary.failed, summary.verdicts) == (local.images, local.failed, local.verdicts)
    assert drive(folder, tmp_path / "ray", detectors=("edges",), workers=2).reused == 4


def test_groups_and_corrections_are_the_same(cluster, tmp_path):
    folder = site_folder(tmp_path / "set")
    options = {"detectors": ("edges",), "dataset_detectors": ("overlay",), "group_by": "prefix"}
    targets = {engine: tmp_path / engine for engine in ("ray", "local")}
    for engine, target in targets.items():
        drive(folder, target, engine=engine, workers=2, **options)
    assert files_of(targets["ray"], "masks", "regions", "templates") == files_of(
        targets["local"], "masks", "regions", "templates"
    )
    assert len(list((targets["ray"] / "templates").rglob("*.template"))) == 2
    gather(str(targets["ray"]), tmp_path / "store", names={"a/0.png"})
    act(tmp_path / "store", "a/0.png", decision=Decision.EXCLUDED)
    assert scatter(tmp_path / "store").changed == 1
    shutil.copytree(targets["ray"] / "corrections", targets["local"] / "corrections")
    for engine, target in targets.items():
        done = drive(folder, target, engine=engine, workers=2, growth_cells=2.0, **options)
        assert dict(done.done) == {"rendered": 5}
    assert files_of(targets["ray"]) == files_of(targets["local"])
    assert "a/0.png" not in masks_in(targets["ray"])


def test_a_node_that_is_killed_costs_its_shard_in_hand(cluster, tmp_path):
    made, second = cluster
    folder = image_folder(tmp_path / "set", 40)
    target = tmp_path / "ray"

    def kill():
        deadline = time.monotonic() + 120
        while len(list((target / "done").glob("*"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        kept.update({path: path.stat().st_mtime_ns for path in (target / "done").iterdir()})
        made.remove_node(second, allow_graceful=False)

    kept = {}
    killer = threading.Thread(target=kill)
    killer.start()
    summary = drive(folder, target, workers=2, slow_s=0.2)
    killer.join()
    assert 3 <= len(kept) < 10
    assert (sum(summary.done.values()), summary.images, dict(summary.damaged)) == (10, 40, {})
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "no shard that was done is done again"
    drive(folder, tmp_path / "local", engine="local")
    assert files_of(target) == files_of(tmp_path / "local")


def test_an_image_that_ends_its_worker_costs_its_shard_and_no_other(cluster, tmp_path):
    from shard_cases import encoded

    for number in range(4):
        webdataset_tar(tmp_path / "data" / f"{number}.tar", first=4 * number)
    (tmp_path / "data" / "poison.tar").write_bytes(tar_bytes([("poison.jpg", encoded(1, "jpg"))]))
    (tmp_path / "data" / "torn.tar").write_bytes(b"no tar")
    summary = drive(tmp_path / "data", tmp_path / "ray", workers=2)
    assert sorted(summary.damaged) == ["poison", "torn"]
    assert "3 workers ended" in summary.damaged["poison"]
    records = records_in(tmp_path / "ray")
    assert records["poison"]["error"][0] == "shard-poison"
    assert sum(record["masks"] for record in records.values()) == 16
    assert len(masks_in(tmp_path / "ray")) == 16
    again = drive(tmp_path / "data", tmp_path / "ray", workers=2)
    assert (again.reused, sorted(again.damaged)) == (6, ["poison", "torn"])


@pytest.mark.parametrize("flags", [("--workers", "40"), ("--threads", "64"), ("--gpus-per-worker", "0.5")])
def test_workers_without_room_are_refused_at_once(tmp_path, flags):
    image_folder(tmp_path / "set", 1)
    cheap = ("--detectors", "edges", "--dataset-detectors", "none")
    began = time.monotonic()
    done = new_process("run", "set", "-o", "out", "--engine", "ray", *flags, *cheap, cwd=tmp_path, env=environment())
    assert done.returncode == 2, done.stderr
    assert "engine-no-room" in done.stderr
    assert "room for" in done.stderr
    assert time.monotonic() - began < 100


def test_the_command_line_and_its_progress(tmp_path):
    image_folder(tmp_path / "set", 6)
    cheap = ("--detectors", "edges", "--dataset-detectors", "none", "--workers", "1")
    done = new_process(
        "run", "set", "-o", "out", "--engine", "ray", "--shard-images", "3", "--json", *cheap, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 6
    assert len(masks_in(tmp_path / "out")) == 6
