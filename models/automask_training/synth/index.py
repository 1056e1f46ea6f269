"""What a folder of materials holds."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from automask.errors import InputError

INDEX_FILE = "materials.json"
"""What a folder of materials says of itself."""
Split = Literal["train", "val"]
_HELD_OUT_PERCENT = 5


@dataclass(frozen=True)
class Picture:
    """One picture file, by path relative to the folder."""

    file: str
    source: str
    licence: str

    @property
    def split(self) -> Split:
        """Which split the picture belongs to, by its name alone."""
        return "val" if zlib.crc32(self.file.encode()) % 100 < _HELD_OUT_PERCENT else "train"


@dataclass(frozen=True)
class Face:
    """One face of a font file.

    Attributes:
        file: Path relative to the folder.
        index: Number of the face within a collection.
        style: plain, display, comic, hand, brush or fancy.
        scripts: Scripts (keys of `scripts.SAMPLES`) it can write.
    """

    file: str
    index: int
    style: str
    scripts: tuple[str, ...]


@dataclass(frozen=True)
class MaterialIndex:
    """Everything in a folder of materials; any part may be empty."""

    backgrounds: tuple[Picture, ...] = ()
    sprites: tuple[Picture, ...] = ()
    logos: tuple[Picture, ...] = ()
    marks: tuple[Picture, ...] = ()
    frames: tuple[Picture, ...] = ()
    negatives: tuple[Picture, ...] = ()
    faces: tuple[Face, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> MaterialIndex:
        """Read the index of a folder; raises InputError when there is none."""
        path = folder / INDEX_FILE
        if not path.is_file():
            raise InputError(
                f"{folder} holds no {INDEX_FILE}.",
                advice="Make it with `python -m automask_training.synth.materials OUT --never-train LIST`.",
            )
        raw: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))

        def pictures(name: str) -> tuple[Picture, ...]:
            return tuple(
                Picture(file=each["file"], source=each["source"], licence=each["licence"]) for each in raw.get(name, ())
            )

        return cls(
            backgrounds=pictures("backgrounds"),
            sprites=pictures("sprites"),
            logos=pictures("logos"),
            marks=pictures("marks"),
            frames=pictures("frames"),
            negatives=pictures("negatives"),
            faces=tuple(
                Face(file=each["file"], index=each["index"], style=each["style"], scripts=tuple(each["scripts"]))
                for each in raw.get("faces", ())
            ),
        )

    def write(self, folder: Path) -> None:
        """Write the index of a folder."""
        (folder / INDEX_FILE).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")

    def of_split(self, split: Split) -> MaterialIndex:
        """Return the index with only the backgrounds and sprites of a split; the other parts serve both.

        Negatives are cut from what is trained on.
        """
        return replace(
            self,
            negatives=self.negatives if split == "train" else (),
            backgrounds=tuple(each for each in self.backgrounds if each.split == split),
            sprites=tuple(each for each in self.sprites if each.split == split),
        )
