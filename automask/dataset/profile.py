"""Embedded colour profiles: pixels become sRGB, and a profile that cannot be used is no reason to fail."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_PROBE_STEPS = 9
_VISIBLE_LEVELS = 2  # sRGB profiles of different makers differ by rounding only


def to_srgb(image: PillowImage.Image, profile: bytes) -> PillowImage.Image:
    """Convert opaque pixels to sRGB.

    Args:
        image: Mode RGB, L or CMYK.
        profile: The embedded ICC profile.

    Returns:
        Mode RGB.

    Raises:
        ValueError: The profile is damaged or belongs to other pixels than these.
    """
    mode = _mode_of(profile)
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if image.mode != mode:
        raise ValueError(f"a {mode} profile on {image.mode} pixels")
    transform = _transform(profile, mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise ValueError("the transform gave nothing back")
    return converted


def _mode_of(profile: bytes) -> str:
    space = _opened(profile).profile.xcolor_space.strip()
    if space not in _MODE_OF_SPACE:
        raise ValueError(f"a profile of colour space {space}")
    return _MODE_OF_SPACE[space]


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, TypeError) as error:
        raise ValueError(f"not a profile: {error}") from error


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB, or None for a profile that already is sRGB. Transforms may be shared by threads."""
    try:
        transform = ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB")
    except ImageCms.PyCMSError as error:
        raise ValueError(f"no transform to sRGB: {error}") from error
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, _PROBE_STEPS).astype(np.uint8)
    probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_PROBE_STEPS, -1, 3)
    converted = ImageCms.applyTransform(PillowImage.fromarray(probe), transform)
    difference = np.abs(np.asarray(converted, dtype=np.int16) - probe.astype(np.int16))
    return int(difference.max()) <= _VISIBLE_LEVELS
