"""A picture of what the model will see of each mask: images with their cells, and the cells alone."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont, ImageOps

from automask.check.layout import Pair
from automask.check.masks import Lens, mask_levels
from automask.check.weights import reduce_mask
from automask.report.overlay import tint

PREVIEW_IMAGES = 12
_TILE_PX = 340
_GAP_PX = 12
_LABEL_PX = 22
_COLUMNS = 2
_BACKGROUND, _INK, _LINE = (246, 246, 244), (40, 40, 40), (150, 150, 150)


def preview_png(pairs: Sequence[Pair], lens: Lens) -> bytes:
    """Draw images beside the weights of their cells, white = train, as the trainer has them after its reduction.

    Args:
        pairs: Images with readable masks that fit, at least one.
        lens: How they are looked at.

    Raises:
        OSError: A file cannot be read.
    """
    tiles = [_tile(pair, lens) for pair in pairs]
    columns = min(_COLUMNS, len(tiles))
    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    width = max(sum(tile.width + _GAP_PX for tile in row) for row in rows) + _GAP_PX
    height = sum(max(tile.height for tile in row) + _GAP_PX for row in rows) + _GAP_PX
    sheet = PillowImage.new("RGB", (width, height), _BACKGROUND)
    y = _GAP_PX
    for row in rows:
        x = _GAP_PX
        for tile in row:
            sheet.paste(tile, (x, y))
            x += tile.width + _GAP_PX
        y += max(tile.height for tile in row) + _GAP_PX
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _tile(pair: Pair, lens: Lens) -> PillowImage.Image:
    levels = mask_levels(pair, lens, {})
    reduction = reduce_mask(levels, lens.trainer, training_px=lens.training_px, cell_px=lens.cell_px, floor=lens.floor)
    bucket = lens.trainer.bucket(levels.shape[1], levels.shape[0], lens.training_px)
    with PillowImage.open(pair.image) as opened:
        picture = ImageOps.exif_transpose(opened) if lens.trainer.transposes_exif else opened
        picture = picture.convert("RGB").resize(
            (bucket.resized_width_px, bucket.resized_height_px), PillowImage.Resampling.BILINEAR
        )
    left, top = bucket.crop_px
    picture = picture.crop((left, top, left + bucket.width_px, top + bucket.height_px))
    cells = PillowImage.fromarray(np.rint(np.clip(reduction.cells, 0, 1) * 255).astype(np.uint8))
    scale = _TILE_PX / max(bucket.width_px, bucket.height_px)
    size = (max(1, round(bucket.width_px * scale)), max(1, round(bucket.height_px * scale)))
    shown = cells.resize(size, PillowImage.Resampling.NEAREST)
    tinted: NDArray[np.uint8] = tint(np.asarray(picture.resize(size)), np.asarray(shown))
    tile = PillowImage.new("RGB", (2 * size[0] + _GAP_PX // 2, size[1] + _LABEL_PX), _BACKGROUND)
    tile.paste(PillowImage.fromarray(tinted), (0, _LABEL_PX))
    tile.paste(shown, (size[0] + _GAP_PX // 2, _LABEL_PX))
    facts = f"  {reduction.masked_share:.0%} masked, weight left {reduction.effective_weight:.2f}"
    font = ImageFont.load_default(size=13)
    draw = ImageDraw.Draw(tile)
    for left_px in (0, size[0] + _GAP_PX // 2):  # white cells would run into the background
        draw.rectangle((left_px, _LABEL_PX, left_px + size[0] - 1, _LABEL_PX + size[1] - 1), outline=_LINE)
    name = pair.name
    while len(name) > 4 and draw.textlength(name + facts, font=font) > tile.width:
        name = "..." + name[4:]
    draw.text((0, 2), name + facts, fill=_INK, font=font)
    return tile
