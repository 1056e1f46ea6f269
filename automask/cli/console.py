"""What the command line writes, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from automask.errors import OutputError
from automask.extras import commands_for

LOGGERS = ("automask", "automask_models", "automask_api")


def error_console() -> Console:
    """A console on stderr that leaves paths and numbers uncoloured."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def result_console() -> Console:
    """A console on stdout that leaves paths and numbers uncoloured."""
    return Console(highlight=False, soft_wrap=True)


def print_error(message: str, *, advice: str, code: str) -> None:
    """On stderr a line that says what is wrong, one that says what to do, and the command for it where there is one."""
    console = error_console()
    console.print(Text.assemble(("error ", "bold red"), (f"[{code}] ", "dim"), message))
    if advice:
        console.print(Text.assemble(("  ", ""), advice))
        print_commands_for(advice, console)


def print_commands_for(advice: str, console: Console) -> None:
    """Lines of their own with what to type to install what an advice names, if it names something; to be copied."""
    for command in commands_for(advice):
        console.print(f"  {command}", soft_wrap=True, markup=False, highlight=False)


def silence_library_logs(*, debug: bool) -> None:
    """Keep log records off the terminal unless asked: what a user must know arrives as events and errors."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        handler: logging.Handler = logging.StreamHandler(sys.stderr) if debug else logging.NullHandler()
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = True


def log_to_file(path: Path) -> None:
    """Append log records to a file.

    Raises:
        OutputError: The file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"Cannot write the log file {path}: {error.strerror}.", advice="Give --log-file a place you can write to."
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


@contextlib.contextmanager
def protected_stdout() -> Iterator[None]:
    """Send whatever libraries print on stdout, from Python or from C, to stderr; our results come afterwards."""
    sys.stdout.flush()
    try:
        stdout_fd, stderr_fd = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # a captured stream without a descriptor: nothing below Python can reach it
        yield
        return
    saved_fd = os.dup(stdout_fd)
    os.dup2(stderr_fd, stdout_fd)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved_fd, stdout_fd)
        os.close(saved_fd)
