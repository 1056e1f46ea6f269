"""What a user's classes are called here."""

from __future__ import annotations

from collections.abc import Mapping

from automask.errors import ConfigError, InputError
from automask.values.types import Kind
from automask_training.own.images import IGNORED
from automask_training.synth.types import KIND_OF_LABEL

_OTHER_NAMES = {
    "text": "text_line",
    "caption": "text_line",
    "subtitle": "text_line",
    "frame": "border",
    "watermark": "corner",
    "mark": "corner",
    "overlay": "corner",
    "custom": "corner",
    "stamp": "corner",
    "date": "timestamp",
    "datestamp": "timestamp",
}
WORDS = (IGNORED, *sorted({*KIND_OF_LABEL, *_OTHER_NAMES}))
"""Every name that a class may have or be given."""

LABEL_OF_KIND = {
    Kind.TEXT: "text_line",
    Kind.FRAME: "border",
    Kind.WATERMARK: "corner",
    Kind.OVERLAY: "corner",
    Kind.CUSTOM: "corner",
    Kind.GROUND: IGNORED,  # neither network learns it: one that was masked is for nobody to say
}
"""The label of a region that carries no finer one."""


def known_label(name: str) -> str | None:
    """The label (a key of `KIND_OF_LABEL`, or `ignore`) of a word, in any case and number; None for an unknown word."""
    word = name.strip().lower().replace("-", "_").replace(" ", "_")
    for candidate in (word, word.removesuffix("s")):
        if candidate == IGNORED or candidate in KIND_OF_LABEL:
            return candidate
        if candidate in _OTHER_NAMES:
            return _OTHER_NAMES[candidate]
    return None


def labels_of_classes(names: Mapping[int, str], overrides: Mapping[str, str], *, where: str) -> dict[int, str]:
    """Labels of a data set's classes by number; ignored ones are left out.

    Args:
        names: The data set's class names by number.
        overrides: Words for class names, from `--class NAME=WORD`.
        where: The file that names the classes, for messages.

    Raises:
        InputError: A class has a name that says nothing, and no override.
        ConfigError: An override uses a word that is not known.
    """
    labels: dict[int, str] = {}
    strange: list[str] = []
    for number, name in names.items():
        label = known_label(overrides.get(name, name))
        if label is None and name in overrides:
            raise ConfigError(f"--class {name}={overrides[name]}: unknown word.", advice=f"One of: {', '.join(WORDS)}.")
        if label is None:
            strange.append(name)
        elif label != IGNORED:
            labels[number] = label
    if strange:
        raise InputError(
            f"{where} has classes whose names say nothing here: {', '.join(strange)}.",
            advice=f"Say what each is, e.g. --class {strange[0]!r}=watermark, or =ignore. "
            "Words: text, frame, watermark, logo, signature, timestamp and others.",
        )
    return labels
