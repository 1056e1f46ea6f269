"""From bytes to one upright RGB image: the only place that opens image files of users.

Pillow's plug-ins are called directly and not through `PIL.Image.open`: only the seven formats can be reached (no
plug-in that starts another program), and the limit on pixels is ours per call instead of Pillow's per process.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import stat
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile as PillowImageFile

from automask.dataset.codes import Refusal, Remark
from automask.dataset.complete import ends_early
from automask.dataset.exif import UPRIGHT, orientation_of
from automask.dataset.image_file import ImageFile
from automask.dataset.jpeg import MOST_MARKERS, MOST_SCANS, is_costly
from automask.dataset.names import printable_name, suffix_of
from automask.dataset.pixels import to_picture, upright
from automask.dataset.plugins import (
    draft,
    gif_size_px,
    layout_of,
    open_header,
    png_without_metadata,
    tiff_orientation_of,
    webp_size_px,
)
from automask.dataset.sniff import HEAD_BYTES, HEIC, SUFFIXES_OF, Format, Unknown, recognise
from automask.dataset.tiff import MOST_TAGS, tags_of
from automask.errors import ImageError
from automask.values.types import Image, Issue

_MAX_FILE_BYTES_PER_PIXEL = 16  # no still picture of the largest size needs more: four floating-point channels
_METADATA_BYTES = 256_000_000
_FIRST_TURNED = 5
"""EXIF orientations from here on swap width and height."""
_UNSUPPORTED_REASONS = frozenset(  # Pillow's words for a sound file that it cannot read
    ("unknown pixel mode", "image file could not be opened because AVIF support not installed")
)
_METADATA_LIMIT_REASONS = ("MAX_TEXT_CHUNK", "Too much memory used in text chunks")
_MEMORY_REASON = "out of memory"
"""Pillow's word where a library could not get memory."""
_TOO_LARGE_ADVICE = "Scale it down or raise decode.max_megapixels."


class DecodeSettings(Protocol):
    """What decoding asks of a configuration; `automask.config.DecodeConfig` has it.

    Only what it takes is named here, so that a process that decodes and does nothing else need not build the
    configuration, whose library takes longer to start than numpy and Pillow together.
    """

    @property
    def max_megapixels(self) -> float:
        """Larger images are refused before they are decoded."""
        ...

    @property
    def background(self) -> str:
        """Colour that transparent images are composited on, #rrggbb."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An image with what its file says about it.

    Attributes:
        image: Upright sRGB pixels, and alpha where anything is transparent.
        content_sha256: Hash of the file's bytes.
        orientation: EXIF orientation of the file, 1..8, already applied to `image`.
        format: png, jpeg, webp, avif, bmp, gif or tiff: what the content is.
        has_more_frames: The file holds further frames or pages; they are not counted, since a small file may have
            tens of thousands.
        issues: Warnings.
        reduced_by: Every square of so many pixels of the file is one pixel of `image`.
        size_px: Width and height of the upright picture before it was reduced.
    """

    image: Image
    content_sha256: str
    orientation: int
    format: str
    has_more_frames: bool
    issues: tuple[Issue, ...]
    reduced_by: int
    size_px: tuple[int, int]


def decode_bytes(data: bytes, *, image_id: str, config: DecodeSettings, most_px: int | None = None) -> Decoded:
    """Decode one image.

    Args:
        data: The bytes of the whole file.
        image_id: How messages and the result call it.
        config: Limit on pixels, and the background of transparent images.
        most_px: Reduce an image with more pixels by a whole number until it has no more; None = never.

    Raises:
        ImageError: It cannot be used; the code is a `Refusal`.
    """
    if not data:
        raise _refused(image_id, Refusal.EMPTY, "is empty", "Restore or remove the file.")
    content = _recognised(data[:HEAD_BYTES], image_id)
    try:
        return _decode(data, content, image_id=image_id, config=config, most_px=most_px)
    except ImageError:
        raise
    except MemoryError as error:
        raise _out_of_memory(image_id) from error
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise _refused(
            image_id,
            Refusal.TOO_LARGE,
            "has more pixels than Pillow decodes in this format",
            "Scale it down or convert it to PNG.",
        ) from error
    except Exception as error:  # Pillow's plug-ins raise a dozen unrelated types on damaged files
        if content is Format.PNG and any(words in str(error) for words in _METADATA_LIMIT_REASONS):
            decoded = decode_bytes(png_without_metadata(data), image_id=image_id, config=config, most_px=most_px)
            return dataclasses.replace(decoded, content_sha256=hashlib.sha256(data).hexdigest())
        if _MEMORY_REASON in str(error):
            raise _out_of_memory(image_id) from error
        raise _damaged(data, content, image_id, error) from error


class DecodingStopped(Exception):
    """Whoever asked for an image is told to stop, and it was not decoded yet. It says nothing about the image."""


class DecodeData(Protocol):
    """Decodes the bytes of a file as `decode_bytes` does: here, or where bounds can end it."""

    def __call__(self, data: bytes, *, image_id: str, config: DecodeSettings) -> Decoded:
        """See `decode_bytes`. One that may wait for long raises `DecodingStopped` when it is told to stop."""
        ...


def decode(file: ImageFile, config: DecodeSettings, *, decode_data: DecodeData = decode_bytes) -> Decoded:
    """Read and decode one file of a dataset.

    Raises:
        ImageError: It cannot be used; the code is a `Refusal`.
    """
    decoded = decode_data(read_file(file, config), image_id=file.id, config=config)
    decoded = with_name_judged(decoded, name=file.path.name, mask_name=file.mask_name)
    return dataclasses.replace(decoded, image=dataclasses.replace(decoded.image, path=file.path))


def with_name_judged(decoded: Decoded, *, name: str, mask_name: str) -> Decoded:
    """The same with warnings about the name of the file that the bytes are of, which has no folder in it."""
    issues = _issues_of_name(name, mask_name, Format(decoded.format))
    return dataclasses.replace(decoded, issues=(*decoded.issues, *issues))


def size_px(data: bytes, *, image_id: str, config: DecodeSettings) -> tuple[int, int]:
    """Width and height of an image as its file says, before it is turned upright and without decoding it.

    Raises:
        ImageError: It cannot be used, as far as its first bytes tell.
    """
    if not data:
        raise _refused(image_id, Refusal.EMPTY, "is empty", "Restore or remove the file.")
    content = _recognised(data[:HEAD_BYTES], image_id)
    try:
        return _opened(data, content, image_id=image_id, config=config).size
    except ImageError:
        raise
    except Exception as error:  # Pillow's plug-ins raise a dozen unrelated types on damaged files
        if content is Format.PNG and any(words in str(error) for words in _METADATA_LIMIT_REASONS):
            return size_px(png_without_metadata(data), image_id=image_id, config=config)
        raise _damaged(data, content, image_id, error) from error


def _opened(data: bytes, content: Format, *, image_id: str, config: DecodeSettings) -> PillowImageFile.ImageFile:
    """A file of which nothing is decoded yet, and whose size and structure are within bounds."""
    if content is Format.GIF:
        _check_gif_size(data, image_id, config)
    if content is Format.WEBP:
        _check_size(webp_size_px(data), image_id, config)
    if content is Format.JPEG and is_costly(data):
        raise _refused(
            image_id,
            Refusal.TOO_COSTLY,
            f"has more than {MOST_SCANS} scans or {MOST_MARKERS} markers, each of which costs as much as an image",
            "Save it anew with an image editor.",
        )
    if content is Format.TIFF and tags_of(data) > MOST_TAGS:
        raise _refused(
            image_id,
            Refusal.TOO_COSTLY,
            f"has more than {MOST_TAGS} tags, each of which may be as long as the file",
            "Save it anew with an image editor.",
        )
    source = open_header(data, content)
    _check_size(source.size, image_id, config)
    return source


def _decode(data: bytes, content: Format, *, image_id: str, config: DecodeSettings, most_px: int | None) -> Decoded:
    source = _opened(data, content, image_id=image_id, config=config)
    layout = layout_of(source)
    tiff_orientation = tiff_orientation_of(source)
    whole_px = source.size
    reduce_by = _reduction(whole_px, most_px)
    drafted_by = draft(source, reduce_by)
    source.load()
    if content in (Format.JPEG, Format.PNG) and ends_early(data, content):
        # Where a crash left zeros instead of the rest, both decoders fill in something and say nothing.
        raise EOFError("the end of the picture is missing")
    issues: list[Issue] = []
    orientation = UPRIGHT if tiff_orientation is not None else _orientation_of(source, issues)
    reduced = to_picture(source, layout, background=config.background, reduce_by=reduce_by // drafted_by)
    picture = upright(reduced, orientation)
    issues += picture.issues
    more = _has_more_frames(source)
    if more:
        parts = "pages" if content is Format.TIFF else "frames"
        issues.append(_warning(Remark.ANIMATED, f"The file holds several {parts}; the mask is that of the first one."))
    alpha = None if picture.alpha is None else np.array(picture.alpha)
    return Decoded(
        image=Image(id=image_id, pixels=np.array(picture.colour), alpha=alpha),
        content_sha256=hashlib.sha256(data).hexdigest(),
        orientation=tiff_orientation or orientation,
        format=content.value,
        has_more_frames=more,
        issues=tuple(issues),
        reduced_by=reduce_by,
        size_px=whole_px[::-1] if (tiff_orientation or orientation) >= _FIRST_TURNED else whole_px,
    )


def _reduction(size_px: tuple[int, int], most_px: int | None) -> int:
    """The smallest whole number by which a picture has to be reduced to have at most so many pixels."""
    by = 1
    while most_px is not None and math.ceil(size_px[0] / by) * math.ceil(size_px[1] / by) > most_px:
        by += 1
    return by


def largest_file_bytes(config: DecodeSettings) -> int:
    """Length of a file above which it is no picture that the limit on pixels allows."""
    return int(config.max_megapixels * 1e6 * _MAX_FILE_BYTES_PER_PIXEL + _METADATA_BYTES)


def read_file(file: ImageFile, config: DecodeSettings) -> bytes:
    """The bytes of a file, if its first ones are those of an image.

    Raises:
        ImageError: They are not, or it cannot be read.
    """
    try:
        status = file.path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise _refused(file.id, Refusal.NOT_A_FILE, "is not a file", "Remove it from the list.")
        if status.st_size > largest_file_bytes(config):
            raise too_large(file.id, status.st_size)
        with file.path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            if head:
                _recognised(head, file.id)
            return head + stream.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _refused(file.id, Refusal.MISSING, "does not exist", "Restore the file or correct the list.") from error
    except MemoryError as error:
        raise _refused(file.id, Refusal.OUT_OF_MEMORY, "does not fit into memory", _TOO_LARGE_ADVICE) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in a path from a list
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(
            file.id, Refusal.UNREADABLE, f"cannot be read: {reason}", "Check the permissions and the disk."
        ) from error


def too_large(image_id: str, size_bytes: int) -> ImageError:
    """The refusal of a file that is longer than `largest_file_bytes`."""
    return _refused(image_id, Refusal.TOO_LARGE, f"is a file of {size_bytes / 1e9:.1f} GB", _TOO_LARGE_ADVICE)


def _recognised(head: bytes, image_id: str) -> Format:
    content = recognise(head)
    if isinstance(content, Unknown):
        advice = content.advice
        if content is HEIC:
            advice = f"{advice.removesuffix('.')}, or install the extra `heif`."
        raise _refused(image_id, Refusal.UNSUPPORTED, f"is {content.looks_like}", advice)
    return content


def _check_size(size_px: tuple[int, int], image_id: str, config: DecodeSettings) -> None:
    megapixels = size_px[0] * size_px[1] / 1e6
    if megapixels > config.max_megapixels:
        raise _refused(
            image_id,
            Refusal.TOO_LARGE,
            f"has {size_px[0]} x {size_px[1]} pixels, {megapixels:.0f} megapixels, and the limit is "
            f"{config.max_megapixels:g}",
            _TOO_LARGE_ADVICE,
        )


def _check_gif_size(data: bytes, image_id: str, config: DecodeSettings) -> None:
    """Check a GIF before Pillow does: its own check warns on stderr, and cannot be told to be quiet in one thread."""
    size_px = gif_size_px(data)
    _check_size(size_px, image_id, config)
    if PillowImage.MAX_IMAGE_PIXELS is not None and size_px[0] * size_px[1] > PillowImage.MAX_IMAGE_PIXELS:
        raise PillowImage.DecompressionBombError(f"{size_px[0]} x {size_px[1]} pixels")


def _orientation_of(source: PillowImageFile.ImageFile, issues: list[Issue]) -> int:
    try:
        return orientation_of(source.info)
    except ValueError as error:
        message = f"The EXIF data is damaged ({error}); the image was taken as upright."
        issues.append(_warning(Remark.EXIF_IGNORED, message))
        return UPRIGHT


def _has_more_frames(source: PillowImageFile.ImageFile) -> bool:
    """Whether there is a second frame or page. `n_frames` would read the headers of all."""
    try:
        return bool(getattr(source, "is_animated", False))
    except Exception:  # the first frame is good, and a later one is not wanted
        return False


def _issues_of_name(name: str, mask_name: str, content: Format) -> list[Issue]:
    issues = []
    suffix = suffix_of(name)
    if suffix not in SUFFIXES_OF[content]:
        issues.append(
            _warning(
                Remark.WRONG_EXTENSION,
                f"The content is {content.upper()} but the name ends in {suffix or 'nothing'!r}; rename it to "
                f"*{SUFFIXES_OF[content][0]}, since some trainers go by the name.",
            )
        )
    if printable_name(name) != name:
        issues.append(
            _warning(
                Remark.NAME_ESCAPED,
                f"The file's name is not valid Unicode, so its mask is called {mask_name!r}; rename the file.",
            )
        )
    return issues


def _damaged(data: bytes, content: Format, image_id: str, error: Exception) -> ImageError:
    reason = str(error) or type(error).__name__
    if ends_early(data, content) or "truncated" in reason.lower():
        return _refused(
            image_id, Refusal.TRUNCATED, f"ends before the picture does ({reason})", "Download or copy the file again."
        )
    if reason in _UNSUPPORTED_REASONS:
        return _refused(
            image_id,
            Refusal.UNSUPPORTED,
            f"is {content.upper()} of a kind that the decoder does not know ({reason})",
            "Save it as PNG or JPEG with 8 or 16 bits.",
        )
    return _refused(
        image_id,
        Refusal.CORRUPT,
        f"cannot be decoded as {content.upper()} ({reason})",
        "Download the file again, or save it anew with an image editor.",
    )


def _out_of_memory(image_id: str) -> ImageError:
    advice = "Scale it down or lower prefetch."
    return _refused(image_id, Refusal.OUT_OF_MEMORY, "needs more memory than there is", advice)


def _refused(image_id: str, code: Refusal, what: str, advice: str) -> ImageError:
    return ImageError(f"{image_id} {what}.", advice=advice, code=code.value)


def _warning(code: Remark, message: str) -> Issue:
    return Issue(stage="decode", code=code.value, message=message)
