"""Ctrl-C on a server that is at work: it ends within seconds and says what becomes of that work."""

import contextlib
import json
import os
import signal
import threading
import time

import pytest
from cli_process import draw_images, environment, install_detector

pytest.importorskip("fastapi")

from api_process import ENDS_WITHIN_S, ServeProcess
from api_server import png
from job_cases import finished

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@pytest.fixture
def server(tmp_path):
    """One whose detector takes a minute for broad images and half a second for others."""
    body = (
        f"open({str(tmp_path / 'at-work')!r}, 'w').close()\n"
        "time.sleep(60 if images[0].pixels.shape[1] > 500 else 2 if images[0].pixels.shape[1] < 100 else 0.5)\n"
        "return [[] for image in images]"
    )
    plugin = install_detector(tmp_path / "plugin", "slow", body)
    path = {"PYTHONPATH": environment(plugin)["PYTHONPATH"], "AUTOMASK_SERVE_BATCH_SIZE": "1"}
    draw_images(tmp_path / "root" / "set", 8)
    with ServeProcess(tmp_path, "--root", tmp_path / "root", config='detectors = ["slow"]\n', **path) as server:
        yield server


def ended(server, number=signal.SIGINT) -> str:
    """Send a signal; what the server then says on stdout."""
    began = time.monotonic()
    server.process.send_signal(number)
    said = server.process.stdout.read()
    # 0 where whoever runs the tests ignores SIGINT, as shells do for what they start with `&`.
    assert server.process.wait(30) in ((130, 0) if number is signal.SIGINT else (-number,))
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert "Traceback" not in server.log.read_text(), server.log.read_text()
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_requests_in_hand_are_finished_or_told_to_come_again(server, tmp_path, number):
    answers = []

    def ask(width_px):
        answers.append((width_px, server.client.post("/v1/masks", content=png(width_px=width_px))))

    threads = [threading.Thread(target=ask, args=(width_px,)) for width_px in (96, 900, 901)]
    for thread in threads:
        thread.start()
        while not (tmp_path / "at-work").exists():  # the small one is in hand before the others come
            time.sleep(0.01)
    while "automask_admitted_requests 3.0" not in server.client.get("/metrics").text:
        time.sleep(0.01)
    assert "3 requests get 4 s more" in ended(server, number)
    for thread in threads:
        thread.join()
    status = {width_px: answer.status_code for width_px, answer in answers}
    assert status == {96: 200, 900: 503, 901: 503}
    for width_px, answer in answers:
        if width_px > 96:
            assert answer.json()["code"] == "stopping"
            assert answer.headers["retry-after"] == "5"


def test_a_job_goes_on_at_the_next_start(server):
    job_id = server.client.post("/v1/jobs", json={"folder": "set"}).json()["id"]
    lines = []
    with server.client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if line.startswith("data:") and json.loads(line[5:])["progress"]["done"] == 1:
                said = ended(server)  # and the stream ends by itself
    assert "event: end" not in lines
    assert "1 job goes on when it is started again" in said
    server.start()
    job = finished(server.client, job_id)
    assert (job["state"], job["starts"], job["progress"]["done"]) == ("done", 2, 8)
    assert job["progress"]["reused"] >= 1


def test_a_cancelled_job_stays_cancelled_when_the_server_stops_before_its_image_is_done(server, tmp_path):
    draw_images(tmp_path / "root" / "broad", 1, side_px=300)
    job_id = server.client.post("/v1/jobs", json={"folder": "broad"}).json()["id"]
    while not (tmp_path / "at-work").exists():
        time.sleep(0.01)
    assert server.client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "running"
    assert "goes on" not in ended(server)
    server.start()
    assert server.client.get(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"


def test_a_second_interrupt_waits_for_nothing(server):
    thread = threading.Thread(target=asked_in_vain, args=(server,))
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) in (130, 0)
    assert time.monotonic() - began < 3
    thread.join()


def asked_in_vain(server) -> None:
    import httpx

    with contextlib.suppress(httpx.TransportError):
        server.client.post("/v1/masks", content=png(width_px=900))
