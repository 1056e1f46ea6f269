"""The two files of a shard, written on this machine's disk first and moved to the target when both are whole."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from automask.dataset.shards.parquet import pyarrow_modules
from automask.files.folders import Folder
from automask.run.shards.records import WrittenPart
from automask.run.shards.rows import ROWS_PER_GROUP, schema

_HASH_PIECE_BYTES = 1 << 20


class ShardFiles:
    """Writes a tar of masks and a Parquet of rows; nothing of it is in the target before `publish`.

    The same images give the same bytes, whoever wrote them and when: no times, owners or order of completion are kept.
    """

    def __init__(self) -> None:
        arrow, parquet = pyarrow_modules()
        self._arrow = arrow
        self._scratch = tempfile.TemporaryDirectory(prefix="automask-shard-")
        folder = Path(self._scratch.name)
        self.masks, self.regions = folder / "masks.tar", folder / "regions.parquet"
        self._schema = schema()
        self._tar = tarfile.open(self.masks, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self._parquet = parquet.ParquetWriter(self.regions, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._scratch.cleanup()

    def add(self, row: dict[str, Any], png: bytes | None) -> None:
        """Take one image: its row, and its mask where it has one."""
        if png is not None:
            member = tarfile.TarInfo(row["mask"])
            member.size = len(png)
            self._tar.addfile(member, io.BytesIO(png))
            self._tar.members = []  # type: ignore[attr-defined]  # it remembers all that it wrote
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_GROUP:
            self._write_rows()

    def finish(self, *, masks: str, regions: str) -> dict[str, WrittenPart]:
        """End both files and tell what they are, under the names that they will have in the target."""
        self._write_rows()
        self._close()
        return {
            part: WrittenPart(name, path.stat().st_size, _sha256(path))
            for part, path, name in (("regions", self.regions, regions), ("masks", self.masks, masks))
        }

    def publish(self, folder: Folder, parts: Mapping[str, WrittenPart]) -> None:
        """Move both finished files to their names in the target.

        Raises:
            Unreachable: The target does not take them.
            OutputError: Its disk does not.
        """
        folder.upload(self.regions, parts["regions"].name)
        folder.upload(self.masks, parts["masks"].name)

    def _write_rows(self) -> None:
        if self._rows:
            self._parquet.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _close(self) -> None:
        self._tar.close()
        self._parquet.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_in(folder: Folder, name: str) -> tuple[int, str]:
    """Length and hash of a file of a target.

    Raises:
        FileNotFoundError: There is none.
    """
    hashed, size = hashlib.sha256(), 0
    with folder.open(name) as file:
        while piece := file.read(_HASH_PIECE_BYTES):
            hashed.update(piece)
            size += len(piece)
    return size, hashed.hexdigest()
