"""Claims: several drivers share the shards of one target, and one that is killed blocks a shard for minutes at most."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from automask.files.atomic import is_process_alive
from automask.files.folders import Folder
from automask.run.shards.records import ShardFingerprints
from automask.run.shards.target import TRANSPORT, claim_name, json_or_none

EXPIRY_S = 600.0
"""A claim that nobody renewed for so long is free: ten missed renewals, and more than clocks of servers differ."""
RENEWAL_S = 60.0
_SETTLING_S = 0.5
"""Waited before a claim that was taken over is read again: two who take it at once then see who was last."""
_PROCESS_TOKEN = secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on a shard.

    Attributes:
        owner: Unique for a process.
        host: Name of its machine.
        pid: Its process id there.
        time_s: When it was made or renewed, in seconds since the epoch.
        fuse: Fingerprint of how its masks are drawn, which covers everything before; empty for one that takes
            corrections in, under whatever configuration a shard has.
    """

    owner: str
    host: str
    pid: int
    time_s: float
    fuse: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def ours(cls, fingerprints: ShardFingerprints | None) -> Self:
        """One of this process, as of now."""
        key = f"{fingerprints.fuse}-{fingerprints.templates}" if fingerprints is not None else ""
        return cls(f"{_host()}-{os.getpid()}-{_PROCESS_TOKEN}", _host(), os.getpid(), time.time(), key)

    def is_live(self, now_s: float) -> bool:
        """Whether its owner may still be at work: on this machine that is known at once, elsewhere it expires."""
        if self.host == _host() and self.pid == os.getpid():
            return self.owner.endswith(_PROCESS_TOKEN) and now_s - self.time_s < EXPIRY_S
        if self.host == _host() and not is_process_alive(self.pid):
            return False
        return now_s - self.time_s < EXPIRY_S

    def to_bytes(self) -> bytes:
        """The file of a claim."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """The claim of a file, or None where it is damaged."""
        values: Any = json_or_none(data)
        try:
            return cls(**values)
        except TypeError:
            return None


@dataclass(slots=True)
class Claims:
    """The claims of one driver, renewed by a thread while it is entered as a context.

    Args:
        folder: The target.
        fingerprints: Of what this driver does, or None; see `Claim.fuse`.
        clock: Seconds since the epoch.
        pause: Waits so many seconds.
    """

    folder: Folder
    fingerprints: ShardFingerprints | None
    clock: Callable[[], float] = time.time
    pause: Callable[[float], object] = time.sleep
    _held: set[str] = field(init=False, default_factory=set)
    _mutex: threading.Lock = field(init=False, default_factory=threading.Lock)
    _ended: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._renew, name="automask-claims", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for name in list(self._held):
            self.release(name)

    def take(self, name: str) -> Claim | None:
        """Claim a shard. Gives None when it is ours now, else the claim of whoever works on it."""
        claim = self._own()
        path = claim_name(name)
        if not self.folder.create(path, claim.to_bytes()):
            other = self.holder(name)
            if other is not None and other.owner != claim.owner and other.is_live(self.clock()):
                return other
            self.folder.write(path, claim.to_bytes())
            self.pause(_SETTLING_S)
            winner = self.holder(name)
            if winner is not None and winner.owner != claim.owner:
                return winner
        with self._mutex:
            self._held.add(name)
        return None

    def holder(self, name: str) -> Claim | None:
        """Whose claim is on a shard, live or not."""
        return holder_of(self.folder, name)

    def holds(self, name: str) -> bool:
        """Whether a shard is still ours: a driver that slept through its claim must not end the shard."""
        holder = self.holder(name)
        return holder is not None and holder.owner == self.owner

    def release(self, name: str) -> None:
        """Give a shard back, done or not."""
        with self._mutex:
            self._held.discard(name)
        try:
            if self.holds(name):
                self.folder.remove(claim_name(name))
        except TRANSPORT:
            return  # it expires

    @property
    def owner(self) -> str:
        """See `Claim.owner`."""
        return self._own().owner

    def _own(self) -> Claim:
        return dataclasses.replace(Claim.ours(self.fingerprints), time_s=self.clock())

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL_S):
            with self._mutex:
                names = sorted(self._held)
            for name in names:
                try:
                    if self.holds(name):
                        self.folder.write(claim_name(name), self._own().to_bytes())
                except OSError:
                    continue  # the next renewal comes long before it expires


def holder_of(folder: Folder, name: str) -> Claim | None:
    """Whose claim is on a shard of a target, live or not; None where there is none or it is damaged."""
    try:
        return Claim.from_bytes(folder.read(claim_name(name)))
    except FileNotFoundError:
        return None


def _host() -> str:
    return socket.gethostname()
