"""What the clients take and give: images, options, masks, analyses."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.client.problems import UNKNOWN_ANSWER
from automask.errors import AutomaskError, InputError, ServerError
from automask.values.types import Fingerprints, MaskResult, Verdict

ImageSource = str | PathLike[str] | bytes
"""A file's path, or the bytes of an image file."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskAnswer:
    """A mask as the server drew it.

    Attributes:
        png: 8-bit grey PNG of the upright image's size, white = train.
        verdict: `review` when a person should look at it.
        confidence: 0..1.
        masked_share: Share of the training weight that the mask takes away, 0..1.
        fingerprint: Of everything that the mask depends on beside the image.
        issues: Codes of warnings; docs/errors.md explains them.
    """

    png: bytes
    verdict: Verdict
    confidence: float
    masked_share: float
    fingerprint: str
    issues: tuple[str, ...]

    @property
    def levels(self) -> NDArray[np.uint8]:
        """(H, W) uint8, 255 = train, 0 = ignore.

        Raises:
            ServerError: The PNG is damaged.
        """
        return mask_levels(self.png)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What the server found on an image; `MaskPipeline.render` and `automask.run.pipeline.draw` make masks of it.

    Attributes:
        result: Regions, ungrown outlines, verdict, issues and fingerprints.
        masked_share: Share of the training weight that the server's own mask takes away, 0..1.
        content_sha256: Hash of the bytes that the server read.
    """

    result: MaskResult
    masked_share: float
    content_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class BatchAnswer:
    """What came back for one image of many.

    Attributes:
        image: As it was given.
        mask: As `Client.mask` gives it.
        analysis: As `Client.analyse` gives it.
    """

    image: ImageSource
    mask: MaskAnswer
    analysis: Analysis


@dataclass(frozen=True, slots=True, eq=False)
class BatchRefusal:
    """Why there is no mask for one image of many.

    Attributes:
        image: As it was given.
        error: What `Client.mask` would have raised.
    """

    image: ImageSource
    error: AutomaskError


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What runs on a server.

    Attributes:
        version: Of automask.
        config: Keys of the configuration that requests without options get, as in `PipelineConfig`.
        fingerprints: Of that configuration's stages with the server's weights.
    """

    version: str
    config: Mapping[str, Any]
    fingerprints: Fingerprints


def bytes_of(image: ImageSource) -> bytes:
    """The bytes of an image file.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {image}: {error.strerror}.", advice="Check the path.") from error


def mask_levels(png: bytes) -> NDArray[np.uint8]:
    """(H, W) uint8 of a mask's PNG.

    Raises:
        ServerError: It is not an 8-bit grey PNG.
    """
    try:
        with PillowImage.open(io.BytesIO(png), formats=("PNG",)) as picture:
            if picture.mode != "L":
                raise OSError(f"its mode is {picture.mode}")
            return np.asarray(picture).copy()
    except OSError as error:
        raise ServerError(
            f"The server's mask is not an 8-bit grey PNG: {error}.",
            advice="Check what stands between here and the server.",
            code=UNKNOWN_ANSWER,
        ) from error
