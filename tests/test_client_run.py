"""`automask run --server`: the models run elsewhere, everything else is as ever, to the byte."""

import json
import re
import signal
import subprocess

import pytest
from api_server import serving
from cli_process import TIMEOUT_S, automask, command, draw_images, environment, masks_of

from automask.client.answers import ServerFacts
from automask.client.pipeline import server_config
from automask.config import PipelineConfig
from automask.errors import ConfigError
from automask.run.pipeline import MaskPipeline
from automask.values.types import Fingerprints

pytest.importorskip("httpx")
EDGES = PipelineConfig(detectors=("edges",))
CHEAP = ("--detectors", "edges")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), pipeline=MaskPipeline.from_config(EDGES)) as client:
        yield str(client.base_url)


def run(*arguments, env=None):
    done = automask("run", *arguments, "--json", "--no-report", env=env)
    return done, json.loads(done.stdout) if done.stdout else {}


def test_a_run_with_a_server_makes_the_same_store(url, tmp_path):
    folder = draw_images(tmp_path / "set", 5)
    broken = folder / "broken.png"
    broken.write_bytes((folder / "sub" / "000.png").read_bytes()[:300])
    here, there = tmp_path / "here", tmp_path / "there"
    rendering = ("--training-px", "512", "--policy", "frame=review")
    run(folder, "-o", here, *CHEAP, *rendering)
    done, summary = run(folder, "-o", there, "--server", url, *rendering)
    assert done.returncode == 8, done.stderr  # the broken one, in both
    assert summary["written"] == {"analysed": 5}
    assert masks_of(there) == masks_of(here)
    assert len(masks_of(there)) == 5
    # What the server found is known here: neither goes on asking, nor does a run without it do anything again.
    _, again = run(folder, "-o", there, "--server", url, *rendering)
    _, without = run(folder, "-o", there, *CHEAP, *rendering)
    assert (again["written"], again["reused"]) == (without["written"], without["reused"]) == ({}, 5)
    _, grown = run(folder, "-o", there, "--server", url, "--growth-cells", "3")
    assert grown["written"] == {"rendered": 5}


def test_an_interrupted_run_goes_on(url, tmp_path):
    folder = draw_images(tmp_path / "set", 24)
    process = subprocess.Popen(
        command("run", folder, "--server", url, "--no-report"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    while not masks_of(tmp_path / "set-masks"):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_S) == 130
    process.stderr.close()
    done = len(masks_of(tmp_path / "set-masks"))
    _, summary = run(folder, "--server", url)
    assert summary["reused"] >= done
    assert summary["written"].get("analysed", 0) + summary["reused"] == 24


def test_what_the_server_decides_cannot_be_asked_for(url, tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    for flags in (("--detectors", "yolo"), ("--option", "edges.whatever=3"), ("--no-text",)):
        done, _ = run(folder, "--server", url, *flags)
        assert done.returncode == 2
        assert "server-decides" in done.stderr
    assert not (tmp_path / "set-masks").exists()


def test_a_server_that_is_not_there_ends_the_run_before_anything_is_written(tmp_path):
    folder = draw_images(tmp_path / "set", 1)
    env = environment()
    done, _ = run(folder, "--server", "nonsense", env=env)
    assert done.returncode == 2
    assert re.search("not the\\s+address", done.stderr)
    assert not (tmp_path / "set-masks").exists()


def test_an_image_that_only_the_server_refuses_is_a_row(tmp_path):
    folder = draw_images(tmp_path / "set", 2, side_px=200)
    data = {"max_image_bytes": 1024}
    with serving(tmp_path / "data", pipeline=MaskPipeline.from_config(EDGES), **data) as client:
        done, summary = run(folder, "--server", str(client.base_url))
    assert done.returncode == 8
    assert summary["failed"] == 2
    assert "body-too-large" in json.dumps(summary) + done.stderr


def test_a_server_with_other_models_ends_a_run(tmp_path):
    from automask.client.pipeline import RemotePipeline
    from automask.client.sync import Client
    from automask.errors import ServerError
    from automask.run.runner import run_dataset

    folder = draw_images(tmp_path / "set", 2)
    works = MaskPipeline.from_config(EDGES)
    with serving(tmp_path / "data", pipeline=works) as server, Client(str(server.base_url)) as client:
        pipeline = RemotePipeline.connect(client, PipelineConfig())
        pipeline.fingerprints = Fingerprints("other", "other", "other")
        with pytest.raises(ServerError, match="other models"):
            run_dataset(folder, tmp_path / "out", pipeline.config, pipeline=pipeline)


def facts(config):
    return ServerFacts("1", config.model_dump(mode="json"), Fingerprints("d", "r", "f"))


def test_the_servers_keys_and_ours_are_put_together():
    servers = PipelineConfig(
        detectors=("edges",), refiner="cluster", options={"cluster": {"a": 1}, "overlay": {"b": 2}}
    )
    ours = PipelineConfig.model_validate({"render": {"training_px": 512}, "options": {"overlay": {"c": 3}}})
    merged = server_config(ours, facts(servers))
    assert (merged.detectors, merged.refiner) == (("edges",), "cluster")
    assert merged.render.training_px == 512
    assert merged.options == {"cluster": {"a": 1}, "overlay": {"c": 3}}
    assert merged.runtime.batch_size > 1
    with pytest.raises(ConfigError, match="refiner"):
        server_config(PipelineConfig(refiner="polygon"), facts(servers))
    with pytest.raises(ConfigError, match=r"options\.overlai\."):
        server_config(PipelineConfig(options={"overlai": {}}), facts(servers))
    theirs = PipelineConfig(detectors=("only-there",), options={"only-there": {"a": 1}})
    assert server_config(PipelineConfig(options=theirs.options), facts(theirs)).options == theirs.options
    with pytest.raises(ConfigError, match="version"):
        server_config(ours, ServerFacts("9", {"new_key": 1}, Fingerprints("d", "r", "f")))
