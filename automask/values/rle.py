"""Run-length codecs for bool arrays and the packed form of weight layers.

Format of `encode` (version 1), little endian::

    uint8   version = 1
    uint32  rows
    uint32  columns
    zlib    of uint32 run lengths in row-major order; the first run counts False pixels and may be 0

The runs of a valid blob add up to rows * columns, and none but the first is 0. `coco_counts` is the same idea in
column-major order, as COCO's uncompressed `counts` have it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_VERSION = 1
_HEADER = struct.Struct("<BII")
_ZLIB_LEVEL = 6


def encode(artefact: NDArray[np.bool_]) -> bytes:
    """Pack an (H, W) bool array.

    Raises:
        ValueError: Not bool, or not two-dimensional.
    """
    if artefact.dtype != np.bool_ or artefact.ndim != 2:
        raise ValueError(f"an artefact is (H, W) bool, got {artefact.shape} {artefact.dtype}")
    runs = _runs(artefact.ravel()).astype("<u4")
    return _HEADER.pack(_VERSION, *artefact.shape) + zlib.compress(runs.tobytes(), _ZLIB_LEVEL)


def decode(blob: bytes, *, shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Unpack what `encode` made.

    Args:
        blob: The bytes.
        shape: The shape that the array must have, or None to take the blob's word.

    Returns:
        (H, W) bool, writable.

    Raises:
        ValueError: The bytes are damaged, of an unknown version, or of another shape.
    """
    if len(blob) < _HEADER.size:
        raise ValueError(f"a packed artefact has at least {_HEADER.size} bytes, got {len(blob)}")
    version, rows, columns = _HEADER.unpack_from(blob)
    if version != _VERSION:
        raise ValueError(f"unknown version {version} of a packed artefact")
    if shape is not None and shape != (rows, columns):
        raise ValueError(f"a packed artefact of shape {(rows, columns)} stands where {shape} belongs")
    area_px = rows * columns
    raw = _inflate(blob[_HEADER.size :], max_bytes=4 * (area_px + 1))
    if len(raw) % 4:
        raise ValueError("the run lengths of a packed artefact are cut off")
    return _from_runs(np.frombuffer(raw, dtype="<u4").astype(np.int64), area_px).reshape(rows, columns)


def is_empty(blob: bytes) -> bool:
    """Whether what `encode` made has no True pixel, without unpacking it; a damaged one is not empty."""
    if len(blob) < _HEADER.size:
        return False
    _, rows, columns = _HEADER.unpack_from(blob)
    try:
        raw = zlib.decompressobj().decompress(blob[_HEADER.size :], 8)
    except zlib.error:
        return False
    return raw == struct.pack("<I", rows * columns) or rows * columns == 0


def coco_counts(artefact: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed counts of an (H, W) bool array: column-major runs, the first of False pixels."""
    counts: list[int] = _runs(artefact.ravel(order="F")).tolist()
    return counts


def from_coco_counts(counts: Sequence[int], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool array of COCO's uncompressed counts.

    Raises:
        ValueError: The counts do not add up to the area, or one is negative.
    """
    rows, columns = shape
    flat = _from_runs(np.asarray(counts, dtype=np.int64), rows * columns)
    return np.ascontiguousarray(flat.reshape(columns, rows).T)


def encode_levels(levels: NDArray[np.uint8], where: NDArray[np.bool_]) -> bytes:
    """Pack those levels of an (H, W) uint8 array that count; the others are not kept."""
    return zlib.compress(levels[where].tobytes(), _ZLIB_LEVEL)


def decode_levels(blob: bytes, where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W) uint8 levels of `encode_levels`, 255 where none was kept.

    Raises:
        ValueError: The bytes are damaged or not as many as `where` has True pixels.
    """
    levels = np.full(where.shape, 255, dtype=np.uint8)
    kept = np.frombuffer(_inflate(blob, max_bytes=where.size), dtype=np.uint8)
    count = np.count_nonzero(where)
    if kept.size != count:
        raise ValueError(f"{kept.size} packed weight levels for {count} pixels")
    levels[where] = kept
    return levels


def _runs(flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    if flat.size == 0:
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], starts, [flat.size])))
    return np.concatenate(([0], runs)) if flat[0] else runs


def _from_runs(runs: NDArray[np.int64], area_px: int) -> NDArray[np.bool_]:
    if (runs < 0).any() or int(runs.sum()) != area_px:
        raise ValueError(f"run lengths add up to {int(runs.sum())} pixels instead of {area_px}")
    return np.repeat(np.arange(runs.size) % 2 == 1, runs)


def _inflate(packed: bytes, *, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, max_bytes + 1)  # a damaged blob must not fill the memory
    except zlib.error as error:
        raise ValueError(f"packed bytes are damaged: {error}") from error
    if not unpacker.eof or len(raw) > max_bytes:
        raise ValueError("packed bytes are cut off or too long")
    return raw
