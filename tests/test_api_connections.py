"""Clients that connect and keep the server waiting: they cost nobody else anything, and the log next to nothing."""

import contextlib
import json
import os
import select
import socket
import threading
import time

import httpx
import pytest
from fakes import Slow, pipeline

pytest.importorskip("fastapi")

from api_process import ServeProcess
from api_server import png, serving
from export_cases import make_store
from review_cases import served

from automask_api.app import create_app
from automask_api.connections import Connections, within_open_files
from automask_api.settings import ConnectionLimits, ServiceSettings

resource = pytest.importorskip("resource")  # limits of POSIX

OPEN_FILES = 320
HALF_OPEN = 400
"""More than the server may have files."""
MOST_LOG_BYTES = 40_000
ANSWER_S = 30.0  # on a busy machine

HEAD = b"POST /v1/masks HTTP/1.1\r\nHost: localhost\r\n"
BEGINNINGS = {
    "silent": b"",
    "half a line": b"GET /hea",
    "half a head": HEAD + b"X-Slow: ",
    "a body that does not come": HEAD + b"Content-Length: 5000\r\n\r\nx",
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "nonsense in a body": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


def connected(client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=ANSWER_S)


def answer_on(connection) -> bytes:
    """All that comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def lines_of(log: str) -> list[dict]:
    return [json.loads(line) for line in log.splitlines()]


@contextlib.contextmanager
def hammering(client, beginning: bytes, count: int):
    """So many connections that begin like that, each begun again when the server ends it, with a byte now and then."""
    stop = threading.Event()
    sockets: list[socket.socket] = []

    def begin():
        one = connected(client)
        one.setblocking(False)
        with contextlib.suppress(OSError):
            one.send(beginning)
        return one

    def keep_up():
        while not stop.is_set():
            for index, one in enumerate(sockets):
                if stop.is_set():
                    return
                try:
                    if one.recv(1000):
                        continue
                except BlockingIOError:
                    with contextlib.suppress(OSError):
                        one.send(b"x" if beginning else b"")
                    continue
                except OSError:
                    pass
                one.close()
                with contextlib.suppress(OSError):
                    sockets[index] = begin()
                time.sleep(0.01)
            time.sleep(0.05)

    sockets += [begin() for _ in range(count)]
    thread = threading.Thread(target=keep_up)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for one in sockets:
            one.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server in a process that may have few files, and that waits for every head as long as the tests run."""
    patient = {"AUTOMASK_SERVE_HEADER_S": "500"}
    with ServeProcess(tmp_path_factory.mktemp("server"), open_files=OPEN_FILES, **patient) as server:
        server.client.post("/v1/masks", content=png()).raise_for_status()
        yield server


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_more_half_open_connections_than_files_starve_nobody(small, beginning):
    written = small.log.stat().st_size
    with hammering(small.client, beginning, HALF_OPEN):
        time.sleep(0.7)
        for seed in range(5):
            began = time.monotonic()
            with connected(small.client) as one:  # as a new client, without a connection from before
                body = png(seed=seed)
                one.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                answer = answer_on(one)
            assert answer.startswith(b"HTTP/1.1 200 "), answer[:300]
            assert time.monotonic() - began < ANSWER_S
    log = small.log.read_text()[written:]
    assert "Traceback" not in log
    lines = lines_of(log)
    # Each request that had a head may have its line. What came before there was a request may not.
    assert len(log) < MOST_LOG_BYTES + sum(len(json.dumps(line)) for line in lines if line["message"] == "request")
    assert [line for line in lines if line["level"] == "error"] == []


def test_a_head_that_does_not_come_is_not_waited_for(tmp_path):
    with serving(tmp_path, header_s=0.5) as client:
        began = time.monotonic()
        with connected(client) as silent, connected(client) as half, connected(client) as again:
            half.sendall(HEAD)
            again.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while not received.endswith(b"}"):
                received += again.recv(4096)
            again.sendall(b"GET /heal")  # the second request over a connection
            assert answer_on(silent) == b""
            for late in (half, again):
                head, _, body = answer_on(late).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 408 ")
                assert json.loads(body)["code"] == "request-too-slow"
        assert 0.4 < time.monotonic() - began < 3
        text = client.get("/metrics").text
    assert 'automask_connections_ended_total{reason="header-timeout"} 3.0' in text


def test_requests_in_work_keep_their_connections(tmp_path):
    with serving(tmp_path, pipeline=pipeline(Slow(0.5)), connections=8, queue_size=64) as client:
        body = png(seed=5)
        request = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with contextlib.ExitStack() as stack:
            at_work = [stack.enter_context(connected(client)) for _ in range(7)]  # and the client's own
            for one in at_work:
                one.sendall(request)
            time.sleep(0.2)
            waiting = [stack.enter_context(connected(client)) for _ in range(3)]  # each takes the place of the last
            time.sleep(0.1)
            assert answer_on(waiting[0]) == answer_on(waiting[1]) == b""
            waiting[2].sendall(request)
            time.sleep(0.2)
            refused = answer_on(stack.enter_context(connected(client)))
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: " in refused
            for one in (*at_work, waiting[2]):
                assert answer_on(one).startswith(b"HTTP/1.1 200 ")


def test_who_watches_jobs_leaves_connections_to_others(tmp_path):
    (tmp_path / "root" / "set").mkdir(parents=True)
    (tmp_path / "root" / "set" / "a.png").write_bytes(png())
    settings = {"roots": (tmp_path / "root",), "connections": 8, "pipeline": pipeline(Slow(3.0))}
    with serving(tmp_path / "data", **settings) as client:
        address = f"/v1/jobs/{client.post('/v1/jobs', json={'folder': 'set'}).json()['id']}/events"
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stream = stack.enter_context(client.stream("GET", address))
                assert stream.status_code == 200
            refused = client.get(address)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert client.head("/healthz").status_code == 200
        time.sleep(0.5)  # it has noticed that they are gone
        with client.stream("GET", address) as stream:
            assert stream.status_code == 200


def test_who_takes_no_answer_is_cut_off(tmp_path):
    app = create_app(pipeline(), None, ServiceSettings(data_dir=tmp_path))
    service = app.state.service
    service.connections.limits = ConnectionLimits(write_s=0.5)
    with serving(tmp_path, app=app) as client, connected(client) as lazy:
        for _ in range(300):  # of answers that nobody reads
            lazy.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until = time.monotonic() + 10
        while service.connections.ended["write-timeout"] == 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert client.get("/healthz").status_code == 200


def test_small_bodies_need_no_place_until_they_are_there(tmp_path):
    with serving(tmp_path, queue_size=1) as client, connected(client) as slow:
        slow.sendall(BEGINNINGS["a body that does not come"])
        time.sleep(0.1)
        assert client.app.state.service.admitted == 0
        assert client.post("/v1/masks", content=png()).status_code == 200


@pytest.mark.parametrize("whole", [True, False])
def test_large_bodies_that_stall_give_their_places_to_others(tmp_path, whole):
    with serving(tmp_path, queue_size=2) as client, contextlib.ExitStack() as stack:
        service = client.app.state.service
        stalled = [stack.enter_context(connected(client)) for _ in range(2)]
        for one in stalled:
            one.sendall(HEAD + b"Content-Length: 900000\r\n\r\n" + bytes(100_000))
        while service.admitted < 2:
            time.sleep(0.01)
        if whole:  # in one go, before it asks for a place
            assert client.post("/v1/masks", content=png()).status_code == 200
        else:
            time.sleep(0.3)
            picture = png(width_px=800, height_px=400)
            assert len(picture) > 200_000
            assert client.post("/v1/masks", content=picture).status_code == 200
        assert service.admitted == 1
        told, _, _ = select.select(stalled, [], [], 10)
        assert [one.recv(12) for one in told] == [b"HTTP/1.1 408"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes limits of other processes")
def test_a_process_without_a_file_left_says_so_in_a_few_lines_and_goes_on(tmp_path):
    with ServeProcess(tmp_path, AUTOMASK_SERVE_CONNECTIONS="1000") as server:
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))  # noqa: PTH208
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 20, limit[1]))
        written = server.log.stat().st_size
        with hammering(server.client, b"GET", 60):
            time.sleep(3)
        log = server.log.read_text()[written:]
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
        time.sleep(1.1)
        assert server.client.get("/healthz").status_code == 200
    assert "Traceback" not in log
    lines = lines_of(log)
    assert {line["message"] for line in lines if line["level"] == "error"} == {
        "no connection can be accepted: Too many open files"
    }
    assert len(lines) < 60
    assert any("left_out" in line for line in lines)


def test_the_review_page_is_not_starved_either(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # which the server inherits, as most users have it
        server = stack.enter_context(served(make_store(tmp_path / "images")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else 4096, hard))
        for _ in range(1100):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)).send(b"GET /")
        assert httpx.get(server.address, timeout=ANSWER_S).status_code == 200
        server.process.terminate()
        said = server.process.communicate()[1].decode()
        server.process = None
    assert "Traceback" not in said
    assert len(said) < 2000


class Caller:
    """A connection as `Connections` sees it."""

    def __init__(self, address, *, is_waiting=True, since_s=0.0):
        self.address, self.is_waiting, self.is_arriving = address, is_waiting, False
        self.waiting_since_s = self.heard_s = since_s
        self.ended = None

    def end(self, reason):
        self.ended = reason


def test_one_address_cannot_take_all_but_this_machine_s_own_may():
    limits = ConnectionLimits(most=10, most_per_address=3)
    connections = Connections(limits)
    at_work = [Caller("10.0.0.1", is_waiting=False) for _ in range(3)]
    assert [connections.admit(one) for one in at_work] == [True] * 3
    assert not connections.admit(Caller("10.0.0.1"))
    idle = [Caller("10.0.0.2", since_s=second) for second in (3.0, 1.0, 2.0)]
    assert [connections.admit(one) for one in [*idle, Caller("10.0.0.2", since_s=4.0)]] == [True] * 4
    assert [one.ended for one in idle] == [None, "made-room", None]
    assert all(connections.admit(Caller("127.0.0.1", is_waiting=False)) for _ in range(4))
    assert len(connections) == 10
    assert connections.admit(Caller("::1"))  # of all of them, the one that has waited longest goes
    assert idle[2].ended == "made-room"
    assert len(connections) == 10
    assert all(one.ended is None for one in at_work)
    without = Connections(ConnectionLimits(most=10, most_per_address=0))
    assert all(without.admit(Caller("10.0.0.1", is_waiting=False)) for _ in range(10))
    assert not without.admit(Caller("10.0.0.1", is_waiting=False))


def test_connections_leave_files_for_everything_else():
    limits = ConnectionLimits(most=100_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = within_open_files(limits).most
        assert 8 <= most < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
