"""Images of a job from an upload are a stranger's, too: their decoding is bounded, and holds nobody up."""

import json
import sys
import time

import pytest

pytest.importorskip("fastapi")

from api_server import png, serving
from dataset_samples import encoded
from job_cases import finished
from measuring.bombs import frame_bomb, page_bomb, pixel_bomb, scan_bomb, text_bomb
from PIL import Image as PillowImage

from automask.config import DecodeConfig
from automask_api.uploads import decoder as decoding

UPLOAD = "/v1/jobs/upload"


def sent(client, **files: bytes) -> str:
    """The id of a job for files; their names end in `.png`, whatever they are."""
    answer = client.post(UPLOAD, files=[("images", (f"{name}.png", data)) for name, data in files.items()])
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def refused(client, job_id) -> dict[str, str]:
    """The code of what is said of each image that got no mask."""
    rows = map(json.loads, client.get(f"/v1/jobs/{job_id}/manifest").text.splitlines())
    return {row["image_id"]: row["issues"][-1]["code"] for row in rows if row["mask"] is None}


def test_bad_files_cost_a_job_their_own_masks_and_nobody_time(tmp_path):
    """They were decoded by the server itself, without an end: a minute for the slowest."""
    pixels = encoded(PillowImage.new("RGB", (5100, 5100)), "PNG")
    with serving(tmp_path, max_decode_s=1.0) as client:
        job_id = sent(
            client,
            good=png(seed=1),
            scans=scan_bomb(5_000),
            slow=scan_bomb(90, side_px=4900),
            large=pixels,
            larger=pixel_bomb(12_000),
            pages=page_bomb(32_000),
            frames=frame_bomb(100_000),
            texts=text_bomb(20),
            behind=png(seed=2),
        )
        worst_s = 0.0
        while client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running"):
            began = time.monotonic()
            assert client.post("/v1/masks", content=png(seed=3)).status_code == 200
            worst_s = max(worst_s, time.monotonic() - began)
        assert finished(client, job_id)["state"] == "done"
        assert refused(client, job_id) == {
            "scans.png": "image-too-costly",
            "slow.png": "image-too-costly",
            "large.png": "image-too-large",
            "larger.png": "image-too-large",
        }
    assert worst_s < 10


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system has no such bound")
def test_memory_is_bounded_and_the_limit_told(tmp_path):
    with serving(tmp_path, max_decode_bytes=32 << 20, max_decode_s=30.0) as client:
        job_id = sent(client, much=encoded(PillowImage.new("RGB", (4900, 4900)), "PNG"), good=png())
        assert finished(client, job_id)["state"] == "done"
        assert refused(client, job_id) == {"much.png": "image-out-of-memory"}


def test_a_folder_of_the_operator_has_no_bounds(tmp_path):
    (tmp_path / "root" / "set").mkdir(parents=True)
    (tmp_path / "root" / "set" / "a.png").write_bytes(png())
    with serving(tmp_path / "data", roots=(tmp_path / "root",), reduce_above_megapixels=0.001) as client:
        own = client.post("/v1/jobs", json={"folder": "set"}).json()["id"]
        theirs = sent(client, a=png())
        assert (finished(client, own)["state"], refused(client, own)) == ("done", {})
        assert finished(client, theirs)["progress"]["failed"] == 1


def test_a_job_waits_where_a_request_is_told_to_come_again(tmp_path, monkeypatch):
    """Through the end of a server as well: the next one goes on."""
    monkeypatch.setattr(decoding, "_QUICK_PX", 1)
    monkeypatch.setattr(decoding, "_MOST_SLOW", 0)
    with serving(tmp_path) as client:
        assert client.post("/v1/masks", content=png()).status_code == 503
        job_id = sent(client, a=png(), b=png(seed=2))
        time.sleep(1.5)
        assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "running"
    with serving(tmp_path) as client:
        assert client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running")
        monkeypatch.setattr(decoding, "_MOST_SLOW", 8)
        assert finished(client, job_id)["progress"]["written"] == 2


@pytest.mark.parametrize("waits_for", ["a place", "its turn"])
def test_a_job_is_cancelled_while_it_waits(tmp_path, monkeypatch, waits_for):
    """It waited until there was a place, and then until its turn came, cancelled or not."""
    monkeypatch.setattr(decoding, "_QUICK_PX", 1)
    if waits_for == "a place":
        monkeypatch.setattr(decoding, "_MOST_SLOW", 0)
    with serving(tmp_path, max_decode_s=60.0) as client:
        decoder = client.app.state.service.decoder
        if waits_for == "its turn":
            slow = scan_bomb(90, side_px=8000)
            before = decoder.decode(slow, name="before", config=DecodeConfig(), size_px=64_000_000)
        job_id = sent(client, a=png(), b=png(seed=2), c=png(seed=3))
        time.sleep(1.5)
        assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "running"
        if waits_for == "its turn":
            assert not before.done()
            assert decoder.waiting > 0
        began = time.monotonic()
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
        job = finished(client, job_id, seconds=10)
        assert time.monotonic() - began < 4
        assert (job["state"], job["problem"], job["progress"]["failed"]) == ("cancelled", None, 0)
        if waits_for == "its turn":
            assert not before.done(), "it did not wait for that"
            before.cancel()
        monkeypatch.setattr(decoding, "_MOST_SLOW", 8)
        again = finished(client, sent(client, a=png(), b=png(seed=2), c=png(seed=3)))
        assert (again["state"], again["progress"]["written"]) == ("done", 3)
