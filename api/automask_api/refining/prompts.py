"""What a request asks about an image, checked against it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automask.config import RenderConfig
from automask.errors import InputError
from automask.mask.rendering import grown_and_filled
from automask.values.geometry import Box
from automask.values.types import Image

_NUMBER = r"\d{1,6}(\.\d{1,3})?"
Point = Annotated[str, Field(pattern=rf"^{_NUMBER},{_NUMBER}$")]


class RefineOptions(BaseModel):
    """Prompts and options of a refinement; x and y are pixels of the upright image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: list[Point] = Field([], max_length=64, description="x,y of clicks on the thing; repeatable.")
    not_points: list[Point] = Field([], max_length=64, description="x,y of clicks beside the thing; repeatable.")
    box: str | None = Field(
        None, pattern=r"^\d{1,6},\d{1,6},\d{1,6},\d{1,6}$", description="x0,y0,x1,y1 around the thing, half-open."
    )
    do: Literal["mask", "train"] = Field("mask", description="Mask the thing, or train it again.")
    content_sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Hash of an image that was sent before, instead of the image."
    )
    training_px: int | None = Field(None, ge=64, le=8192, description="As for /v1/masks.")
    cell_px: int | None = Field(None, ge=1, le=64, description="As for /v1/masks.")
    growth_cells: float | None = Field(None, ge=0, le=16, description="As for /v1/masks.")

    @property
    def all_points(self) -> list[tuple[float, float]]:
        """Wanted ones first."""
        return [_pair(text) for text in (*self.points, *self.not_points)]

    @property
    def wanted(self) -> list[bool]:
        """For each of `all_points`."""
        return [True] * len(self.points) + [False] * len(self.not_points)

    def box_in(self, image: Image) -> Box | None:
        """The box, cut to the image.

        Raises:
            InputError: It is empty or lies outside.
        """
        if self.box is None:
            return None
        x0, y0, x1, y1 = (int(part) for part in self.box.split(","))
        clipped = (
            Box(x0, y0, x1, y1).clipped(width_px=image.width_px, height_px=image.height_px)
            if x0 < x1 and y0 < y1
            else None
        )
        if clipped is None:
            raise _prompt_error(f"The box {self.box} holds no pixel of the image of {_size(image)}.")
        return clipped

    def check_points(self, image: Image) -> None:
        """Refuse clicks beside the image.

        Raises:
            InputError: One lies outside.
        """
        for x, y in self.all_points:
            if x >= image.width_px or y >= image.height_px:
                raise _prompt_error(f"The click {x:g},{y:g} lies outside of the image of {_size(image)}.")

    def render(self, config: RenderConfig) -> RenderConfig:
        """How the thing is drawn."""
        given = {"training_px": self.training_px, "cell_px": self.cell_px, "growth_cells": self.growth_cells}
        return config.model_copy(update={name: value for name, value in given.items() if value is not None})


def drawn_into(
    levels: NDArray[np.uint8], artefact: NDArray[np.bool_], *, do: Literal["mask", "train"], render: RenderConfig
) -> NDArray[np.uint8]:
    """A mask with a thing masked (grown, holes filled) or trained again (as it is).

    Args:
        levels: (H, W) uint8, 255 = train.
        artefact: (H, W) bool.
        do: Which of the two.
        render: Growth and cells.
    """
    out = levels.copy()
    if do == "train":
        out[artefact] = 255
        return out
    out[grown_and_filled(artefact, render)] = 0
    return out


def _pair(text: str) -> tuple[float, float]:
    x, _, y = text.partition(",")
    return float(x), float(y)


def _size(image: Image) -> str:
    return f"{image.width_px} x {image.height_px} px"


def _prompt_error(message: str) -> InputError:
    return InputError(message, advice="Count in pixels of the upright image.", code="prompt-invalid")
