"""QR and bar codes as layers: what scanners read, drawn in ink or on a plate of their own."""

from __future__ import annotations

import numpy as np

from automask_training.synth.raster import Bytes, Colour, Layer, resize, solid

_LEFT_ODD = (
    "0001101",
    "0011001",
    "0010011",
    "0111101",
    "0100011",
    "0110001",
    "0101111",
    "0111011",
    "0110111",
    "0001011",
)
_PARITY = ("000000", "001011", "001101", "001110", "010011", "011001", "011100", "010101", "010110", "011010")
"""EAN-13: modules of a digit in the left half with odd parity, and the parities that say the first digit (1 = even)."""
_HOSTS = ("example.com", "shop.example", "pay.example", "x.example", "photo.example", "menu.example")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_QUIET_MODULES = 4
"""The empty margin that the standard asks for around a QR code."""


def qr_modules(text: str) -> Bytes:
    """The QR code of a text, uint8 (N, N), 255 where dark, without its margin."""
    import cv2

    drawn = np.asarray(cv2.QRCodeEncoder.create().encode(text), dtype=np.uint8)
    dark = drawn < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    inner = dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inner.astype(np.uint8) * np.uint8(255)


def ean_modules(digits: str) -> str:
    """The 95 modules of an EAN-13 bar code of twelve digits, "1" where dark; the check digit is added."""
    numbers = [int(each) for each in digits]
    numbers.append(-sum(value * (3 if place % 2 else 1) for place, value in enumerate(numbers)) % 10)
    left = "".join(
        _LEFT_ODD[value] if parity == "0" else _right(value)[::-1]
        for value, parity in zip(numbers[1:7], _PARITY[numbers[0]], strict=True)
    )
    return f"101{left}01010{''.join(_right(value) for value in numbers[7:])}101"


def _right(value: int) -> str:
    return "".join("0" if each == "1" else "1" for each in _LEFT_ODD[value])


def code(rng: np.random.Generator, side_px: int, ink: Colour, ground: Colour) -> Layer:
    """A QR code `side_px` wide, or a bar code `side_px` high and up to twice as wide, mostly on a plate of `ground`."""
    if rng.random() < 0.65:
        size = int(rng.integers(8, 60))
        text = f"https://{_HOSTS[int(rng.integers(len(_HOSTS)))]}/" + "".join(rng.choice(list(_LETTERS), size))
        modules, width = qr_modules(text), side_px
    else:
        bars = np.array([each == "1" for each in ean_modules("".join(rng.choice(list("0123456789"), 12)))])
        modules = np.repeat(bars[None].astype(np.uint8) * np.uint8(255), 48, axis=0)
        width = round(side_px * rng.uniform(1.2, 2.0))
    has_plate = rng.random() < 0.8
    quiet = int(rng.integers(1, _QUIET_MODULES + 1)) if has_plate else 0
    modules = np.pad(modules, quiet)
    repeats = max(1, -(-width // modules.shape[1]))  # whole modules first, so that shrinking keeps them even
    coverage = resize(np.repeat(np.repeat(modules, repeats, axis=0), repeats, axis=1), width, side_px)
    if not has_plate:
        return solid(coverage, ink)
    share = (coverage.astype(np.float32) / np.float32(255))[..., None]
    rgb = np.array(ground, np.float32) * (1 - share) + np.array(ink, np.float32) * share
    return Layer((rgb + np.float32(0.5)).astype(np.uint8), np.full(coverage.shape, 255, dtype=np.uint8))
