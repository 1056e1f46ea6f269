"""Second half of prove.py: starts the last stage as an engine would. Runs in namespaces of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from prove import ROOT, Stage

EXAMPLE = ROOT / "automask" / "examples" / "photos" / "rocket.jpg"
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
START_S = 120
STOP_S = 20
KEY_LINE = re.compile(r"amk_[A-Za-z0-9_-]{20,}")


def serve(stage: Stage, data: Path) -> None:
    """Start the service and hold it to what docker/README.md promises."""
    root = str(stage.root)
    uid, gid = map(int, stage.user.split(":"))
    data.mkdir()
    os.chown(data, uid, gid)
    for arguments in (
        ["ip", "link", "set", "lo", "up"],
        ["mount", "--bind", root, root],
        ["mount", "--bind", str(data), f"{root}/data"],
        ["mount", "-t", "tmpfs", "tmpfs", f"{root}/tmp"],
        ["mount", "-t", "proc", "proc", f"{root}/proc"],
        ["mount", "--rbind", "/dev", f"{root}/dev"],
        ["mount", "-o", "remount,bind,ro", root],
    ):
        subprocess.run(arguments, check=True)
    _check(uid != 0, "the service is not root")
    _check(_inside(stage, ["sh", "-c", "touch /x /opt/x /etc/x"]).returncode != 0, "the root file system is read-only")
    code = "import cv2; cv2.GaussianBlur(__import__('numpy').zeros((9, 9), 'uint8'), (3, 3), 0); print(cv2.__version__)"
    imported = _inside(stage, ["python", "-c", code])
    display = [path.name for path in stage.root.rglob("libGL.so*")] + [p.name for p in stage.root.rglob("libX11.so*")]
    _check(imported.returncode == 0 and not display, f"cv2 {imported.stdout.strip()} works without a display library")
    keys = _first_start(stage)
    again = _start(stage)
    _wait_until_healthy(stage, again)
    _check(_mask(keys[0])[:4] == b"\x89PNG", "the key holds after a restart")
    _check(not KEY_LINE.findall(_stop(again)), "the key is not printed again")


def _first_start(stage: Stage) -> list[str]:
    service = _start(stage)
    started = time.monotonic()
    _wait_until_healthy(stage, service)
    print(f"   ok healthy after {time.monotonic() - started:.1f} s")
    try:
        _mask("amk_wrong")
    except urllib.error.HTTPError as error:
        _check(error.code == 401, "a wrong key is refused")
    # What the service printed is read at its end; the key that it also keeps for people is taken from there.
    keys = KEY_LINE.findall(_stop(service))
    _check(len(keys) == 1, "the first start prints one key")
    service = _start(stage)
    _wait_until_healthy(stage, service)
    mask = _mask(keys[0])
    _check(mask[:4] == b"\x89PNG", f"{EXAMPLE.name} gets a mask of {len(mask)} bytes, offline")
    _stop(service)
    return keys


def _inside(stage: Stage, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_enter(stage, command), capture_output=True, text=True, check=False, env=stage.env)


def _enter(stage: Stage, command: list[str]) -> list[str]:
    script = f"cd {shlex.quote(stage.workdir)} && exec {shlex.join(command)}"
    return [CHROOT, f"--userspec={stage.user}", str(stage.root), "/bin/sh", "-c", script]


def _start(stage: Stage) -> subprocess.Popen[str]:
    command = [*stage.command["ENTRYPOINT"], *stage.command["CMD"]]
    return subprocess.Popen(
        _enter(stage, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=stage.env
    )


def _wait_until_healthy(stage: Stage, service: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_S
    while _inside(stage, stage.command["HEALTHCHECK"]).returncode != 0:
        if service.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the service did not become healthy:\n{_stop(service)}")
        time.sleep(0.5)


def _stop(service: subprocess.Popen[str]) -> str:
    service.send_signal(signal.SIGTERM)
    try:
        return service.communicate(timeout=STOP_S)[0]
    except subprocess.TimeoutExpired:
        service.kill()
        sys.exit("the service does not end on SIGTERM")


def _mask(key: str) -> bytes:
    headers = {"Content-Type": "image/jpeg", "Accept": "image/png", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request("http://127.0.0.1:8787/v1/masks", EXAMPLE.read_bytes(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        body: bytes = answer.read()
    return body


def _check(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"   ok {what}", flush=True)


def main() -> None:
    """Read the stage that prove.py has built."""
    described = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    stage = Stage(**{**described, "root": Path(described["root"])})
    with tempfile.TemporaryDirectory() as scratch:
        serve(stage, Path(scratch) / "data")


if __name__ == "__main__":
    main()
