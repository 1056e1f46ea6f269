"""Runs the command line as users do: in a process of its own."""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

TIMEOUT_S = 120
CHEAP = ("--detectors", "edges", "--dataset-detectors", "none")
"""No network, no weights, a few milliseconds an image; every image on its own."""


def environment(*paths: Path, **variables: str) -> dict[str, str]:
    """The environment of a user: no AUTOMASK_* variable, and `paths` in front of the module search path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMASK_")}
    inherited = [clean["PYTHONPATH"]] if clean.get("PYTHONPATH") else []
    return {**clean, "PYTHONPATH": os.pathsep.join([*map(str, paths), *inherited]), **variables}


def automask(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options):
    """One command to its end, as `subprocess.run` gives it; forked where that is the same, see `command_forker`."""
    env = env or environment()
    if not options and (forking := forker()) is not None and forking.can_do(env):
        done = forking.run([*map(str, arguments)], cwd=cwd, env=env)
        if done is not None:
            return done
    return new_process(*arguments, cwd=cwd, env=env, **options)


def new_process(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options):
    """The same in a process that has imported nothing yet."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env or environment(),
        timeout=TIMEOUT_S,
        check=False,
        **options,
    )


class Forker:
    """The process that forks commands; one for each process of the tests, which ends with them."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._env = environment()
        script = Path(__file__).with_name("command_forker.py")
        self._process = subprocess.Popen(
            [sys.executable, script, str(theirs.fileno())],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=self._env,
        )  # fmt: skip
        theirs.close()
        self._busy = threading.Lock()
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.wait(10)

    def can_do(self, env: dict[str, str]) -> bool:
        """Whether nothing differs that is looked at before or while modules are imported."""
        differing = {name for name in {*env, *self._env} if env.get(name) != self._env.get(name)}
        if any(not name.startswith(("AUTOMASK_", "PYTEST_")) for name in differing - {"PYTHONPATH"}):
            return False
        added = self._added_paths(env)
        return added is not None and all(
            each.name.startswith("fake_") for path in added for each in Path(path).glob("*")
        )  # what `install_detector` makes: it takes the place of no module

    def run(self, arguments: list[str], *, cwd: Path | None, env: dict[str, str]) -> subprocess.CompletedProcess | None:
        """One command; None where another is on its way."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open() as nothing:
                message = {
                    "arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": env, "paths": self._added_paths(env)
                }  # fmt: skip
                fds = [nothing.fileno(), out.fileno(), err.fileno()]
                socket.send_fds(self._connection, [json.dumps(message).encode()], fds)
                pid = self._answer(TIMEOUT_S)["pid"]
                try:
                    code = self._answer(TIMEOUT_S)["returncode"]
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    self._answer(TIMEOUT_S)
                    raise subprocess.TimeoutExpired(command(*arguments), TIMEOUT_S) from None
                return subprocess.CompletedProcess(command(*arguments), code, _text(out), _text(err))
        finally:
            self._busy.release()

    def _answer(self, timeout_s: float) -> dict[str, int]:
        if not select.select([self._connection], [], [], timeout_s)[0]:
            raise TimeoutError
        answer = self._connection.recv(1 << 12)
        assert answer, f"the process that forks commands ended with {self._process.wait(10)}"
        return json.loads(answer)

    def _added_paths(self, env: dict[str, str]) -> list[str] | None:
        ours, whole = (each["PYTHONPATH"].split(os.pathsep) for each in (self._env, env))
        ours, whole = ([path for path in paths if path] for paths in (ours, whole))
        count = len(whole) - len(ours)
        return whole[:count] if count >= 0 and whole[count:] == ours else None


@functools.cache
def forker() -> Forker | None:
    return Forker() if sys.platform == "linux" else None  # elsewhere there is no fork, or it is not safe


def _text(file) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "automask", *map(str, arguments)]


def draw_images(folder: Path, count: int, *, side_px: int = 96) -> Path:
    """Small pictures, every second one between black bars; names `sub/00.png`, `01.jpg`, ..."""
    for index in range(count):
        rng = np.random.default_rng(index)
        noise = rng.integers(60, 200, (side_px, side_px, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((2 * side_px, side_px))
        draw = ImageDraw.Draw(picture)
        draw.ellipse((20, 20, 70, 70), fill=(index * 5 % 256, 90, 160))
        if index % 2:
            draw.rectangle((0, 0, 2 * side_px, 11), fill=0)
            draw.rectangle((0, side_px - 12, 2 * side_px, side_px), fill=0)
        path = folder / "sub" / f"{index:03d}.png" if index % 3 == 0 else folder / f"{index:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=92)
    return folder


def masks_of(output: Path) -> dict[str, bytes]:
    """The mask files of a store by relative name."""
    root = output / "masks"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.png"))}


def install_detector(folder: Path, name: str, body: str) -> Path:
    """Make a package with one detector, as `pip install` would; put the folder on the module search path.

    Args:
        folder: Where to.
        name: Entry-point name.
        body: Statements of `detect(self, images)`; the module has os, sys, time and Region, Box, Kind.
    """
    module = f"fake_{name}"
    indented = "\n".join(f"        {line}" for line in body.splitlines())
    (folder / f"{module}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{module}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n"
    )
    entry = f"[automask.detectors]\n{name} = {module}:Fake\n"
    (folder / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (folder / f"{module}.py").write_text(
        f'''
import os, sys, time
from automask.config import FrozenModel
from automask.values.geometry import Box
from automask.protocols import stage_fingerprint
from automask.values.types import Kind, Region

class Fake:
    name = "{name}"
    Options = FrozenModel
    notices = ()
    fingerprint = stage_fingerprint("{name}", algorithm_version=1)
    from_options = classmethod(lambda cls, options, *, weights, runtime: cls())
    def load(self):
        pass
    def detect(self, images):
{indented}
'''
    )
    return folder
