"""Every code that the dataset layer gives out: why a path was left out, why an image was refused, what to know of it.

The values are part of the public interface; docs/errors.md lists them.
"""

from __future__ import annotations

import enum


class SkipReason(enum.StrEnum):
    """Why a path under the dataset's root is not an image of the dataset. None of them is an error."""

    HIDDEN = "hidden"
    """A file or folder whose name starts with a dot."""
    SYSTEM_FOLDER = "system-folder"
    """A folder that an operating system or a file server made for itself, such as `__MACOSX`."""
    MASK_SIDECAR = "mask-sidecar"
    """A mask of a trainer beside its image: `*-masklabel.png`, `*-condlabel.png`, `*_wmask.png`, `*.mask`."""
    OWN_OUTPUT = "own-output"
    """The output of this run, or a folder that holds an automask store."""
    NOT_AN_IMAGE = "not-an-image"
    """A file without the extension of a supported format, such as a caption."""
    UNREAD_IMAGE = "unread-image"
    """An image that we do not read: of a format without a decoder, or with a name that does not say what it is."""
    NOT_A_FILE = "not-a-file"
    """A socket, a named pipe or a device."""
    BROKEN_LINK = "broken-link"
    """A symbolic link to nothing, or to itself."""
    ALREADY_WALKED = "already-walked"
    """A symbolic link to a folder whose images are part of the dataset by another path."""
    UNREADABLE_FOLDER = "unreadable-folder"
    """A folder that this user may not list."""
    UNREADABLE = "unreadable"
    """A file whose size and time this user may not ask for."""
    VANISHED = "vanished"
    """A file or folder that went away between being listed and being looked at."""
    NAME_COLLISION = "name-collision"
    """A file whose name, made printable, is the name of another file."""
    DUPLICATE = "duplicate"
    """A file that the image list names twice."""
    NOT_ASKED_FOR = "not-asked-for"
    """A file that the job's pattern leaves out."""
    OUTSIDE_ROOT = "outside-root"
    """A file or link that leads out of the folders that the server may read."""


class Refusal(enum.StrEnum):
    """Why an image has no pixels: the code of an `ImageError`."""

    MISSING = "image-missing"
    """There is no such file (any more)."""
    UNREADABLE = "image-unreadable"
    """The file cannot be read: permission, disk or network."""
    NOT_A_FILE = "image-not-a-file"
    """The path is a folder, a pipe or a device."""
    EMPTY = "image-empty"
    """The file has no bytes."""
    UNSUPPORTED = "image-unsupported"
    """The content is not one of the supported formats, whatever the name says."""
    TOO_LARGE = "image-too-large"
    """More pixels than `decode.max_megapixels`; it was not decoded."""
    TRUNCATED = "image-truncated"
    """The file ends before the picture does."""
    CORRUPT = "image-corrupt"
    """The file is damaged, or uses a part of its format that the decoder does not know."""
    OUT_OF_MEMORY = "image-out-of-memory"
    """Decoding it needs more memory than there is, or than a server gives one image."""
    TOO_COSTLY = "image-too-costly"
    """Decoding it takes a bomb's time: a JPEG of hundreds of scans, or longer than a server gives one image."""


class Remark(enum.StrEnum):
    """What a person should know about an image that was decoded: the code of a warning `Issue`."""

    WRONG_EXTENSION = "wrong-extension"
    """The content is another format than the name says. The content decided."""
    ANIMATED = "animated-first-frame"
    """The file holds several frames or pages; the first one was taken."""
    ICC_IGNORED = "icc-ignored"
    """The embedded colour profile is damaged or does not fit the pixels; colours were taken as sRGB."""
    EXIF_IGNORED = "exif-ignored"
    """The EXIF data is damaged; the image was taken as upright."""
    RANGE_GUESSED = "range-guessed"
    """Wide or floating-point values without a stated range were stretched from their lowest to their highest."""
    NAME_ESCAPED = "name-not-unicode"
    """The file's name is not valid Unicode; the mask's name has the wrong bytes written as `%hex`."""
    REDUCED = "analysed-reduced"
    """A server analysed a very large image at a fraction of its size; its mask is of the full size."""
    UNREAD_IMAGES = "unread-images"
    """Images in the folder that get no mask, because we do not read their format or their name is not an image's."""
    MASKS_AMONG_IMAGES = "masks-among-images"
    """Files between the images that are masks of other images by their names."""
    MIRRORED_FOLDER = "mirrored-folder"
    """A folder repeats the file names of its neighbour: perhaps it holds masks or control images."""
