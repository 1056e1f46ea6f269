"""Image files that formats make themselves."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from automask.export.protocol import ExportImage, OutputFile
from automask.files.png import POLARITY_KEY


def rgba_file(image: ExportImage, *, folder: str, version: int) -> OutputFile:
    """The upright image with its mask as alpha; colours under transparent pixels are kept."""
    return OutputFile(
        f"{folder}/{image.mask_name}", f"{version}:{image.key}:{image.image_key}", lambda: _rgba_png(image)
    )


def _rgba_png(image: ExportImage) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text(POLARITY_KEY, "opaque = train, transparent = ignore")
    out = io.BytesIO()
    pixels = np.dstack([image.pixels(), image.levels()])
    PillowImage.fromarray(pixels, "RGBA").save(out, "PNG", pnginfo=text, compress_level=3)
    return out.getvalue()
