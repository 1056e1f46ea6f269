"""What strangers write into requests: no header is a defect, no word forges a line of the log or a metric."""

import json
import logging
import re
import socket

import httpx
import pytest

pytest.importorskip("fastapi")

from api_process import ServeProcess
from api_server import png, serving
from export_cases import make_store
from review_cases import served

from automask_api.logs import FloodFilter, JsonFormatter, TextFormatter
from automask_api.security.keys import KEYS_FILE, add_key

FORGED = '{"level": "error", "message": "forged"}'
MOVES = {
    "%0a": "\n", "%0d": "\r", "%1b": "\x1b[2K\x1b[1A", "%00": "\0", "%7f": "\x7f", "%08": "\x08",
    "nel": "\x85", "csi": "\x9b2K",
    "line": "\u2028", "paragraph": "\u2029", "right to left": "\u202e", "half": "\ud800",
    "tag": "\U000e0041",
}  # fmt: skip
MALFORMED = ["http://[", "http://[::1", "[", "http://]", "//", "\x01", "é", "http://a b", "http://\u2100".encode(), "%"]
"""As an origin, a host, or where somebody comes from."""


@pytest.fixture(scope="module", params=["keyless", "keyed"])
def client(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    key = add_key(folder / KEYS_FILE, "a") if request.param == "keyed" else ""
    with serving(folder) as client:
        client.headers.update({"Authorization": f"Bearer {key}"} if key else {})
        client.is_keyed = bool(key)
        yield client


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_origin_is_refused_and_no_header_is_a_defect(client, value):
    raw = value if isinstance(value, bytes) else value.encode()
    for path in ("/v1/models", "/v1/jobs/", "/healthz", "/docs", "/v1/nothing"):
        origin = client.get(path, headers=[(b"Origin", raw)])
        if raw != b"\x01":  # which is no HTTP
            assert (origin.status_code, origin.json()["code"]) == (403, "origin-refused")
        for name in (b"Referer", b"X-Request-Id", b"Accept", b"Content-Type", b"Range", b"If-None-Match"):
            assert client.get(path, headers=[(name, raw)]).status_code < 500, name
        host = client.get(path, headers=[(b"Host", raw)])
        assert host.status_code < 500
        assert client.is_keyed or host.status_code in (400, 403)


def written(formatter, **facts) -> str:
    record = logging.LogRecord("automask_api.access", logging.WARNING, "f", 1, facts.pop("message"), (), None)
    record.__dict__.update(facts)
    return formatter.format(record)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
def test_no_character_forges_a_line(move):
    word = f"a{move}{FORGED}{move}12:00:00 error forged"
    for formatter in (JsonFormatter(), TextFormatter()):
        line = written(formatter, message=word, path=word, client=word, request_id=word)
        assert line.isprintable(), line
        line.encode("utf-8")
    found = json.loads(written(JsonFormatter(), message=word, path=word))
    assert (found["level"], found["message"], found["path"]) == ("warning", word, word)


def test_no_path_forges_a_fact():
    line = written(TextFormatter(), message="request", path="/x status=200 key=admin", status=404)
    assert 'path="/x status=200 key=admin"' in line
    assert len(re.findall(r"(?:^| )status=", line.replace('"/x status=200 key=admin"', ""))) == 1


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_tracebacks_of_names_forge_nothing_and_have_an_end(formatter):
    try:
        raise ValueError(f"no such file: a\n12:00:00 error forged \x1b[2K{'x' * 100_000}")
    except ValueError as error:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "m", (), (ValueError, error, error.__traceback__))
    text = formatter.format(record)
    assert len(text) < 20_000
    assert "\x1b" not in text
    _, *below = text.split("\n")
    assert all(line.startswith("    ") for line in below)


def test_floods_are_counted_instead_of_written():
    now = [0.0]
    flood = FloodFilter(clock=lambda: now[0])

    def record(message, level=logging.WARNING):
        return logging.LogRecord("a", level, "f", 1, message, (), None)

    assert sum(flood.filter(record("storm")) for _ in range(10_000)) == 20
    assert flood.filter(record("something else"))
    assert sum(flood.filter(record("request", logging.INFO)) for _ in range(10_000)) == 2000
    now[0] = 10.0
    again = record("storm")
    assert flood.filter(again)
    assert json.loads(JsonFormatter().format(again))["left_out"] == 9980
    assert sum(flood.filter(record(f"message {number}")) for number in range(100_000)) == 100_000
    assert len(flood._kinds) <= 1000


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_real_log_has_one_line_for_each_request(tmp_path, log_format):
    (tmp_path / "root" / "set\n\x1b[2K\u2028").mkdir(parents=True)
    (tmp_path / "root" / "set\n\x1b[2K\u2028" / "a\nb\x1b.png").write_bytes(png()[:90])
    variables = {"AUTOMASK_SERVE_LOG_FORMAT": log_format}
    with ServeProcess(tmp_path, "--root", tmp_path / "root", **variables) as server:
        began = server.log.read_text().count("\n")
        for move in ("%0a", "%0d", "%0D%0A", "%1b[2K", "%E2%80%A8", "%C2%85", "%00", "%ff"):
            server.client.get(f"/x{move}forged?y={move}forged")
        server.client.get("/x", headers={"X-Request-Id": b"a b", "User-Agent": b"a\x85forged"})
        job = server.client.post("/v1/jobs", json={"folder": "set\n\x1b[2K\u2028"})
        assert job.status_code == 202, job.text
        server.client.post("/v1/jobs", json={"folder": "no\nforged"})
        server.client.post("/v1/masks", files={"image": ("a\nforged\x1b.png", png()[:90])})
        while server.client.get(f"/v1/jobs/{job.json()['id']}").json()["state"] in ("queued", "running"):
            pass
        asked = 12
    lines = [line for line in server.log.read_text().split("\n")[began:] if line]
    assert len(lines) >= asked
    for line in lines:
        assert line.isprintable(), line
        if log_format == "json":
            assert json.loads(line)["level"] in ("info", "warning")
        else:
            assert re.match(r"\d\d:\d\d:\d\d (info|warning) |    ", line), line


def test_what_the_review_page_says_has_no_forged_line(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png())
    with served(make_store(tmp_path / "images")) as server:
        for move in ("%0a", "%0d", "%0D%0A", "%1b[2K", "%E2%80%A8", "%C2%85", "%00", "%ff"):
            for path in ("x", "api/images/", "static/", "api/nothing/"):
                httpx.get(f"{server.address}{path}{move}forged?y={move}forged")
        httpx.get(server.address, headers={"User-Agent": b"a\x85forged"})
        server.process.terminate()
        said = server.process.communicate()[1].decode()
        server.process = None
    assert not [line for line in said.split("\n") if not line.isprintable() or line.startswith("forged")], said
    assert "Traceback" not in said


def labels(text: str) -> set[str]:
    return set(re.findall(r"^automask_requests_total\{(.*)\}", text, re.MULTILINE))


def test_labels_come_from_a_closed_set(tmp_path):
    with serving(tmp_path) as client:
        for number in range(30):
            client.request(f"X{number}", "/v1/models")
            client.request("GET", f"/nothing/{number}")
            client.request("HEAD", f"/v1/jobs/{number:016x}")
            client.request(f"M-{number}", f"/nothing/{number}")
            client.get(f"/v1/jobs/{number}\u2028")
        found = labels(client.get("/metrics").text)
        for number in range(30, 60):
            client.request(f"X{number}", f"/nothing/{number}")
        assert labels(client.get("/metrics").text) - found <= {'method="GET",route="/metrics",status="200"'}
    methods = {re.search(r'method="(.*?)"', label)[1] for label in found}
    assert methods <= {"GET", "HEAD", "POST", "OPTIONS", "DELETE", "PUT", "PATCH", "other"}
    routes = {re.search(r'route="(.*?)"', label)[1] for label in found}
    assert routes <= {"none", "/readyz", "/v1/models", "/v1/jobs/{job_id}"}


def test_what_is_no_http_is_refused_in_words(tmp_path):
    with serving(tmp_path) as client, socket.create_connection((client.base_url.host, client.base_url.port)) as one:
        one.sendall(b"\x16\x03\x01\0\0\r\n\r\n")
        answer = one.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
