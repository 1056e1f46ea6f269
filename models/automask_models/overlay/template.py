"""What repeats in a dataset, as a value that can be kept in a file and looked for in other images."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask.values.types import check_artefact

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One mark or frame. All lengths are pixels of its reference frame, the reduced size at which images were compared.

    Attributes:
        kind: `overlay` for a mark, `frame` for what surrounds the picture.
        width_px: Width of the reference frame.
        height_px: Height of the reference frame.
        source_scale: Pixels of the source images per reference pixel, median over the images that show it.
        box: Where it is in the reference frame.
        anchor: The edges that it keeps its distance from in images of other sizes; `whole` for frames.
        artefact: bool of shape `box.shape`, its ungrown pixels.
        gradients: float32 (2, *box.shape), mean whitened x and y gradient: what is looked for.
        colours: uint8 (*box.shape, 3), median RGB over the images that show it.
        steady: bool of shape `box.shape`, where `colours` is what most of these images have (frames; else empty).
        support: Share of the images of its group that show it, 0..1.
        images: Images that were compared.
        confidence: 0..1, how sure it is that this was put on the images.
        border_connected: Whether it reaches an edge of the frame.
        needs_review: Whether one decision of a person for all images is wanted; until then it is only proposed.
        usual: float32 of shape `box.shape`, share of the images that show it which have its colour at a place, 0 where
            a lack of it says nothing: outside, and where the layouts of these images do not call it a frame.
        alpha: float32 of shape `box.shape`, as files have it; nothing is done with it.
        typical_score: How strongly the images that a mark comes from answer to it, in standard deviations (median); 0
            where nothing is known of that.
        id: Hash of the content, 16 hex digits: the same template has the same id in every run.
    """

    kind: Literal["overlay", "frame"]
    width_px: int
    height_px: int
    source_scale: float
    box: Box
    anchor: str
    artefact: NDArray[np.bool_]
    gradients: NDArray[np.float32]
    colours: NDArray[np.uint8]
    steady: NDArray[np.bool_]
    support: float
    images: int
    confidence: float
    border_connected: bool
    needs_review: bool
    typical_score: float = 0.0
    usual: NDArray[np.float32] | None = None
    alpha: NDArray[np.float32] | None = None
    id: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if self.kind not in ("overlay", "frame"):
            raise ValueError(f"kind must be overlay or frame, got {self.kind!r}")
        if not Box(0, 0, self.width_px, self.height_px).contains(self.box):
            raise ValueError(f"box {self.box.xyxy} is not inside {self.width_px} x {self.height_px}")
        check_artefact(self.artefact, self.box)
        check_artefact(self.steady, self.box)
        shape = self.box.shape
        if self.usual is None:
            object.__setattr__(self, "usual", np.zeros(shape, dtype=np.float32))
        if self.alpha is None:
            object.__setattr__(self, "alpha", self.artefact.astype(np.float32))
        for name, dtype, expected in (
            ("usual", np.float32, shape),
            ("alpha", np.float32, shape),
            ("gradients", np.float32, (2, *shape)),
            ("colours", np.uint8, (*shape, 3)),
        ):
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != expected:
                raise ValueError(f"{name} must be {np.dtype(dtype)} {expected}, got {array.dtype} {array.shape}")
        for name in ("support", "confidence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be within 0..1, got {getattr(self, name)!r}")
        if not (self.typical_score >= 0 and np.isfinite(self.typical_score)):
            raise ValueError(f"typical_score must not be negative, got {self.typical_score!r}")
        if not (self.source_scale > 0 and np.isfinite(self.source_scale)):
            raise ValueError(f"source_scale must be positive, got {self.source_scale!r}")
        digest = hashlib.sha256(json.dumps(self._plain(), sort_keys=True).encode())
        for name in self._arrays:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        object.__setattr__(self, "id", digest.hexdigest()[:16])

    @property
    def area_share(self) -> float:
        """Share of the reference frame that it covers, 0..1."""
        return float(self.artefact.sum()) / (self.width_px * self.height_px)

    def to_bytes(self) -> bytes:
        """A compressed npz archive without pickles; equal templates give equal bytes."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            header = {"format": FORMAT_VERSION, **self._plain()}
            members = {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)}
            members |= {name: getattr(self, name) for name in self._arrays}
            for name, array in members.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                # A fixed time of day: numpy's own savez writes the clock into the archive.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue())
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: The bytes are no template, are damaged, or come from a newer version.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                header: dict[str, Any] = json.loads(archive["header"].tobytes())
                arrays = {name: archive[name] for name in (*_ARRAYS, _USUAL) if name != _USUAL or name in archive}
            version = header.pop("format")
            if version != FORMAT_VERSION:
                raise ValueError(f"template format {version!r} is not {FORMAT_VERSION}")
            header["box"] = Box(*header["box"])
            return cls(**header, **arrays)
        except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"not a template: {error}") from error

    @property
    def _arrays(self) -> tuple[str, ...]:
        """Names of the arrays; files and ids are as they were before there was `usual` where it says nothing."""
        return (*_ARRAYS, _USUAL) if self.usual is not None and self.usual.any() else _ARRAYS

    def _plain(self) -> Mapping[str, str | int | float | bool | list[int]]:
        arrays = (*_ARRAYS, _USUAL)
        names = [field.name for field in dataclasses.fields(self) if field.init and field.name not in arrays]
        if not self.typical_score:  # as files and ids were before there was one
            names.remove("typical_score")
        return {name: list(self.box.xyxy) if name == "box" else getattr(self, name) for name in names}


_ARRAYS = ("artefact", "alpha", "gradients", "colours", "steady")
_USUAL = "usual"


def anchor_of(box: Box, *, width_px: int, height_px: int) -> str:
    """The edges that a mark keeps its distance from: in each axis the nearer one, or neither in the middle third."""
    x = (box.x0 + box.x1) / 2 / width_px
    y = (box.y0 + box.y1) / 2 / height_px
    horizontal = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    vertical = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    return "-".join(filter(None, (vertical, horizontal))) or "center"
