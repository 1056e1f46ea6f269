"""Masks on the local disk, so that a training loop asks the server once per image and not once per epoch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automask.client.answers import ImageSource, bytes_of, mask_levels
from automask.client.retries import RetryPolicy
from automask.client.sync import Client
from automask.errors import AutomaskError, ServerError
from automask.http.request import MaskOptions
from automask.store import write_atomic


class MaskCache:
    """A folder of masks in front of a server.

    A mask is found again by the image's content, the options and the server's fingerprint: changed images, other
    options and a server with other weights are asked about anew, renamed images are not. Several processes may share
    the folder, such as the workers of a `DataLoader`: the cache can be pickled, and each process opens connections of
    its own. A server that cannot be reached is taken to be as it was last: its masks that are here are used.

    Args:
        folder: Made where missing. Delete it at any time.
        url: The server.
        options: How masks are drawn.
        api_key: See `Client`.
        retries: See `Client`.

    Raises:
        PluginError: httpx is not installed.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        options: MaskOptions | None = None,
        api_key: str | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._folder = folder
        self._url = url
        self._options = options or MaskOptions()
        self._api_key = api_key
        self._retries = retries
        self._client: Client | None = None
        self._fingerprint: str | None = None
        self._is_current = False
        address = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
        self._remembered = folder / "servers" / f"{address}.txt"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_client": None}

    def levels(self, image: ImageSource) -> NDArray[np.uint8]:
        """The mask of an image, (H, W) uint8, 255 = train; from the disk where it is there.

        Raises:
            AutomaskError: See `Client.mask`.
            OutputError: The folder cannot be written.
        """
        data = bytes_of(image)
        if self._fingerprint is None:
            self._fingerprint = self._first_fingerprint()
        levels = _levels_at(self._path(data, self._fingerprint))
        if levels is None and not self._is_current:
            self._fingerprint = self._asked(self._connection())
            levels = _levels_at(self._path(data, self._fingerprint))
        if levels is None:
            answer = self._connection().mask(data, options=self._options)
            levels = answer.levels
            write_atomic(self._path(data, self._fingerprint), answer.png, durable=False)
        return levels

    def _first_fingerprint(self) -> str:
        """The server's, or where it cannot be reached the one that it had last."""
        try:
            remembered = self._remembered.read_text(encoding="ascii")
        except (OSError, ValueError):
            return self._asked(self._connection())
        try:
            with Client(self._url, api_key=self._api_key, retries=RetryPolicy(attempts=1)) as client:
                return self._asked(client)
        except ServerError as error:
            if error.code != "server-unreachable":
                raise
            return remembered

    def _asked(self, client: Client) -> str:
        fingerprint = client.facts().fingerprints.fuse
        self._is_current = True
        write_atomic(self._remembered, fingerprint.encode("ascii"), durable=False)
        return fingerprint

    def _path(self, data: bytes, fingerprint: str) -> Path:
        asked = json.dumps(self._options.fields(), sort_keys=True)
        content = hashlib.sha256(data).hexdigest()
        setting = hashlib.sha256(f"{fingerprint} {asked}".encode()).hexdigest()[:16]
        return self._folder / setting / content[:2] / f"{content}.png"

    def _connection(self) -> Client:
        if self._client is None:
            self._client = Client(self._url, api_key=self._api_key, retries=self._retries)
        return self._client


def _levels_at(path: Path) -> NDArray[np.uint8] | None:
    try:
        return mask_levels(path.read_bytes())
    except (FileNotFoundError, AutomaskError):  # not there, or damaged
        return None
