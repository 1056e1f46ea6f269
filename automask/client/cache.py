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
from automask.errors import AutomaskError
from automask.request import MaskOptions
from automask.store import write_atomic


class MaskCache:
    """A folder of masks in front of a server.

    A mask is found again by the image's content, the options and the server's fingerprint: changed images, other
    options and a server with other weights are asked about anew, renamed images are not. Several processes may share
    the folder, such as the workers of a `DataLoader`: the cache can be pickled, and each process opens connections of
    its own.

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

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_client": None}

    def levels(self, image: ImageSource) -> NDArray[np.uint8]:
        """The mask of an image, (H, W) uint8, 255 = train; from the disk where it is there.

        Raises:
            AutomaskError: See `Client.mask`.
            OutputError: The folder cannot be written.
        """
        data = bytes_of(image)
        path = self._path(data)
        try:
            return mask_levels(path.read_bytes())
        except (FileNotFoundError, AutomaskError):  # not there, or damaged
            pass
        answer = self._connection().mask(data, options=self._options)
        levels = answer.levels
        write_atomic(path, answer.png, durable=False)
        return levels

    def _path(self, data: bytes) -> Path:
        if self._fingerprint is None:
            self._fingerprint = self._connection().facts().fingerprints.fuse
        asked = json.dumps(self._options.fields(), sort_keys=True)
        content = hashlib.sha256(data).hexdigest()
        setting = hashlib.sha256(f"{self._fingerprint} {asked}".encode()).hexdigest()[:16]
        return self._folder / setting / content[:2] / f"{content}.png"

    def _connection(self) -> Client:
        if self._client is None:
            self._client = Client(self._url, api_key=self._api_key, retries=self._retries)
        return self._client
