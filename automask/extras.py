"""What to type when a package is missing: a command that fits how automask itself was installed."""

from __future__ import annotations

import json
import re
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from automask import version

_NAME = "automask"
_NAMED = re.compile(r"the (?P<what>extra|package) `(?P<name>[^`]+)`")
_REPLACED = re.compile(r" in place of (?P<names>`[^`]+`(?: and `[^`]+`)*)")


def install_command(extra: str) -> str:
    """The command that adds an extra of automask to this very Python.

    A package index may know no automask, or another one: what came from a folder, an archive or a repository is
    installed from there again (PEP 610 says where that was).
    """
    return pip_command(*requirement_of(extra))


def commands_for(advice: str) -> tuple[str, ...]:
    """The commands, in order, for what an advice says to install or to upgrade; none where it says nothing of the kind.

    Advice names "the extra `NAME`" or "the package `NAME`" and no more: it also goes over the wire, to people who have
    no business with the paths of this machine. A package "in place of `OTHER` and `ANOTHER`" wants those gone first:
    packages that bring the same files.
    """
    named = _NAMED.search(advice)
    if named is None:
        return ()
    if named["what"] == "extra":
        return (install_command(named["name"]),)
    replaced = _REPLACED.match(advice, named.end())
    first = () if replaced is None else (uninstall_command(*re.findall(r"`([^`]+)`", replaced["names"])),)
    return (*first, pip_command(*(["-U"] if "upgrade" in advice.lower() else []), named["name"]))


def pip_command(*arguments: str) -> str:
    """A command that installs something into this very Python, as it is typed into a shell."""
    return shlex.join([*_pip("install"), *arguments])


def uninstall_command(*names: str) -> str:
    """A command that takes packages out of this very Python."""
    asks = ["--yes"] if find_spec("pip") is not None else []  # uv does not ask
    return shlex.join([*_pip("uninstall"), *asks, *names])


def _pip(verb: str) -> list[str]:
    python = sys.executable or "python"
    if find_spec("pip") is None:  # environments of uv have none
        return ["uv", "pip", verb, "--python", python]
    return [python, "-m", "pip", verb]


def requirement_of(extra: str) -> tuple[str, ...]:
    """What pip is asked for: automask with an extra, from where this installation came."""
    try:
        installed = distribution(_NAME)
    except PackageNotFoundError:  # never installed: a clone on the module search path
        return _of_folder(Path(version.__file__).resolve().parent.parent, extra) or (f"{_NAME}[{extra}]",)
    return _requirement(installed, extra)


def _requirement(installed: Distribution, extra: str) -> tuple[str, ...]:
    named = f"{_NAME}[{extra}]"
    origin = _origin(installed)
    url = origin.get("url")
    if not isinstance(url, str):
        return (named,)
    folder = origin.get("dir_info")
    if isinstance(folder, dict):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname  # slow to import: half of the time to `--help`

        is_editable = folder.get("editable") is True
        return _of_folder(Path(url2pathname(urlsplit(url).path)), extra, is_editable=is_editable) or (named,)
    repository = origin.get("vcs_info")
    if isinstance(repository, dict):
        commit = repository.get("commit_id")
        url = f"{repository.get('vcs', 'git')}+{url}" + (f"@{commit}" if commit else "")
    return (f"{named} @ {url}",)


def _origin(installed: Distribution) -> dict[str, Any]:
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _of_folder(folder: Path, extra: str, *, is_editable: bool = False) -> tuple[str, ...]:
    """A source tree as pip takes it; nothing where there is none any more."""
    if not (folder / "pyproject.toml").is_file():
        return ()
    return (*(["-e"] if is_editable else []), f"{folder}[{extra}]")
