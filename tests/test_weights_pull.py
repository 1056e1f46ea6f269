"""`automask models`: fetching from a server of our own, and what happens when it misbehaves."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automask.errors import OutputError, WeightsError
from automask.weights import DeclaredFile, WeightLibrary, WeightSpec, read_catalogue
from automask_models import commands
from automask_models.pull import pull

DATA = os.urandom(3_000_000)


class _Server(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self):
        status, body, length = self.server.answers.get(self.path, (404, b"", 0))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", body.decode())
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if status == 200:
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def spec(server, tmp_path, *, data=DATA, file="net/x.onnx") -> WeightSpec:
    return WeightSpec(
        name="tiny",
        task="test",
        licence="CC0-1.0",
        about="Nothing.",
        url=f"http://127.0.0.1:{server.server_address[1]}/w" if server else "https://localhost:9/w/",
        files=(DeclaredFile(file=file, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)),),
        shipped=tmp_path / "package",
    )


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_once(server, tmp_path):
    server.answers["/w/x.onnx"] = (200, DATA, len(DATA))
    told = []
    wanted = spec(server, tmp_path)
    assert pull(wanted, tmp_path / "cache", told=lambda name: lambda done, total: told.append((done, total))) == [
        tmp_path / "cache" / "net" / "x.onnx"
    ]
    assert told[-1] == (len(DATA), len(DATA))
    found = WeightLibrary({"tiny": wanted}, cache_folder=tmp_path / "cache").find("tiny")
    assert found is not None
    assert found.path == tmp_path / "cache" / "net"
    server.answers.clear()
    assert pull(wanted, tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, DATA[:-1] + b"x", len(DATA)), "other bytes"),
        ((200, DATA + b"x", len(DATA) + 1), "longer"),
        ((404, b"", 0), "404"),
        ((302, b"http://127.0.0.1:1/elsewhere", 0), "not https"),
    ],
)
def test_nothing_is_kept_of_a_bad_download(server, tmp_path, answer, words):
    server.answers["/w/x.onnx"] = answer
    with pytest.raises(WeightsError, match=words):
        pull(spec(server, tmp_path), tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_what_a_broken_connection_leaves_is_gone_on_from(server, tmp_path):
    server.answers["/w/x.onnx"] = (200, DATA[:1000], len(DATA))
    with pytest.raises(WeightsError, match="Run the same line again"):
        pull(spec(server, tmp_path), tmp_path / "cache")
    (rest,) = leftovers(tmp_path / "cache")
    assert rest.endswith(".part")
    server.answers["/w/x.onnx"] = (200, DATA, len(DATA))
    pull(spec(server, tmp_path), tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == ["x.onnx"]


def test_offline_says_what_to_do(tmp_path):
    with pytest.raises(WeightsError, match="AUTOMASK_WEIGHTS") as caught:
        pull(spec(None, tmp_path), tmp_path / "cache")
    assert caught.value.code == "weights-offline"
    assert leftovers(tmp_path / "cache") == []


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="Cannot write"):
        pull(spec(server, tmp_path), tmp_path / "cache")


def test_shipped_weights_cannot_be_pulled(tmp_path):
    shipped = WeightSpec(
        name="x", task="t", licence="l", about="a", url=None, files=spec(None, tmp_path).files, shipped=tmp_path
    )
    with pytest.raises(WeightsError, match="comes with the package"):
        pull(shipped, tmp_path)


@pytest.fixture
def library(tmp_path, monkeypatch):
    wanted = spec(None, tmp_path, data=b"abc", file="x.onnx")
    built = WeightLibrary({"tiny": wanted}, cache_folder=tmp_path / "cache")
    monkeypatch.setattr(commands.WeightLibrary, "discover", classmethod(lambda cls: built))
    return built


def test_list_and_verify(library, tmp_path):
    run = CliRunner()
    (row,) = json.loads(run.invoke(commands.app, ["list", "--json"]).stdout)
    assert (row["name"], row["path"], row["problem"]) == ("tiny", None, None)
    assert "pull to get it" in run.invoke(commands.app, ["list"]).stdout
    assert run.invoke(commands.app, ["verify"]).exit_code == 0
    assert isinstance(run.invoke(commands.app, ["verify", "tiny"]).exception, WeightsError)
    file = tmp_path / "cache" / "x.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"abc")
    (row,) = json.loads(run.invoke(commands.app, ["verify", "--json"]).stdout)
    assert row["path"] == str(file)
    facts = file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert isinstance(run.invoke(commands.app, ["verify"]).exception, WeightsError), "verify trusted the time stamp"


def test_unknown_names(library):
    for command in ("pull", "verify"):
        error = CliRunner().invoke(commands.app, [command, "nothing"]).exception
        assert isinstance(error, WeightsError)
        assert "tiny" in error.advice


def test_the_command_is_light_to_import():
    code = "import sys, automask_models.commands; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "cv2", "onnxruntime", "transformers", "ultralytics"} & set(loaded)


def test_names_are_whole_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    shown = CliRunner().invoke(commands.app, ["list"]).stdout
    for name in read_catalogue(Path(commands.__file__).with_name("weights.toml")):
        assert f" {name} " in shown
