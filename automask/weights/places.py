"""Where weights lie on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from automask.values.stage_words import is_hub_id


def user_cache_folder() -> Path:
    """Where pulled weights go on this platform."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "automask" / "weights"


def hub_cache_folder() -> Path:
    """Where the Hugging Face libraries keep downloaded models (their documented variables, without importing them)."""
    named = os.environ.get("HF_HUB_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home) / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def hub_snapshot(hub_id: str, *, hub_folder: Path) -> Path | None:
    """The folder of a hub id in the local Hugging Face cache, or None. Never downloads."""
    if not is_hub_id(hub_id):
        return None
    organisation, name = hub_id.split("/")
    repository = hub_folder / f"models--{organisation}--{name}"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def companions(path: Path) -> tuple[Path, ...]:
    """Files that belong to a weight file: an encoder's decoder, and ONNX external data."""
    names = [path.name + ".data", path.name + "_data"]
    if "encoder" in path.name:
        names.append(path.name.replace("encoder", "decoder"))
    return tuple(sibling for name in names if (sibling := path.with_name(name)).is_file())
