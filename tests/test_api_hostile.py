"""What a stranger may send: random requests by the API's own description, and damaged bodies by the hundred."""

import io
import os
import random
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from cli_process import command, environment

pytest.importorskip("fastapi")

import httpx
from api_server import png

pytestmark = pytest.mark.slow

BODIES = 500
MOST_GROWTH_BYTES = 400_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """`automask serve` as users start it, in a process of its own, with cheap models."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "root" / "set").mkdir(parents=True)
    (folder / "root" / "set" / "a.png").write_bytes(png())
    (folder / "config.toml").write_text('detectors = ["edges"]\n')
    limits = {"AUTOMASK_SERVE_MAX_IMAGE_BYTES": str(8 << 20), "AUTOMASK_SERVE_MAX_BATCH_BYTES": str(64 << 20)}
    process = subprocess.Popen(
        command(
            "serve", "--port", "0", "--data-dir", folder / "data", "--root", folder / "root",
            "--config", folder / "config.toml",
        ),
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
        env=environment(**limits),
    )  # fmt: skip
    address = process.stdout.readline().split()[3].rstrip(",")
    with httpx.Client(base_url=address, timeout=60) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.1)
        client.process = process
        yield client
    process.terminate()
    process.wait(30)


def memory_bytes(process) -> int:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_random_requests_meet_no_defect_and_no_answer_that_is_not_described(server, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.base_url}/openapi.json",
            "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,response_headers_conformance",
            "--max-examples", "20", "--phases", "examples,coverage,fuzzing", "--seed", "7",
            "--request-timeout", "60", "--generation-database", "none", "--max-time", "240",
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=tmp_path,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert server.get("/readyz").status_code == 200


def png_claiming(width_px, height_px) -> bytes:
    """A PNG whose header names a size that its data does not have."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zipped(name, data) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def hostile_bodies():
    """(path, what goes to httpx) by the hundred, always the same ones."""
    rng = random.Random(7)
    good = png(seed=1)
    bomb = zipped("a.png", b"\0" * 200_000_000)
    names = ("../a.png", "/etc/passwd.png", "..\\..\\a.png", "C:/a.png", "a/../../b.png")
    while True:
        cut = good[: rng.randrange(1, len(good) - 20)]
        noise = rng.randbytes(rng.randrange(1, 4000))
        field = rng.choice(("growth_cells", "kinds", "policy", "points", "box", "x" * 100, "training_px"))
        form = {"image": ("a.png", rng.choice((cut, noise, b"")))}
        yield "/v1/masks", {"content": cut}
        yield "/v1/masks", {"content": noise}
        yield "/v1/masks", {"content": png_claiming(rng.choice((60_000, 2**31 - 1)), 60_000)}
        yield "/v1/masks", {"files": form, "data": {field: noise.hex()[:50]}}
        yield "/v1/masks", {"content": noise, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
        yield "/v1/masks", {"files": [("image", ("a.png", good))] * rng.randrange(2, 60)}
        yield "/v1/masks", {"files": {"image": ("a.png", good)}, "data": {f"f{n}": "1" for n in range(200)}}
        yield "/v1/masks/batch", {"content": bomb, "headers": {"Content-Type": "application/zip"}}
        yield (
            "/v1/masks/batch",
            {"content": zipped(rng.choice(names), good), "headers": {"Content-Type": "application/zip"}},
        )
        yield (
            "/v1/masks/batch",
            {"content": bomb[: rng.randrange(1, len(bomb))], "headers": {"Content-Type": "application/zip"}},
        )
        yield "/v1/masks/batch", {"files": {"pictures": ("a.png", good)}}
        yield "/v1/masks/batch", {"files": [("images", (rng.choice(names), good))]}
        yield "/v1/jobs", {"json": {"folder": rng.choice(("/etc", "../..", "set/../../..", "a\0b", "/proc/self"))}}
        yield "/v1/jobs", {"content": noise, "headers": {"Content-Type": "application/json"}}
        yield "/v1/jobs", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}
        yield (
            "/v1/refine",
            {"files": form, "data": {"points": rng.choice(("1e9,1", "-1,0", "9,9,9", "nan,0", "99999,1"))}},
        )
        yield "/v1/refine", {"files": {"image": ("a.png", good)}, "data": {"box": "0,0,0,0"}}
        yield "/v1/adjust", {"content": noise}
        yield "/v1/adjust", {"content": png_claiming(50_000, 50_000), "params": {"grow_cells": 16}}
        yield "/v1/masks", {"content": b"\0" * (9 << 20)}


def test_damaged_bodies_are_refused_and_memory_stays_bounded(server):
    assert server.post("/v1/masks", content=png(seed=2)).status_code == 200
    before = memory_bytes(server.process)
    most, statuses = before, {}
    for _, (path, request) in zip(range(BODIES), hostile_bodies(), strict=False):
        answer = server.post(path, **request)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:500])
        assert answer.headers["content-type"] == "application/problem+json"
        most = max(most, memory_bytes(server.process))
    assert sum(statuses.values()) == BODIES
    assert most - before < MOST_GROWTH_BYTES, f"{(most - before) / 1e6:.0f} MB more"
    assert server.post("/v1/masks", content=png(seed=3)).status_code == 200
    sys.stdout.write(f"{BODIES} bodies: {statuses}; memory {before / 1e6:.0f} -> at most {most / 1e6:.0f} MB\n")
