"""Corrections by a server: what is asked about one thing of an image, or of a whole mask. Nothing is sent here."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from automask.client import calls
from automask.client.answers import ImageSource, bytes_of, mask_levels
from automask.http.wire import WireRefined
from automask.values.geometry import Box

if TYPE_CHECKING:
    import httpx

FORGOTTEN = "image-forgotten"
"""Code of the answer that asks for an image again."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Which thing is meant, in pixels of the upright image; at least one of clicks, box and drawing.

    Attributes:
        points: x, y of clicks on the thing.
        not_points: x, y of clicks beside it.
        box: x0, y0, x1, y1 around it, half-open.
        drawn: A drawing of the image's size, the thing dark.
        do: Mask the thing, or train it again.
        training_px: As in `MaskOptions`.
        cell_px: As in `MaskOptions`.
        growth_cells: As in `MaskOptions`.
    """

    points: Sequence[tuple[float, float]] = ()
    not_points: Sequence[tuple[float, float]] = ()
    box: tuple[int, int, int, int] | None = None
    drawn: ImageSource | None = None
    do: Literal["mask", "train"] = "mask"
    training_px: int | None = None
    cell_px: int | None = None
    growth_cells: float | None = None

    def fields(self) -> dict[str, str | list[str]]:
        """As fields of a query; lists are repeated."""
        found: dict[str, str | list[str]] = {"do": self.do}
        for name in ("points", "not_points"):
            if clicks := getattr(self, name):
                found[name] = [f"{_short(x)},{_short(y)}" for x, y in clicks]
        if self.box is not None:
            found["box"] = ",".join(str(int(side)) for side in self.box)
        for name in ("training_px", "cell_px", "growth_cells"):
            if (value := getattr(self, name)) is not None:
                found[name] = str(value)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class RefinedMask:
    """A mask with one thing more masked, or trained again.

    Attributes:
        png: The new mask: 8-bit grey PNG of the upright image's size, white = train.
        method: Who answered: a refiner, or grabcut or region-growing, which go by colour.
        note: Why no network did, or empty.
        score: How sure the answer is, 0..1.
        box: Around the thing; None where nothing was found.
        artefact: (H, W) bool of the box, the thing inside it, not grown; None where nothing was found.
    """

    png: bytes
    method: str
    note: str
    score: float
    box: Box | None
    artefact: NDArray[np.bool_] | None

    @property
    def levels(self) -> NDArray[np.uint8]:
        """(H, W) uint8, 255 = train, 0 = ignore.

        Raises:
            ServerError: The PNG is damaged.
        """
        return mask_levels(self.png)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What to do to a finished mask: `invert`, then grow or shrink, then fill.

    Attributes:
        invert: Turn the weights around.
        grow_cells: Grow what is masked by cells; below 0 it shrinks.
        fill_holes_cells: Close trained islands up to this side.
        training_px: Training resolution that cells are meant at.
        cell_px: Latent cell in training pixels.
    """

    invert: bool = False
    grow_cells: float = 0.0
    fill_holes_cells: float = 0.0
    training_px: int = 1024
    cell_px: int = 8

    def fields(self) -> dict[str, str | list[str]]:
        """As fields of a query."""
        names = ("grow_cells", "fill_holes_cells", "training_px", "cell_px")
        return {"invert": str(self.invert).lower(), **{name: str(getattr(self, name)) for name in names}}


class Refinement:
    """One question about an image, whose bytes are sent only to a server that does not remember them.

    Args:
        image: Of the image file.
        prompt: What is meant.
        mask: The mask so far; None = all white.

    Raises:
        InputError: A file cannot be read.
    """

    def __init__(self, image: ImageSource, prompt: Prompt, mask: ImageSource | None) -> None:
        self._image = bytes_of(image)
        self._prompt = prompt
        self._mask = None if mask is None else bytes_of(mask)
        self._drawn = None if prompt.drawn is None else bytes_of(prompt.drawn)
        self.content_sha256 = hashlib.sha256(self._image).hexdigest()

    def call(self, *, with_image: bool) -> calls.Call:
        """Ask, naming the image by its hash or sending it."""
        parts = {"image": self._image if with_image else None, "mask": self._mask, "drawn": self._drawn}
        query = self._prompt.fields()
        if not with_image:
            query["content_sha256"] = self.content_sha256
        return calls.Call(
            "POST",
            "/v1/refine",
            query=query,
            headers={"Accept": calls.JSON},
            parts=[(name, name, data) for name, data in parts.items() if data is not None],
        )


def read_refined(response: httpx.Response) -> RefinedMask:
    """The answer to a `Refinement`.

    Raises:
        ServerError: It is not one.
    """
    wire = calls.parsed(WireRefined, response.content)
    try:
        png = base64.b64decode(wire.mask_png, validate=True)
        box = None if wire.box is None else Box(*wire.box)
        artefact = None if box is None or wire.rle is None else wire.rle.artefact(box)
    except (binascii.Error, ValueError) as error:
        raise calls.unknown_answer(str(error)) from error
    return RefinedMask(png, wire.method, wire.note, wire.score, box, artefact)


def adjust_call(mask: ImageSource, adjustment: Adjustment) -> calls.Call:
    """Ask for a mask after an adjustment."""
    headers = {"Accept": calls.PNG, "Content-Type": "application/octet-stream"}
    return calls.Call("POST", "/v1/adjust", query=adjustment.fields(), headers=headers, content=bytes_of(mask))


def _short(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")
