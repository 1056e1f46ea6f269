"""Parquet files of images: a column of bytes, of the structs that the Hugging Face Hub has, or of paths."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from automask.dataset.codes import Refusal
from automask.dataset.decode import too_large
from automask.dataset.names import is_image_name, printable_name, stem_of
from automask.dataset.shards.groups import GroupBy
from automask.dataset.shards.samples import (
    Listed,
    Sample,
    Shard,
    ShardDamaged,
    SourceKind,
    path_in,
    reader,
    shard_name,
    tag_in,
    tag_of,
)
from automask.errors import ImageError, InputError, PluginError
from automask.files.folders import FileEntry, Folder, Unreachable

PARQUET_SUFFIXES = (".parquet", ".pq")
IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "img", "data")
PATH_COLUMNS = ("image", "image_path", "path", "file_name", "filename", "filepath", "file")
"""Where paths of images may be, where no column has their bytes; relative to the Parquet file."""
KEY_COLUMNS = ("__key__", "key", "image_id", "id", "filename", "file_name")
_ROWS_AT_ONCE = 8
"""Rows in memory: of the largest images a few hundred MB."""
_ROW_DIGITS = 9
_NO_FILE = (errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
"""Errors of a disk that are the fault of a path and not of the disk."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A set of Parquet files with an image in each row.

    Attributes:
        folder: Where they are.
        files: Which, sorted by name; of size 0 those that are named and not there.
        label: How messages call the set.
        by: What groups its images, or None.
    """

    folder: Folder
    files: Sequence[FileEntry]
    label: str
    by: GroupBy | None = None
    kind: ClassVar[SourceKind] = "parquet"

    def grouped(self, by: GroupBy | None) -> Self:
        """See `ShardSource`."""
        return dataclasses.replace(self, by=by)

    def shards(
        self, shard_images: int, *, on_progress: Callable[[int], None]
    ) -> Iterator[tuple[Shard, Sequence[Listed] | None]]:
        """See `ShardSource`. A file is one shard, or several of whole row groups where it has more rows than asked."""
        for seen, entry in enumerate(self.files, start=1):
            name, tag = entry.name, tag_of(entry)
            try:
                with opened(self.folder, name) as file:
                    rows = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            except ShardDamaged:  # its shard says why
                rows = []
            parts = _parts(rows, shard_images)
            for number, (first, past) in enumerate(parts):
                ending = f"-{number:04d}" if len(parts) > 1 else ""
                images = sum(rows[first:past])
                yield Shard(shard_name(name) + ending, images, file=name, tag=tag, row_groups=(first, past)), None
            if not parts:
                yield Shard(shard_name(name), file=name, tag=tag), None
            on_progress(seen)

    def tag(self, shard: Shard) -> str:
        """See `ShardSource`."""
        return tag_in(self.folder, shard.file)

    def samples(self, shard: Shard, listed: Sequence[Listed] | None, *, most_bytes: int) -> Iterator[Sample]:
        """See `ShardSource`."""
        with opened(self.folder, shard.file) as file:
            image_column, key_column = _columns(file.schema_arrow, shard.file)
            first, past = shard.row_groups or (0, file.metadata.num_row_groups)
            prefix = shard_name(shard.file).replace(".", "_")  # a WebDataset key ends at the first dot
            row = sum(file.metadata.row_group(group).num_rows for group in range(first))
            told_by = self.by.column_in(file.schema_arrow.names) if self.by is not None else None
            columns = list(dict.fromkeys(filter(None, (image_column, key_column, told_by))))
            batches = file.iter_batches(_ROWS_AT_ONCE, row_groups=list(range(first, past)), columns=columns)
            for batch in batches:
                for values in batch.to_pylist():
                    number = f"{prefix}-{row:0{_ROW_DIGITS}d}"
                    sample = self._sample(shard.file, values, image_column, key_column, number, most_bytes)
                    yield dataclasses.replace(sample, group=self._group(sample, shard, values.get(told_by)))
                    row += 1

    def _sample(
        self,
        file: str,
        values: dict[str, Any],
        image_column: str,
        key_column: str | None,
        number: str,
        most_bytes: int,
    ) -> Sample:
        value = values[image_column]
        path = value.get("path") if isinstance(value, dict) else value if isinstance(value, str) else None
        data: bytes | None = value.get("bytes") if isinstance(value, dict) else None if path is not None else value
        image = _safe_key(path, keep_suffix=True) if isinstance(path, str) and path else ""
        given = values.get(key_column) if key_column is not None else None
        key = _safe_key(str(given)) if given is not None else ""
        key = key or number
        image = image or key
        if data is None and path:
            return Sample(key, image, f"{key}.png", self._referenced(file, str(path), image, most_bytes))

        def read() -> bytes:
            if data is None:
                raise ImageError(f"{image} has no bytes.", advice="Fill its row.", code=Refusal.EMPTY.value)
            if len(data) > most_bytes:
                raise too_large(image, len(data))
            return data

        return Sample(key, image, f"{key}.png", read)

    def _referenced(self, file: str, path: str, image: str, most_bytes: int) -> Callable[[], bytes]:
        """Reads an image that is a file of its own, relative to the Parquet file and within the source.

        Raises:
            ShardDamaged: It is an address, and so will be the others.
        """
        if _SCHEME.match(path):
            raise ShardDamaged(
                f"{file} holds addresses of images: download them with img2dataset, or write paths relative to it.",
                advice="Then run the same command again.",
                code="shard-columns",
            )
        name = posixpath.normpath(posixpath.join(posixpath.dirname(file), path.replace("\\", "/")))

        def read() -> bytes:
            if name.startswith(("/", "../")) or name in ("", ".", "..") or "\0" in name:
                raise _no_file(image)
            try:
                data = reader(self.folder, name, image, most_bytes=most_bytes + 1)()
            except Unreachable as error:
                if getattr(error.__cause__, "errno", None) in _NO_FILE:
                    raise _no_file(image) from None
                raise
            if len(data) > most_bytes:
                raise too_large(image, len(data))
            return data

        return read

    def _group(self, sample: Sample, shard: Shard, value: object) -> str:
        if self.by is None:
            return ""
        return self.by.of_path(path_in(shard, sample.key)) or self.by.of_value(value)


@contextlib.contextmanager
def opened(folder: Folder, name: str) -> Iterator[Any]:
    """A Parquet file that is read in parts.

    Raises:
        ShardDamaged: It is none, or there is none.
        PluginError: pyarrow is not installed.
    """
    _, parquet = pyarrow_modules()
    try:
        file = folder.open(name)
    except (FileNotFoundError, PermissionError) as error:
        raise ShardDamaged(
            f"{name} is not there or may not be read.", advice="Restore it.", code="shard-missing"
        ) from error
    with file, _damage_told(name), parquet.ParquetFile(file) as reader:
        yield reader


@contextlib.contextmanager
def _damage_told(name: str) -> Iterator[None]:
    """Tell damage from a file system that fails: pyarrow has its own errors, `ValueError`, `OSError` without number."""
    arrow, _ = pyarrow_modules()
    try:
        yield
    except (Unreachable, PermissionError, FileNotFoundError):
        raise
    except (arrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ShardDamaged(
            f"{name} is no whole Parquet file: {' '.join(str(error).split())}.",
            advice="Copy or download it again.",
            code="shard-damaged",
        ) from error


def column_by_key(folder: Folder, name: str, by: GroupBy) -> dict[str, object]:
    """Values of the column that tells groups, by the key of an image; empty where the file has none or is damaged."""
    try:
        with opened(folder, name) as file:
            names = file.schema_arrow.names
            column = by.column_in(names)
            if column is None or "key" not in names:
                return {}
            table = file.read(columns=list(dict.fromkeys(("key", column))))
    except ShardDamaged:
        return {}
    return dict(zip(map(str, table.column("key").to_pylist()), table.column(column).to_pylist(), strict=True))


def count_where(folder: Folder, name: str, column: str, value: str) -> int | None:
    """Rows of a Parquet file with a value in a column, or None where it cannot be told."""
    try:
        with opened(folder, name) as file:
            if column not in file.schema_arrow.names:
                return None
            table = file.read(columns=[column])
    except ShardDamaged:
        return None
    return sum(1 for one in table.column(column).to_pylist() if one == value)


def pyarrow_modules() -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`.

    Raises:
        PluginError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PluginError(
            "Sharded runs need pyarrow, which is not installed.", advice="Install the extra `scale`."
        ) from error
    return pyarrow, pyarrow.parquet


def _parts(rows: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Runs of row groups with about so many rows, at least one group each."""
    parts: list[tuple[int, int]] = []
    first, held = 0, 0
    for group, count in enumerate(rows):
        if held and held + count > most:
            parts.append((first, group))
            first, held = group, 0
        held += count
    if held:
        parts.append((first, len(rows)))
    return parts


def _no_file(image: str) -> ImageError:
    return ImageError(
        f"{image} is no file below the folder of the source.",
        advice="Write paths relative to the Parquet file.",
        code=Refusal.NOT_A_FILE.value,
    )


def _columns(schema: Any, name: str) -> tuple[str, str | None]:  # noqa: ANN401
    names = {one.lower(): one for one in schema.names}
    image = next(
        (names[one] for one in IMAGE_COLUMNS if one in names and _holds_bytes(schema.field(names[one]).type)), None
    )
    if image is None:
        image = next(
            (names[one] for one in PATH_COLUMNS if one in names and _is_text(schema.field(names[one]).type)), None
        )
    if image is None:
        raise ShardDamaged(
            f"{name} has no column of image bytes or paths; its columns are {', '.join(schema.names)}.",
            advice=f"Call one of bytes {', '.join(IMAGE_COLUMNS)}, or one of paths {', '.join(PATH_COLUMNS)}.",
            code="shard-columns",
        )
    return image, next((names[one] for one in KEY_COLUMNS if one in names and names[one] != image), None)


def _holds_bytes(kind: Any) -> bool:  # noqa: ANN401
    arrow, _ = pyarrow_modules()
    if arrow.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    arrow, _ = pyarrow_modules()
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _safe_key(text: str, *, keep_suffix: bool = False) -> str:
    """A relative path without what would lead out of a folder, and for keys without the extension of an image."""
    parts = [part for part in printable_name(text).replace("\\", "/").split("/") if part not in ("", ".", "..")]
    joined = "/".join(parts)
    return joined if keep_suffix or not parts or not is_image_name(parts[-1]) else stem_of(joined)


def no_images(label: str) -> InputError:
    """The refusal of a source without anything to work on."""
    if label.rstrip("/").lower().endswith(".lance"):
        return InputError(
            f"{label} is a Lance dataset, which is not read.",
            advice="Write Parquet files from it: docs/scale.md has the four lines.",
            code="input-empty",
        )
    return InputError(
        f"There is no image, tar or Parquet file in {label}.",
        advice="Give a folder of images, tars like 'FOLDER/*.tar', or Parquet files like 'FOLDER/*.parquet'.",
        code="input-empty",
    )
