"""`automask serve` in a process of its own, as users start it, with cheap models."""

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
from cli_process import command, environment

CHEAP_CONFIG = 'detectors = ["edges"]\n'
START_S, STOP_S = 60, 30
ENDS_WITHIN_S = 9.0
"""Docker kills after 10 s."""


class ServeProcess:
    """Use as a context manager. `client` is an httpx client of it; `start` begins again on the same data.

    Args:
        folder: For its data (`data`), its log and its configuration.
        arguments: More of the command line.
        config: The TOML file.
        cwd: Where it is started.
        open_files: How many it may have; None = as this process.
        variables: Of its environment.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        config: str = CHEAP_CONFIG,
        cwd: Path | None = None,
        open_files: int | None = None,
        **variables: str,
    ) -> None:
        self._limit = ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh"] if open_files is not None else []
        self.data, self.log, self.config = folder / "data", folder / "log", folder / "config.toml"
        self.config.write_text(config)
        self._arguments, self._cwd, self._variables = arguments, cwd, variables
        self.start()

    def start(self) -> None:
        """Start it and wait until its models are loaded."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._limit, *command(
                    "serve", "--port", "0", "--data-dir", self.data, "--config", self.config, *self._arguments
                )],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._cwd,
                env=environment(**self._variables),
            )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.client = httpx.Client(base_url=line.split()[3].rstrip(","), timeout=START_S)
        until = time.monotonic() + START_S
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        """As an init system would; gives the exit code."""
        self.process.terminate()
        return self._ended()

    def memory_bytes(self) -> int:
        """Resident now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_memory_bytes(self) -> int:
        """The most that was ever resident, also for a moment between two looks."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kibibytes) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        else:  # it ended by itself: the client's sockets are still to be closed
            self._ended()

    def _ended(self) -> int:
        self.client.close()
        self.process.stdout.close()
        return self.process.wait(STOP_S)
