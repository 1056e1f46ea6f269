"""The images of an upload are decoded for its job as those of other requests are: in a process, within bounds."""

from __future__ import annotations

import time

from automask.config import DecodeConfig
from automask.dataset.codes import Refusal
from automask.dataset.decode import Decoded
from automask_api.errors import Busy, ImageTooLarge
from automask_api.settings import ServiceSettings
from automask_api.uploads.decoder import UploadDecoder

_AGAIN_S = 0.5
"""A job waits where a request is told to come again."""


class UploadDecoding:
    """A `DecodeData` of what strangers sent.

    Args:
        decoder: Of the service.
        settings: Limits.
    """

    def __init__(self, decoder: UploadDecoder, settings: ServiceSettings) -> None:
        self._decoder = decoder
        self._max_megapixels = settings.max_megapixels
        self._most_px = int(settings.reduce_above_megapixels * 1e6)

    def __call__(self, data: bytes, *, image_id: str, config: DecodeConfig) -> Decoded:
        """Decode one image, at its full size.

        Raises:
            ImageError: It cannot be used, or takes too long to decode.
            ImageTooLarge: It has more pixels than are analysed at full size, or needs too much memory.
            Busy: The server stops.
        """
        config = config.model_copy(update={"max_megapixels": min(self._max_megapixels, config.max_megapixels)})
        size_px = self._decoder.size_px(data, name=image_id, config=config).result()
        if size_px > self._most_px:
            raise ImageTooLarge(
                f"{image_id} has {size_px / 1e6:.0f} megapixels, and the limit in jobs from uploads is "
                f"{self._most_px / 1e6:g}.",
                advice="Scale it down, ask for its mask alone, or raise AUTOMASK_SERVE_REDUCE_ABOVE_MEGAPIXELS.",
                code=Refusal.TOO_LARGE.value,
            )
        while True:
            future = self._decoder.decode(data, name=image_id, config=config, size_px=size_px)
            try:
                return future.result()
            except Busy:  # raised by `decode` itself when the server stops
                time.sleep(_AGAIN_S)
