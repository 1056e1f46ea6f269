"""Bodies that cost more than they should: slow ones, zips of too many entries, and a disk without room for them."""

import errno
import io
import socket
import tempfile
import time
import zipfile

import pytest
from fakes import Slow, pipeline

pytest.importorskip("fastapi")

from api_server import png, serving

from automask_api.app import create_app
from automask_api.batch import sources
from automask_api.security.limits import BodyLimitMiddleware
from automask_api.settings import ServiceSettings

ZIP = {"Content-Type": "application/zip"}


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A server with one place, which waits 2 s for bytes and 2.5 s for slow bodies: a busy machine pauses for less."""
    monkeypatch.setattr("automask_api.security.limits._TAKEN_BEFORE", 1)
    monkeypatch.setattr("automask_api.security.limits.Arrival.gives_way_to", lambda *_: False)
    app = create_app(pipeline(), None, ServiceSettings(data_dir=tmp_path, queue_size=1))
    limits = BodyLimitMiddleware(app, by_path={}, otherwise=1 << 20, silence_s=2.0, grace_s=2.5)
    with serving(tmp_path, app=limits) as client:
        client.service = app.state.service
        yield client


def begun(client, *, bytes_promised: int) -> socket.socket:
    """A connection whose request for a mask has all but its body."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port), timeout=10)
    head = f"POST /v1/masks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes_promised}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def test_a_body_that_stops_arriving_gives_its_place_back(impatient):
    with begun(impatient, bytes_promised=1000) as connection:
        connection.sendall(b"x" * 10)
        while impatient.service.admitted == 0:
            time.sleep(0.01)
        assert impatient.post("/v1/masks", content=png()).status_code == 503
        assert connection.recv(4000).startswith(b"HTTP/1.1 408 ")
    assert impatient.service.admitted == 0
    assert impatient.post("/v1/masks", content=png()).status_code == 200


def test_a_body_that_trickles_is_not_waited_for(impatient):
    with begun(impatient, bytes_promised=1000) as connection:
        started = time.monotonic()
        for _ in range(100):
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
            if impatient.service.admitted == 0:
                break
        assert time.monotonic() - started < 9
        assert connection.recv(4000).startswith(b"HTTP/1.1 408 ")


def test_a_slow_model_is_no_slow_body(tmp_path):
    app = create_app(pipeline(Slow(1.0)), None, ServiceSettings(data_dir=tmp_path))
    limits = BodyLimitMiddleware(app, by_path={}, otherwise=1 << 20, silence_s=0.3, grace_s=0.3)
    with serving(tmp_path, app=limits) as client:
        assert client.post("/v1/masks", content=png()).status_code == 200


def zip_of(count: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", png())
        for number in range(count):
            archive.writestr(str(number), b"")
    return out.getvalue()


def test_a_zip_of_very_many_entries_is_refused_before_they_are_listed(tmp_path):
    with serving(tmp_path, max_batch_images=10) as client:
        assert client.post("/v1/masks/batch", content=zip_of(500), headers=ZIP).status_code == 200
        answer = client.post("/v1/masks/batch", content=zip_of(25_000), headers=ZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "entries" in answer.json()["detail"]


class FullDisk(io.BytesIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_without_room_for_a_body_is_said(tmp_path, monkeypatch):
    with serving(tmp_path) as client:
        monkeypatch.setattr(sources.tempfile, "TemporaryFile", lambda **_: FullDisk())
        answer = client.post("/v1/masks/batch", content=zip_of(1), headers=ZIP)
        assert (answer.status_code, answer.json()["code"]) == (507, "output-unwritable")
        assert "No space left" in answer.json()["detail"]
        monkeypatch.undo()
        monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", lambda *_: FullDisk().write(b""))
        answer = client.post("/v1/masks/batch", files={"images": ("a.png", png())})
        assert answer.status_code == 507
        monkeypatch.undo()
        assert client.post("/v1/masks/batch", content=zip_of(1), headers=ZIP).status_code == 200
