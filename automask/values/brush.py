"""Label Studio's run lengths of brush labels: RGBA bytes, packed bit by bit (the format of its converter's `brush`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_CHANNELS = 4
_LENGTH_BITS = (3, 7, 15, 16)
"""Bits of a run length, chosen per run by a two-bit index."""
_WORD_BITS = 8
_VISIBLE = 128


def decode_brush(rle: Sequence[object], *, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool of a `rle` list.

    Raises:
        ValueError: It is damaged or of another size.
    """
    if any(isinstance(one, bool) or not isinstance(one, int) or not 0 <= one <= 255 for one in rle):
        raise ValueError("the rle of a brush is no list of bytes")
    bits = _Bits(np.unpackbits(np.array(rle, dtype=np.uint8)))
    total = bits.take(32)
    word = bits.take(5) + 1
    if word != _WORD_BITS:
        raise ValueError(f"the brush has values of {word} bits, not {_WORD_BITS}")
    lengths = [bits.take(4) + 1 for _ in range(4)]
    if total != shape[0] * shape[1] * _CHANNELS:
        raise ValueError(f"the brush covers {total // _CHANNELS} px, the image has {shape[0] * shape[1]}")
    out = np.zeros(total, dtype=np.uint8)
    position = 0
    while position < total:
        is_run = bits.take(1)
        count = bits.take(lengths[bits.take(2)]) + 1
        if position + count > total:
            raise ValueError("the run lengths of the brush are damaged")
        if is_run:
            out[position : position + count] = bits.take(word)
        else:
            out[position : position + count] = [bits.take(word) for _ in range(count)]
        position += count
    return out.reshape(*shape, _CHANNELS)[..., 3] >= _VISIBLE


def encode_brush(artefact: NDArray[np.bool_]) -> list[int]:
    """The `rle` list of an (H, W) bool array."""
    flat = artefact.ravel()
    writer = _BitWriter()
    writer.put(flat.size * _CHANNELS, 32)
    writer.put(_WORD_BITS - 1, 5)
    for length in _LENGTH_BITS:
        writer.put(length - 1, 4)
    most = 1 << _LENGTH_BITS[-1]
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1 if flat.size else np.zeros(0, dtype=np.int64)
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), flat.size], strict=True):
        value, left = (255 if flat[start] else 0), (end - start) * _CHANNELS
        while left > 0:
            count = min(left, most)
            index = next(i for i, length in enumerate(_LENGTH_BITS) if count <= 1 << length)
            writer.put(1, 1)
            writer.put(index, 2)
            writer.put(count - 1, _LENGTH_BITS[index])
            writer.put(value, _WORD_BITS)
            left -= count
    return writer.bytes()


class _Bits:
    """Reads numbers of some bits, the highest bit first."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._text = "".join(map(str, bits.tolist()))
        self._at = 0

    def take(self, count: int) -> int:
        part = self._text[self._at : self._at + count]
        if len(part) < count:
            raise ValueError("the run lengths of the brush are cut off")
        self._at += count
        return int(part, 2)


class _BitWriter:
    """Writes numbers of some bits, the highest bit first."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def put(self, value: int, count: int) -> None:
        self._parts.append(format(value, f"0{count}b"))

    def bytes(self) -> list[int]:
        text = "".join(self._parts)
        text += "0" * (-len(text) % 8)
        return [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]
