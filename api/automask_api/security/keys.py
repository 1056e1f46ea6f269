"""API keys: long random strings of which only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from automask.errors import ConfigError
from automask.store import write_atomic

KEYS_FILE = "api-keys.json"
KEY_PREFIX = "amk_"


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that open the server.

    Attributes:
        hashes: SHA-256 (lower-case hex) of each key by name. The keys are random and long: a slow hash adds nothing.
    """

    hashes: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys of a file; none where it does not exist.

        Raises:
            ConfigError: It is not a file of keys.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            hashes = {str(name): bytes.fromhex(value).hex() for name, value in content.items()}
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} is not a file of API keys: {error}.", advice="Put it back, or delete it and add keys again."
            ) from error
        if any(len(value) != 64 for value in hashes.values()):
            raise ConfigError(f"{path} holds a hash that is not SHA-256.", advice="Delete that line.")
        return cls(hashes)

    def name_of(self, key: str) -> str | None:
        """The name of a key, or None for one that is not known. Takes as long for any wrong key."""
        offered = _hash(key)
        found = None
        for name, expected in self.hashes.items():
            if hmac.compare_digest(offered, expected):
                found = name
        return found

    def __bool__(self) -> bool:
        return bool(self.hashes)


def add_key(path: Path, name: str) -> str:
    """Make a key, keep its hash, and give the key: it cannot be shown again.

    Raises:
        ConfigError: There is a key of that name, or the file is not one of keys.
        OutputError: The file cannot be written.
    """
    keys = ApiKeys.read(path)
    if name in keys.hashes:
        raise ConfigError(f"There is a key named {name!r} already.", advice="Remove it first, or choose another name.")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    _write(path, {**keys.hashes, name: _hash(key)})
    return key


def remove_key(path: Path, name: str) -> None:
    """Forget a key.

    Raises:
        ConfigError: There is none of that name.
        OutputError: The file cannot be written.
    """
    keys = ApiKeys.read(path)
    if name not in keys.hashes:
        raise ConfigError(f"There is no key named {name!r}.", advice="`automask serve keys list` shows them.")
    _write(path, {known: value for known, value in keys.hashes.items() if known != name})


def _write(path: Path, hashes: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, (json.dumps(hashes, indent=2) + "\n").encode())
    path.chmod(0o600)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
