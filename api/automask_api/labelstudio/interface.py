"""Label Studio's labelling configurations: which tag takes our regions, and under which labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from automask.errors import ConfigError
from automask.values.types import Kind

_MOST_CHARACTERS = 1_000_000
_SYNONYMS = {
    Kind.TEXT: {"text", "lettering", "letters", "words", "caption", "signature"},
    Kind.FRAME: {"frame", "border", "borders", "edge", "margin"},
    Kind.WATERMARK: {"watermark", "watermarks", "logo", "logos", "stamp"},
    Kind.OVERLAY: {"overlay", "overlays"},
    Kind.CUSTOM: {"custom", "other", "unwanted", "mask", "ignore", "artefact", "artifact"},
    Kind.GROUND: {"ground", "background", "backdrop"},
}

Shape = Literal["brushlabels", "polygonlabels", "rectanglelabels"]
_TAGS: dict[str, Shape] = {
    "BrushLabels": "brushlabels",
    "PolygonLabels": "polygonlabels",
    "RectangleLabels": "rectanglelabels",
}
"""The most exact first: a brush keeps every pixel, polygons keep no holes, rectangles only the extent."""


@dataclass(frozen=True, slots=True)
class Control:
    """The tag that our regions are results of.

    Attributes:
        shape: What it draws.
        from_name: Its name.
        to_name: The name of its image.
        image_field: Where a task's data has the address of the image.
        labels: The label of each kind; kinds without one are left out.
    """

    shape: Shape
    from_name: str
    to_name: str
    image_field: str
    labels: Mapping[Kind, str]


def control_of(labelling_config: str) -> Control:
    """The tag of a labelling configuration that suits us best.

    A label is for the kinds that its `predicted_values` names, else for the one that its value or alias names. A label
    that is alone, or one like `other`, is for all kinds without their own.

    Raises:
        ConfigError: It is no labelling configuration, or has no tag and label that we could use.
    """
    root = _parsed(labelling_config)
    images = {
        element.get("name"): element.get("value", "").removeprefix("$")
        for element in root.iter("Image")
        if element.get("value", "").startswith("$")
    }
    for tag, shape in _TAGS.items():
        for element in root.iter(tag):
            name, image = element.get("name"), element.get("toName")
            labels = _labels(element)
            if name and image in images and labels:
                return Control(shape, name, str(image), images[image], labels)
    kinds = ", ".join(kind.value for kind in Kind)
    raise ConfigError(
        "The labelling configuration has no tag that takes what automask finds.",
        advice=f"Give it BrushLabels, PolygonLabels or RectangleLabels of an Image, with labels such as: {kinds}.",
        code="label-config-unusable",
    )


def _parsed(text: str) -> ElementTree.Element:
    if len(text) > _MOST_CHARACTERS or "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise _no_config("it is longer than any, or defines entities")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise _no_config(str(error)) from error


def _no_config(reason: str) -> ConfigError:
    return ConfigError(
        f"The labelling configuration cannot be read: {reason}.",
        advice="Send the one of the project's settings.",
        code="label-config-unusable",
    )


def _labels(control: ElementTree.Element) -> dict[Kind, str]:
    found: dict[Kind, str] = {}
    rest: str | None = None
    labels = [label for label in control.iter("Label") if label.get("value")]
    for label in labels:
        written = label.get("alias") or label.get("value") or ""
        named = _kinds_of(label)
        for kind in named:
            found.setdefault(kind, written)
        if Kind.CUSTOM in named or len(labels) == 1:
            rest = rest or written
    if rest is not None:
        for kind in Kind:
            found.setdefault(kind, rest)
    return found


def _kinds_of(label: ElementTree.Element) -> set[Kind]:
    predicted = label.get("predicted_values")
    words = predicted.split(",") if predicted else [label.get("value", ""), label.get("alias", "")]
    given = {word.strip().lower() for word in words}
    if predicted:
        return {kind for kind in Kind if kind.value in given}
    return {kind for kind in Kind if given & _SYNONYMS.get(kind, {kind.value})}
