"""Carries out a Dockerfile without a container engine: its RUN steps in clean Debian roots, then its service.

    python docker/prove.py docker/Dockerfile --work FOLDER

Needs Linux, root, debootstrap and util-linux. Each `FROM debian:SUITE-slim` becomes a root made by `debootstrap
--variant=minbase`, which is what Debian's slim images are made from. Every RUN step is executed in it as written, COPY
follows .dockerignore, ENV, WORKDIR and USER count. The last stage is then started as its ENTRYPOINT and CMD say: as its
user, on a read-only file system but for /data and /tmp, in a network without any interface but loopback, with nothing
of this machine mounted. It must become healthy by its own HEALTHCHECK, print a key on its first start only, answer with
a mask, import cv2 without a display library, and end on SIGTERM.

`--borrow PATH[:TARGET]` lends RUN steps a file or folder of this machine, read-only, and `--env NAME=VALUE` a variable:
/etc/resolv.conf, the way to a package mirror, its certificate. Neither is part of what is measured, nor there when the
service runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    """One FROM and what follows it."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    workdir: str = "/"
    user: str = "0:0"
    command: dict[str, list[str]] = field(default_factory=dict)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments on one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), " ".join(rest.split())


@dataclass(frozen=True)
class Loan:
    """What RUN steps may use of this machine: (here, there) paths, and variables."""

    paths: list[tuple[Path, Path]]
    env: dict[str, str]


def build(dockerfile: Path, work: Path, loan: Loan) -> Stage:
    """Carry out every instruction and give the last stage."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for number, (word, rest) in enumerate(instructions(dockerfile.read_text(encoding="utf-8"))):
        print(f"== {word} {rest}", flush=True)
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stage = Stage(_new_root(image, work / f"{dockerfile.name}-{name or 'final'}", work))
            stages[name or str(number)] = stage
        elif stage is None:
            sys.exit(f"{word} stands before FROM")
        elif word == "RUN":
            _run(stage, rest, loan)
        elif word == "COPY":
            _copy(stage, rest, stages)
        elif word == "ENV":
            stage.env.update(part.split("=", 1) for part in shlex.split(rest))
        elif word == "WORKDIR":
            stage.workdir = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            stage.command[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            stage.command[word] = json.loads(rest.partition("CMD ")[2])
        elif word not in ("VOLUME", "EXPOSE", "LABEL"):
            sys.exit(f"{word} is not known to this script")
    if stage is None:
        sys.exit("there is no FROM")
    return stage


def _new_root(image: str, root: Path, work: Path) -> Path:
    suite = re.fullmatch(r"debian:(\w+)-slim", image)
    if suite is None:
        sys.exit(f"{image} is not one of Debian's slim images")
    base = work / f"debian-{suite[1]}"
    if not base.exists():
        made = base.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", suite[1], str(made)], check=True, stdout=subprocess.DEVNULL)
        made.rename(base)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", str(base), str(root)], check=True)
    return root


def _run(stage: Stage, command: str, loan: Loan) -> None:
    """Execute a RUN step; mounts live in a namespace of their own and vanish with it."""
    root = shlex.quote(str(stage.root))
    mounts = [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    made: list[Path] = []
    for here, there in loan.paths:
        target = stage.root / there.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir() if here.is_dir() else target.touch()
            made.append(target)
        mounts.append(f"mount --bind -o ro {shlex.quote(str(here))} {shlex.quote(str(target))}")
    enter = ["chroot", f"--userspec={stage.user}", str(stage.root), "/bin/sh", "-c"]
    inside = shlex.join([*enter, f"cd {shlex.quote(stage.workdir)} && {command}"])
    script = " && ".join([*mounts, f"exec {inside}"])
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, env={**stage.env, **loan.env})
    for target in made:
        target.rmdir() if target.is_dir() else target.unlink()


def _copy(stage: Stage, rest: str, stages: dict[str, Stage]) -> None:
    *options, source, target = rest.split()
    into = stage.root / os.path.join(stage.workdir, target).lstrip("/")  # noqa: PTH118 - a path of the image
    if options:
        origin = stages[options[0].removeprefix("--from=")].root / source.lstrip("/")
        shutil.copytree(origin, into, symlinks=True, dirs_exist_ok=True)
        return
    for path in context_files(ROOT / source):
        copy = into / path.relative_to(ROOT / source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def context_files(folder: Path) -> Iterator[Path]:
    """Files that .dockerignore lets through: the last pattern that matches a file or a folder above it decides."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _ignored(path.relative_to(ROOT).as_posix(), patterns):
            yield path


def _ignored(name: str, patterns: list[str]) -> bool:
    above = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
    ignored = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in pattern
        if any(fnmatch.fnmatchcase(Path(part).name if anywhere else part, wanted) for part in above):
            ignored = not pattern.startswith("!")
    return ignored


def main() -> None:
    """Build, measure, serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the roots; several GB")
    parser.add_argument("--borrow", action="append", default=[], help="lend RUN steps PATH[:TARGET], read-only")
    parser.add_argument("--env", action="append", default=[], help="lend RUN steps NAME=VALUE")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    paths = [(Path(here), Path(there or here)) for here, _, there in (loan.partition(":") for loan in given.borrow)]
    env = dict(loan.split("=", 1) for loan in given.env)
    stage = build(given.dockerfile, work, Loan(paths, env))
    for name in ("", "opt/automask"):
        print(f"   {_size_mb(stage.root / name)} MB in /{name}", flush=True)
    described = work / f"{given.dockerfile.name}.json"
    described.write_text(json.dumps({**dataclasses.asdict(stage), "root": str(stage.root)}), encoding="utf-8")
    spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    service = [sys.executable, str(Path(__file__).with_name("prove_service.py")), str(described)]
    sys.exit(subprocess.run([*spaces, *service], check=False).returncode)


def _size_mb(folder: Path) -> int:
    done = subprocess.run(["du", "-sx", "--block-size=1MB", str(folder)], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


if __name__ == "__main__":
    main()
