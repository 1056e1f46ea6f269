"""What a stranger may send: random requests by the API's own description, and damaged bodies by the hundred."""

import collections
import io
import json
import random
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from cli_process import environment

pytest.importorskip("fastapi")

from api_process import ServeProcess
from api_server import png

pytestmark = pytest.mark.slow

BODIES = 500
MOST_GROWTH_BYTES = 100_000_000  # half of what each bomb unpacks to
ESCAPED = "escaped-4c1f.png"
EXAMPLES = 12
RANDOM_S = 240


def described(openapi) -> dict[str, dict]:
    """The operations of an OpenAPI document by `METHOD /path`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }


def kinds_to_be_seen(operation) -> set[str]:
    """`good`, and `refused` where something can be wrong with what was sent."""
    return {"good", "refused"} if operation.get("parameters") or operation.get("requestBody") else {"good"}


def good_things(server, folder: Path) -> Path:
    """What `schemathesis_hooks` sends beside random things."""
    folder.mkdir()
    (folder / "image.png").write_bytes(png())
    (folder / "images.zip").write_bytes(zipped("a.png", png()))

    def job(number) -> str:
        request = {"folder": "set", "options": {"below": number / 100}}  # a store of its own for each
        return server.client.post("/v1/jobs", json=request).json()["id"]

    jobs = {"folder": "set", "finished": [job(number) for number in range(4)]}
    jobs["spare"] = [job(number) for number in range(4, 30)]  # for DELETE
    for one in (*jobs["finished"], *jobs["spare"]):
        while server.client.get(f"/v1/jobs/{one}").json()["state"] != "done":
            time.sleep(0.05)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    return folder


def test_random_requests_exercise_every_operation_and_meet_no_defect(tmp_path):
    (tmp_path / "root" / "set").mkdir(parents=True)
    (tmp_path / "root" / "set" / "a.png").write_bytes(png())
    seen = tmp_path / "seen"
    with ServeProcess(tmp_path, "--root", tmp_path / "root", AUTOMASK_SERVE_JOBS_KEPT="1000") as server:
        operations = described(server.client.get("/openapi.json").json())
        hooks = {"SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("schemathesis_hooks.py"))}
        hooks |= {"SCHEMATHESIS_GOOD": str(good_things(server, tmp_path / "good")), "SCHEMATHESIS_SEEN": str(seen)}
        began = time.monotonic()
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"{server.client.base_url}/openapi.json",
                "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
                "response_schema_conformance,response_headers_conformance",
                "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--seed", "7",
                "--request-timeout", "60", "--generation-database", "none",
            ],
            capture_output=True,
            text=True,
            timeout=RANDOM_S,  # there is no --max-time: that would end the run early without a word
            check=False,
            cwd=tmp_path,
            env=environment(**hooks),
        )  # fmt: skip
        took_s = time.monotonic() - began
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert server.client.get("/readyz").status_code == 200
    statuses = {name: collections.Counter() for name in operations}
    for line in seen.read_text().splitlines():
        name, status = line.rsplit(" ", 1)
        statuses[name][int(status)] += 1
    missed = {}
    for name, operation in operations.items():
        answered = set(statuses[name]) - {405}  # other methods on its path
        kinds = {"good" if status < 300 else "refused" for status in answered}
        if lacking := kinds_to_be_seen(operation) - kinds:
            missed[name] = (sorted(lacking), dict(statuses[name]))
    assert not missed, missed
    sys.stdout.write(f"{sum(map(sum, (one.values() for one in statuses.values())))} requests in {took_s:.0f} s\n")
    sys.stdout.writelines(f"{name}: {dict(sorted(seen.items()))}\n" for name, seen in statuses.items())


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


def hostile_bodies(outside: Path):
    """(path, what goes to httpx) by the hundred, always the same ones. A file named `ESCAPED` is never written.

    Args:
        outside: A folder that can be written, where nothing may appear.
    """
    rng = random.Random(7)
    good = png(seed=1)
    bomb = zipped("a.png", b"\0" * 200_000_000)
    names = (
        f"../{ESCAPED}", f"{outside}/{ESCAPED}", f"..\\..\\{ESCAPED}", f"C:/{ESCAPED}", f"a/../../{ESCAPED}",
        f"../../../{ESCAPED}",
    )  # fmt: skip
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


def test_damaged_bodies_are_refused_memory_stays_bounded_and_no_file_escapes(tmp_path):
    place, outside = tmp_path / "server", tmp_path / "outside"
    here = place / "here" / "below"
    for folder in (here, outside, tmp_path / "root" / "set"):
        folder.mkdir(parents=True)
    limits = {"AUTOMASK_SERVE_MAX_IMAGE_BYTES": str(8 << 20), "AUTOMASK_SERVE_MAX_BATCH_BYTES": str(64 << 20)}
    # Whatever a name may be relative to lies below tmp_path, where it would be seen.
    homes = {"HOME": str(here), "TMPDIR": str(here), "XDG_CACHE_HOME": str(here), "XDG_DATA_HOME": str(here)}
    with ServeProcess(place, "--root", tmp_path / "root", cwd=here, **limits, **homes) as server:
        assert server.client.post("/v1/masks", content=png(seed=2)).status_code == 200
        before, files = server.peak_memory_bytes(), all_files(tmp_path)
        statuses = collections.Counter()
        for _, (path, request) in zip(range(BODIES), hostile_bodies(outside), strict=False):
            answer = server.client.post(path, **request)
            statuses[answer.status_code] += 1
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:500])
            assert answer.headers["content-type"] == "application/problem+json"
        assert sum(statuses.values()) == BODIES
        peak = server.peak_memory_bytes()
        assert all_files(tmp_path) == files, "refused requests leave nothing, not in the data folder either"
        assert server.client.post("/v1/masks", content=png(seed=3)).status_code == 200
        assert all_files(tmp_path) != files, "else nothing was watched"
    assert not [path for path in everywhere_near(tmp_path) if ESCAPED in path.name]
    assert peak - before < MOST_GROWTH_BYTES, f"{(peak - before) / 1e6:.0f} MB more"
    sys.stdout.write(f"{BODIES} bodies: {dict(statuses)}; peak {before / 1e6:.0f} -> {peak / 1e6:.0f} MB\n")


def all_files(folder: Path) -> set[Path]:
    """Every file below, but for the log."""
    return {path for path in folder.rglob("*") if path.is_file() and path.name != "log"}


def everywhere_near(folder: Path) -> list[Path]:
    """What lies in a folder and directly in those above it."""
    return [*folder.rglob("*"), *(path for above in folder.parents for path in above.iterdir())]
