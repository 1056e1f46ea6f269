"""Jobs for folders against a real server on loopback."""

import collections
import io
import json
import random
import signal
import time
import zipfile

import pytest
from cli_process import automask, draw_images, environment, install_detector, masks_of
from fakes import Slow, pipeline
from overlay_cases import WIDTH_PX, lettering, marked
from PIL import Image

pytest.importorskip("fastapi")

from api_process import ServeProcess
from api_server import png, serving
from job_cases import finished, red_folder

from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store
from automask_models.overlay.detector import OverlayDetector
from automask_models.overlay.options import OverlayOptions

SLOW_S = 0.15
SLOW_CONFIG = 'detectors = ["edges", "noting"]\n'


@pytest.fixture
def images(tmp_path):
    return red_folder(tmp_path / "root" / "set")


@pytest.fixture
def client(tmp_path, images):
    with serving(tmp_path / "data", roots=(tmp_path / "root",)) as client:
        yield client


def test_a_folder_becomes_masks_equal_to_those_of_single_requests(client, images):
    answer = client.post("/v1/jobs", json={"folder": str(images), "options": {"growth_cells": 2}})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job = finished(client, answer.json()["id"])
    assert job["state"] == "done"
    assert job["progress"]["done"] == job["progress"]["written"] == job["progress"]["total"] == 5
    with zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/masks").content)) as archive:
        masks = {name: archive.read(name) for name in archive.namelist()}
    manifest = client.get(f"/v1/jobs/{job['id']}/manifest").content
    assert masks.pop("manifest.ndjson") == manifest
    rows = [json.loads(line) for line in manifest.splitlines()]
    assert {row["mask"] for row in rows} == set(masks)
    for row in rows:
        single = client.post("/v1/masks", content=(images / row["image_id"]).read_bytes(), params={"growth_cells": 2})
        assert masks[row["mask"]] == single.content
        assert row["verdict"] == single.headers["x-automask-verdict"]


def test_the_same_request_again_does_only_what_changed(client, images):
    first = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])
    (images / "new.png").write_bytes(png(seed=77))
    second = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])
    assert first["store"] == second["store"]
    assert (second["progress"]["written"], second["progress"]["reused"]) == (1, 5)
    other = finished(client, client.post("/v1/jobs", json={"folder": "set", "pattern": "sub/*"}).json()["id"])
    assert other["store"] != second["store"]
    assert (other["progress"]["written"], other["progress"]["skipped"]) == (2, {"not-asked-for": 4})
    assert [job["id"] for job in client.get("/v1/jobs").json()] == [other["id"], second["id"], first["id"]]


def test_a_finished_job_is_exported_for_a_trainer(client, tmp_path):
    job = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])
    with zipfile.ZipFile(
        io.BytesIO(client.get(f"/v1/jobs/{job['id']}/export", params={"to": "grey"}).content)
    ) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 5
    kohya = client.get(f"/v1/jobs/{job['id']}/export", params={"to": "kohya"})
    with zipfile.ZipFile(io.BytesIO(kohya.content)) as archive:
        assert archive.testzip() is None
    assert list((tmp_path / "data" / "temporary").iterdir()) == []
    unknown = client.get(f"/v1/jobs/{job['id']}/export", params={"to": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "plugin-unknown")


def test_events_tell_the_progress_and_the_end(tmp_path, images):
    with serving(tmp_path / "data", roots=(tmp_path / "root",), pipeline=pipeline(Slow(0.3))) as client:
        job = client.post("/v1/jobs", json={"folder": "set"}).json()
        with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = list(stream.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert names[-1] == "end"
    assert set(names[:-1]) == {"progress"}
    assert data[-1]["state"] == "done"
    done = [job["progress"]["done"] for job in data]
    assert done == sorted(done)
    assert len(set(done)) >= 3


def test_a_job_can_be_cancelled_and_goes_on_when_asked_again(tmp_path, images):
    with serving(tmp_path / "data", roots=(tmp_path / "root",), pipeline=pipeline(Slow(0.2))) as client:
        running = client.post("/v1/jobs", json={"folder": "set"}).json()["id"]
        waiting = client.post("/v1/jobs", json={"folder": "set", "pattern": "sub/*"}).json()["id"]
        assert client.post(f"/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
        while client.get(f"/v1/jobs/{running}").json()["progress"]["done"] < 1:
            time.sleep(0.02)
        conflict = client.delete(f"/v1/jobs/{running}")
        assert (conflict.status_code, conflict.json()["code"]) == (409, "job-active")
        client.post(f"/v1/jobs/{running}/cancel")
        job = finished(client, running)
        assert job["state"] == "cancelled"
        made = job["progress"]["written"]
        assert 1 <= made < 5
        again = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])
        assert (again["progress"]["reused"], again["progress"]["written"]) == (made, 5 - made)
        assert client.get(f"/v1/jobs/{running}/masks").json()["code"] == "job-not-done"
        for job_id in (running, waiting, again["id"]):
            assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert list((tmp_path / "data" / "stores").iterdir()) == []
    assert list((tmp_path / "data" / "jobs").iterdir()) == []


def test_jobs_go_on_after_a_restart(tmp_path, images):
    settings = {"roots": (tmp_path / "root",)}
    with serving(tmp_path / "data", pipeline=pipeline(Slow(0.2)), **settings) as client:
        job_id = client.post("/v1/jobs", json={"folder": "set"}).json()["id"]
        while client.get(f"/v1/jobs/{job_id}").json()["progress"]["done"] < 1:
            time.sleep(0.02)
    with serving(tmp_path / "data", pipeline=pipeline(Slow(0.0)), **settings) as client:
        job = finished(client, job_id)
    assert (job["state"], job["starts"]) == ("done", 2)
    assert job["progress"]["reused"] >= 1
    assert job["progress"]["done"] == 5


def test_a_job_masks_what_repeats_as_a_run_of_the_command_line_does(tmp_path):
    folder = tmp_path / "root" / "marked"
    folder.mkdir(parents=True)
    for seed in range(6):
        Image.fromarray(marked(seed, lettering(), opacity=0.8).pixels).save(folder / f"{seed}.png")

    def overlays(seconds):
        alone = pipeline(Slow(seconds))
        repeats = OverlayDetector(OverlayOptions(reduced_px=WIDTH_PX))
        return MaskPipeline(
            alone.config, detectors=alone.detectors, refiner=alone.refiner, dataset_detectors=(repeats,)
        )

    settings = {"roots": (tmp_path / "root",)}
    with serving(tmp_path / "data", pipeline=overlays(0.1), **settings) as client:
        job_id = client.post("/v1/jobs", json={"folder": "marked"}).json()["id"]
        while client.get(f"/v1/jobs/{job_id}").json()["progress"]["done"] < 2:
            time.sleep(0.02)
    with serving(tmp_path / "data", pipeline=overlays(0.1), **settings) as client:
        job = finished(client, job_id)
    assert (job["state"], job["starts"]) == ("done", 2)
    pipe = overlays(0.0)
    assert run_dataset(folder, tmp_path / "run", pipe.config, pipeline=pipe).updated == 6
    assert masks_of(tmp_path / "data" / "stores" / job["store"]) == masks_of(tmp_path / "run")


@pytest.mark.parametrize("folder", ["/etc", "..", "set/../..", "/", "out", "a\0b", "set/../../data"])
def test_folders_outside_of_the_roots_are_refused(client, tmp_path, folder):
    (tmp_path / "root" / "out").symlink_to("/etc")
    answer = client.post("/v1/jobs", json={"folder": folder})
    assert answer.status_code in (403, 422), answer.text
    assert answer.json()["code"] in ("root-refused", "input-not-a-folder")
    if "\0" not in folder:
        assert answer.status_code == 403


def test_links_out_of_the_roots_are_passed_over(client, tmp_path, images):
    secret = red_folder(tmp_path / "secret", 1)
    (images / "link.png").symlink_to(secret / "0.png")
    (images / "folder").symlink_to(secret)
    job = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])
    assert job["progress"]["skipped"] == {"outside-root": 2}
    assert job["progress"]["done"] == 5


def test_without_roots_there_are_no_jobs(tmp_path, images):
    with serving(tmp_path / "data") as client:
        answer = client.post("/v1/jobs", json={"folder": str(images)})
    assert (answer.status_code, answer.json()["code"]) == (403, "root-refused")


def test_what_goes_wrong_is_kept_with_the_job(client, tmp_path):
    (tmp_path / "root" / "empty").mkdir()
    job = finished(client, client.post("/v1/jobs", json={"folder": "empty"}).json()["id"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "input-empty")
    for bad in ({}, {"folder": ""}, {"folder": "set", "x": 1}, {"folder": "set", "options": {"growth_cells": -1}}):
        assert client.post("/v1/jobs", json=bad).status_code == 422
    for nowhere in ("nowhere", "n" * 300, "n/" * 2000):
        answer = client.post("/v1/jobs", json={"folder": nowhere})
        assert (answer.status_code, answer.json()["code"]) == (422, "input-not-a-folder")
    assert client.get("/v1/jobs/0123456789abcdef").json()["code"] == "job-unknown"
    assert client.get("/v1/jobs/0123456789abcdef/events").status_code == 404
    assert client.get("/v1/jobs/..%2f..").status_code in (404, 422)


def test_old_jobs_make_room(tmp_path, images):
    with serving(tmp_path / "data", roots=(tmp_path / "root",), jobs_kept=2) as client:
        ids = []
        for growth in range(4):
            request = {"folder": "set", "options": {"growth_cells": growth}}
            ids.append(finished(client, client.post("/v1/jobs", json=request).json()["id"])["id"])
        kept = [job["id"] for job in client.get("/v1/jobs").json()]
        assert kept == ids[:0:-1]  # the two before the last one, and that one, which was not finished when it came
    assert len(list((tmp_path / "data" / "stores").iterdir())) == 3


@pytest.mark.slow
def test_a_server_that_is_killed_at_any_moment_of_a_job_loses_and_doubles_nothing(tmp_path):
    count, rng = 36, random.Random(3)
    folder = draw_images(tmp_path / "root" / "set", count, side_px=384)
    noted = tmp_path / "looked-at"
    plugin = install_detector(
        tmp_path / "plugin", "noting", f"""
with open({str(noted)!r}, "a") as lines:
    lines.writelines(f"{{image.id}}\\n" for image in images)
time.sleep({SLOW_S} * len(images))
return [[] for _ in images]
""",
    )  # fmt: skip
    path = {"PYTHONPATH": environment(plugin)["PYTHONPATH"]}
    server = ServeProcess(tmp_path, "--root", tmp_path / "root", config=SLOW_CONFIG, **path)
    job_id = server.client.post("/v1/jobs", json={"folder": "set"}).json()["id"]
    record = tmp_path / "data" / "jobs" / f"{job_id}.json"
    root = tmp_path / "data" / "stores" / json.loads(record.read_text())["store"]
    # Before the first image is stored, at three moments on the way, and in the second pass.
    moments = [0, *sorted(rng.sample(range(2, count - 6), 3)), count]
    stored_at_kills = []
    for number, least in enumerate(moments, start=1):
        while (job := server.client.get(f"/v1/jobs/{job_id}").json())["progress"]["done"] < least:
            assert job["state"] in ("queued", "running"), job
            time.sleep(0.002)
        while least == 0 and not noted.exists():
            time.sleep(0.002)  # until its models are at work
        time.sleep(rng.random() * SLOW_S if 0 < least < count else 0)
        server.kill()
        before = masks_in(root)
        assert json.loads(record.read_text())["state"] == "running", "it was killed in the middle"
        assert least <= len(before) < count or least == count == len(before), (number, least, len(before))
        for earlier in stored_at_kills:
            assert earlier.keys() <= before.keys(), "an image is lost"
        stored_at_kills.append(before)
        server.start()
    assert len(stored_at_kills[0]) == 0
    job = finished(server.client, job_id, seconds=240)
    assert server.stop() in (0, -signal.SIGTERM)
    assert job["state"] == "done", job
    assert job["starts"] == len(moments) + 1
    done_again = collections.Counter(noted.read_text().splitlines())
    assert len(done_again) == count
    for image_id, times in done_again.items():
        first = next((n for n, stored in enumerate(stored_at_kills) if image_id in stored), len(moments))
        assert times <= first + 1, f"{image_id}: once, and once more for each kill before it was stored"
    with Store.open(root, read_only=True) as store:
        ids = [stored.image_id for stored in store.images()]
        assert list(store.verify()) == []
        assert store.templates.all()  # else the second pass would have nothing to lose
    assert len(ids) == len(set(ids)) == count
    done = automask(
        "run", folder, "--output", tmp_path / "cli", "--config", tmp_path / "config.toml", env=environment(plugin)
    )
    assert done.returncode == 0, done.stderr
    assert masks_of(root) == masks_of(tmp_path / "cli")


def masks_in(root) -> dict[str, str]:
    """The sha256 of the mask of each image that a store has a row for."""
    if not (root / "automask.sqlite").exists():
        return {}
    with Store.open(root, read_only=True) as store:
        return {stored.image_id: stored.mask_sha256 for stored in store.images()}
