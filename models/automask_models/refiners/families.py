"""Refiners by the name of a family: the same as `sam`, with weights of that family where none are named.

`--refiner sam2` takes the family's best small network; `--refiner sam2:tiny` another one of the catalogue.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from automask.config import FrozenModel
from automask_models.refiners.sam import SamOptions, SamRefiner


class Sam2Options(SamOptions):
    """Options of the `sam2` refiner: those of `sam`."""

    # By its publisher's table (README of facebookresearch/sam2) small is ahead of tiny on all three sets at 46 M
    # parameters; base-plus and large are 81 M and 224 M.
    weights: str = Field("sam2-small", min_length=1, description="As of `sam`; `tiny` is `sam2-tiny` here.")


class Sam2Refiner(SamRefiner):
    """SAM 2.1."""

    name: ClassVar[str] = "sam2"
    Options: ClassVar[type[FrozenModel]] = Sam2Options


class SamHqOptions(SamOptions):
    """Options of the `sam-hq` refiner: those of `sam`."""

    weights: str = Field("sam-hq-base", min_length=1, description="As of `sam`; `base` is `sam-hq-base` here.")


class SamHqRefiner(SamRefiner):
    """SAM-HQ."""

    name: ClassVar[str] = "sam-hq"
    Options: ClassVar[type[FrozenModel]] = SamHqOptions


class EdgeTamOptions(SamOptions):
    """Options of the `edgetam` refiner: those of `sam`."""

    weights: str = Field("edgetam", min_length=1, description="As of `sam`.")


class EdgeTamRefiner(SamRefiner):
    """EdgeTAM."""

    name: ClassVar[str] = "edgetam"
    Options: ClassVar[type[FrozenModel]] = EdgeTamOptions


class Sam3Options(SamOptions):
    """Options of the `sam3` refiner: those of `sam`."""

    weights: str = Field("sam3", min_length=1, description="As of `sam`.")


class Sam3Refiner(SamRefiner):
    """The tracker of SAM 3, which answers clicks and boxes."""

    name: ClassVar[str] = "sam3"
    Options: ClassVar[type[FrozenModel]] = Sam3Options
