"""A process that has imported automask, and forks one for each command: started by `cli_process`, by nobody else.

A command that ends at once costs 1.5 s of processor time in a new process, nearly all of it imports, and 0.2 s here.
What is forked is `python -m automask` in all else: a process of its own with arguments, environment, folder, output and
exit code of its own. Nothing but imports happens before: no model is loaded, no thread of ours is started.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import threading
from importlib.metadata import entry_points
from pathlib import Path

HEAVY = ("cv2", "shapely")
"""Not onnxruntime: it starts threads when it is imported, and waits for them for ever where they were not forked."""
LEFT_OUT = ("automask.training", "automask.__main__")  # for training loops: imports torch, as no command does
GROUPS = ("detectors", "dataset_detectors", "refiners", "exporters", "commands")
MESSAGE_BYTES, MOST_FDS = 1 << 20, 3


def import_all() -> None:
    """What commands import sooner or later, as far as it is installed."""
    import automask

    names = [module.name for module in pkgutil.walk_packages(automask.__path__, "automask.")]
    names = [name for name in names if not name.startswith(LEFT_OUT)]
    names += [entry.module for group in GROUPS for entry in entry_points(group=f"automask.{group}")]
    for name in (*names, *HEAVY):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def next_command(connection: socket.socket) -> None:
    """Fork for every command and tell how it ended; returns in the forked process, ready to be that command."""
    while True:
        message, fds, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, MOST_FDS)
        if not message:
            os._exit(0)  # the tests are over
        pid = os.fork()
        if pid == 0:
            connection.close()
            become(json.loads(message), fds)
            return
        for fd in fds:
            os.close(fd)
        connection.send(json.dumps({"pid": pid}).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(json.dumps({"returncode": os.waitstatus_to_exitcode(status)}).encode())


def become(command: dict, fds: list[int]) -> None:
    """Take over output, environment, folder, search path and arguments of a command."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(command["env"])
    os.chdir(command["cwd"])
    sys.path[:] = [str(Path.cwd()), *command["paths"], *sys.path]
    sys.argv[1:] = command["arguments"]


def end_with(code: object) -> None:
    """End as the interpreter does, but for taking every imported module apart: 0.4 s of copied pages."""
    threading._shutdown()  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    del sys.path[0]  # this folder: `python -m automask` does not know it
    import_all()
    gc.collect()
    gc.freeze()  # else the first collection of a command would copy every page of what was imported
    next_command(socket.socket(fileno=int(sys.argv[1])))
    code = 0
    try:
        runpy.run_module("automask", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    end_with(code)
