"""One server process: settings in, uvicorn out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from automask.errors import EXIT_INTERRUPTED, OutputError, StoreLocked
from automask.plugins import load_config
from automask.run.pipeline import MaskPipeline
from automask.store.locking import exclusive_lock
from automask_api.app import create_app
from automask_api.connections import ACCEPTED_AT_ONCE, BACKLOG, GuardedServer, guarded, within_open_files
from automask_api.logs import log_to_stderr
from automask_api.security.keys import KEYS_FILE, ApiKeys, add_key
from automask_api.service import Service
from automask_api.settings import ServiceSettings
from automask_api.stopping import GRACE_S
from automask_api.trimming import keep_little_free_memory

_FIRST_KEY = "first"
_LOCK_NAME = "server.lock"


def run_server(settings: ServiceSettings, config_file: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; what is in hand then gets a few seconds.

    Raises:
        ConfigError: Settings or configuration are wrong.
        OutputError: The port is taken, or the data folder cannot be written.
        StoreLocked: Another server works in the data folder.
        WeightsError: A stage cannot do without weights that are missing.
    """
    keep_little_free_memory()
    config = load_config(config_file)
    make_data_dir(settings.data_dir)
    with _owning(settings.data_dir), _listening(settings) as listener:
        make_first_key(settings)
        app = create_app(MaskPipeline.from_config(config), None, settings)
        service: Service = app.state.service
        log_to_stderr(settings.log_format)
        service.connections.limits = within_open_files(service.connections.limits)
        host, port = listener.getsockname()[:2]
        sys.stdout.write(f"automask serves on http://{_shown(host)}:{port}, its API is at /docs. Ctrl-C ends it.\n")
        sys.stdout.flush()
        server = _Server(
            service,
            uvicorn.Config(
                app,
                http=guarded(service.connections),
                ws="none",
                loop="asyncio",
                backlog=ACCEPTED_AT_ONCE,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
                timeout_keep_alive=30,
            ),
        )
        try:
            server.run(sockets=[listener])
        finally:
            if server.interrupted and service.is_at_work:
                # A model is still busy, perhaps for minutes, and an interpreter that ends under it may crash. Whatever
                # it works on is done again: files are written whole, and jobs still count as running on disk.
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(EXIT_INTERRUPTED)


class _Server(GuardedServer):
    """Tells the service and whoever looks on when it is asked to end."""

    def __init__(self, service: Service, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.interrupted = False
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn: the handler of SIGINT and SIGTERM. A second SIGINT waits for nothing."""
        if not self.interrupted:
            self.interrupted = True
            with contextlib.suppress(RuntimeError):  # before or after the loop runs there is nothing to be told
                asyncio.get_running_loop().call_soon_threadsafe(self._begin_stop)
        super().handle_exit(sig, frame)

    def _begin_stop(self) -> None:
        self._service.begin_stop()
        jobs = self._service.jobs.unfinished
        later = f" {_counted(jobs, 'job goes', 'jobs go')} on when it is started again." if jobs else ""
        requests = self._service.admitted
        now = f"; {_counted(requests, 'request gets', 'requests get')} {GRACE_S:.0f} s more" if requests else ""
        sys.stdout.write(f"automask ends{now}.{later} Ctrl-C again ends it at once.\n")
        sys.stdout.flush()


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def make_data_dir(folder: Path) -> None:
    """Make the data folder, for this user only.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(
            f"The data folder {folder} cannot be made: {error.strerror}.",
            advice="Choose another one with --data-dir or AUTOMASK_SERVE_DATA_DIR.",
        ) from error


def make_first_key(settings: ServiceSettings) -> None:
    """Where others can reach the server and there is no key yet, make one and print it, this once.

    Raises:
        OutputError: Its hash cannot be kept.
    """
    path = settings.data_dir / KEYS_FILE
    if settings.is_loopback or ApiKeys.read(path):
        return
    key = add_key(path, _FIRST_KEY)
    sys.stdout.write(f"API key, shown this once: {key}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _owning(data_dir: Path) -> Iterator[None]:
    """Be the one server of a data folder: two would do the same jobs."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(data_dir / _LOCK_NAME))
        except StoreLocked as error:
            raise StoreLocked(
                f"Another server works in {data_dir}.", advice="End it, or give this one another --data-dir."
            ) from error
        yield


@contextlib.contextmanager
def _listening(settings: ServiceSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OutputError(
            f"Cannot listen on {settings.host}, port {settings.port}: {error.strerror}.",
            advice="Choose another --port, or end the server that has it.",
            code="port-taken",
        ) from error
    with listener:
        yield listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
