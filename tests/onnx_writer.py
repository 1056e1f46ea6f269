"""Writes tiny ONNX graphs without the onnx package, so that the fast suite needs no extra.

Protocol buffers by hand: field numbers are those of onnx.proto3 (IR version 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

FLOAT, INT64 = 1, 7


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, value: np.ndarray) -> bytes:
    kind = INT64 if value.dtype == np.int64 else FLOAT
    data = value if kind == INT64 else value.astype(np.float32)
    dims = b"".join(_field(1, size) for size in value.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, data.tobytes())


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **integers: int) -> bytes:
    body = b"".join(_field(1, name) for name in inputs) + b"".join(_field(2, name) for name in outputs)
    body += _field(4, kind)
    for name, value in integers.items():
        body += _field(5, _field(1, name) + _field(3, value) + _field(20, 2))
    return body


def port(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def write_model(
    path: Path,
    *,
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    constants: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    graph = b"".join(_field(1, part) for part in nodes) + _field(2, "graph")
    graph += b"".join(_field(5, tensor(name, value)) for name, value in (constants or {}).items())
    graph += b"".join(_field(11, part) for part in inputs) + b"".join(_field(12, part) for part in outputs)
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 18))
    model += b"".join(_field(14, _field(1, key) + _field(2, text)) for key, text in (metadata or {}).items())
    path.write_bytes(model)
    return path
