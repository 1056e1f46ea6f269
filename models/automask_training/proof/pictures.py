"""Clean square pictures of six subjects, cut from free pictures: what every arm is made from.

Scenes are crops of photographs, textures crops of surfaces. The other subjects are figures cut out of their ground,
which stand on a ground of their own here: out of focus for portraits and objects, a plain gradient for drawings.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from automask_training.synth.index import MaterialIndex, Picture
from automask_training.synth.raster import Bytes, blur

SIDE_PX = 512
"""Side of a picture when marks are laid and masks are made."""
LIST_FILE = "pictures.csv"
Part = Literal["train", "held_out"]
Ground = Literal["none", "blurred", "gradient"]
_HELD_OUT_PERCENT = 15
_MIN_SPRITE_PX = 300
_MAX_CROPS = 4
# A crop that is nearly one colour teaches nothing, and a mark on it is no test.
_LEAST_SPREAD = 8.0
_BLUR_PX = 10.0


@dataclass(frozen=True)
class Subject:
    """A class of the model: where its pictures come from, and what cut-out figures stand on."""

    name: str
    sources: frozenset[str]
    ground: Ground = "none"


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


_WESNOTH = ("data", "dw", "ei", "nr", "sof", "sotbe", "thot", "tsg", "utbs", "did", "httt", "l", "trow", "ttb")
SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "scene",
        _of(
            "tabler-ui",
            "tabler-preview",
            "blk-design-system",
            "material-kit",
            "now-ui-kit",
            "paper-kit-2",
            "soft-ui-design-system",
            "mate-backgrounds",
            "lomiri-wallpapers-16.04",
            "lomiri-wallpapers-20.04",
            "plasma-workspace-wallpapers",
            "wesnoth-1.16-data",
            "opencv-doc",
        ),
    ),
    Subject("texture", _of("supertuxkart-data", "hedgewars-data")),
    Subject("portrait", _of(*(f"wesnoth-1.16-{each}" for each in _WESNOTH)), "blurred"),
    Subject("object", _of("tuxpaint-stamps-default"), "blurred"),
    Subject("clip art", _of("openclipart-svg"), "gradient"),
    Subject("emoji", _of("twemoji-svg"), "gradient"),
)


@dataclass(frozen=True)
class CleanPicture:
    """One clean picture.

    Attributes:
        name: Stem of its file.
        subject: Number of its subject in `SUBJECTS`.
        part: What is trained on, or held out for measuring.
        source: Package it is from.
        file: File of the package's folder of materials that it was cut from.
        sha256: First 16 digits of that file's hash.
    """

    name: str
    subject: int
    part: Part
    source: str
    file: str
    sha256: str


def part_of(file: str) -> Part:
    """Part of everything that is cut from a file."""
    return "held_out" if zlib.crc32(b"proof" + file.encode()) % 100 < _HELD_OUT_PERCENT else "train"


def build_pictures(materials: Sequence[Path], out: Path, *, quota: Mapping[Part, int]) -> list[CleanPicture]:
    """Write `out`/clean/*.png, `SIDE_PX` squared, and the list of them; a list that is there is read instead.

    Args:
        materials: Folders made by `synth.materials`.
        out: Folder of the proof.
        quota: Most pictures of each subject, by part.
    """
    path = out / LIST_FILE
    if path.exists():
        return read_list(path)
    (out / "clean").mkdir(parents=True, exist_ok=True)
    indexes = [(folder, MaterialIndex.read(folder)) for folder in materials]
    scenes = [
        folder / each.file
        for folder, index in indexes
        for each in index.backgrounds
        if each.source in SUBJECTS[0].sources
    ]
    made: list[CleanPicture] = []
    for number, subject in enumerate(SUBJECTS):
        counts: dict[Part, int] = {"train": 0, "held_out": 0}
        for folder, each, nth in _files(subject, indexes):
            part = part_of(each.file)
            if counts[part] >= quota[part]:
                continue
            pixels = _cut(folder / each.file, subject, nth, scenes)
            if pixels is None:
                continue
            name = f"{subject.name.replace(' ', '-')}-{counts[part]:04}-{part}"
            Image.fromarray(pixels).save(out / "clean" / f"{name}.png")
            digest = hashlib.sha256((folder / each.file).read_bytes()).hexdigest()[:16]
            made.append(CleanPicture(name, number, part, each.source, each.file, digest))
            counts[part] += 1
    write_list(made, path)
    return made


def write_list(pictures: Sequence[CleanPicture], path: Path) -> None:
    """Write the list of pictures."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CleanPicture.__dataclass_fields__)
        writer.writerows(vars(each).values() for each in pictures)


def read_list(path: Path) -> list[CleanPicture]:
    """Read the list that `build_pictures` wrote."""
    with path.open(newline="") as file:
        return [
            CleanPicture(
                row["name"], int(row["subject"]), _part(row["part"]), row["source"], row["file"], row["sha256"]
            )
            for row in csv.DictReader(file)
        ]


def _part(word: str) -> Part:
    return "train" if word == "train" else "held_out"


def _files(subject: Subject, indexes: Sequence[tuple[Path, MaterialIndex]]) -> Iterator[tuple[Path, Picture, int]]:
    """Files of a subject in an order that does not follow their names, first all once, then again for more crops."""
    files = [
        (folder, each)
        for folder, index in indexes
        for each in (index.backgrounds if subject.ground == "none" else index.sprites)
        if each.source in subject.sources
    ]
    files.sort(key=lambda pair: zlib.crc32(pair[1].file.encode()))
    for nth in range(_MAX_CROPS if subject.ground == "none" else 2):
        yield from ((folder, each, nth) for folder, each in files)


def _cut(path: Path, subject: Subject, nth: int, scenes: Sequence[Path]) -> Bytes | None:
    rng = np.random.default_rng((zlib.crc32(path.name.encode()), nth))
    with Image.open(path) as opened:
        picture = opened.convert("RGBA" if subject.ground != "none" else "RGB")
    if subject.ground == "none":
        return _crop(rng, picture)
    if max(picture.size) < _MIN_SPRITE_PX or picture.getbbox() is None:
        return None
    figure = picture.crop(picture.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox())
    return _stood(rng, figure, _ground(rng, subject.ground, scenes))


def _crop(rng: np.random.Generator, picture: Image.Image) -> Bytes | None:
    shorter = min(picture.size)
    if shorter < SIDE_PX:
        return None
    side = int(rng.integers(max(SIDE_PX, round(shorter * 0.75)), shorter + 1))
    left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
    cut = picture.crop((left, top, left + side, top + side)).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    pixels = np.asarray(cut, dtype=np.uint8)
    return pixels if pixels.std(axis=(0, 1)).max() >= _LEAST_SPREAD else None


def _ground(rng: np.random.Generator, ground: Ground, scenes: Sequence[Path]) -> Bytes:
    while ground == "blurred":
        with Image.open(scenes[int(rng.integers(len(scenes)))]) as opened:
            pixels = _crop(rng, opened.convert("RGB"))
        if pixels is not None:
            return blur(pixels, _BLUR_PX)
    top, bottom = (rng.uniform(140, 255, 3) for _ in range(2))
    share = np.linspace(0, 1, SIDE_PX)[:, None, None]
    return np.broadcast_to(top * (1 - share) + bottom * share, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)


def _stood(rng: np.random.Generator, figure: Image.Image, ground: Bytes) -> Bytes:
    side = SIDE_PX * rng.uniform(0.72, 0.92)
    factor = side / max(figure.size)
    size = (max(1, round(figure.width * factor)), max(1, round(figure.height * factor)))
    figure = figure.resize(size, Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        figure = figure.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    out = Image.fromarray(ground)
    out.paste(figure, ((SIDE_PX - size[0]) // 2, (SIDE_PX - size[1]) // 2), figure)
    return np.asarray(out, dtype=np.uint8)
