"""CVAT's `CVAT for images 1.1`: polygons, boxes and masks in one XML file."""

from __future__ import annotations

import functools
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser, parse

import numpy as np
from numpy.typing import NDArray

from automask.errors import InputError
from automask.importing.annotations import fill_polygon, match_by_name
from automask.importing.found import FoundMask, FoundMasks, Names, Shape


def read_cvat(source: Path, names: Names) -> FoundMasks:
    """An `annotations.xml`, or the folder that holds it; all labels count as unwanted."""
    path = source / "annotations.xml" if source.is_dir() else source
    try:
        # Entities are how XML files attack their readers; none of CVAT's has any.
        if b"<!ENTITY" in path.read_bytes():
            raise InputError(f"{path} declares entities.", advice="Export it again.")
        tree = parse(path, parser=XMLParser(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", advice="Check the path.") from error
    except ParseError as error:
        raise InputError(f"{path} is no XML: {error}.", advice="Choose another --format.") from error
    images = tree.getroot().findall("image")
    return match_by_name(
        names,
        {
            image.attrib["name"]: FoundMask(f"{path}: {image.attrib['name']}", functools.partial(_artefact, image))
            for image in images
        },
    )


def mask_element_text(artefact: NDArray[np.bool_]) -> str:
    """The `rle` attribute of an artefact that fills its box: row-major runs, the first of False pixels."""
    flat = artefact.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return ", ".join(map(str, ([0, *runs] if flat[0] else runs)))


def _artefact(image: Element, shape: Shape) -> NDArray[np.bool_]:
    own = (int(image.attrib["height"]), int(image.attrib["width"]))
    artefact = np.zeros(own, dtype=np.bool_)
    for one in image:
        if one.tag == "polygon":
            points = [tuple(float(v) for v in point.split(",")) for point in one.attrib["points"].split(";")]
            fill_polygon(artefact, [(x, y) for x, y in points])
        elif one.tag == "box":
            if float(one.attrib.get("rotation", 0)):
                raise ValueError("turned boxes are not read; draw a polygon")
            x0, y0, x1, y1 = (float(one.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
            fill_polygon(artefact, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif one.tag == "mask":
            left, top, width_px, height_px = (int(one.attrib[name]) for name in ("left", "top", "width", "height"))
            runs = np.array([int(run) for run in one.attrib["rle"].split(",")])
            flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
            if flat.size != width_px * height_px:
                raise ValueError("the run lengths of a mask do not fill its box")
            window = artefact[top : top + height_px, left : left + width_px]
            if window.shape != (height_px, width_px):
                raise ValueError("a mask lies outside of its image")
            window |= flat.reshape(height_px, width_px)
    return artefact
