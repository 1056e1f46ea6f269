"""Stores to import into, exports that come back touched or not, and what must not have changed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from export_cases import export, make_store
from fakes import red_on_grey
from PIL import Image

from automask.errors import AutomaskError
from automask.importing.planning import ImportOptions, ImportSummary
from automask.importing.run import import_masks
from automask.mask.rendering import CorrectionLayers
from automask.store import Store
from automask.trainers.conventions import TRAINERS, Place
from automask.values.types import Kind

SIZE_PX = (96, 64)
NAMES = ["a.png", "b.jpg", "sub/c.png", "turned.jpg"]
CORRECTED = "sub/c.png"
_ORIENTATION_TAG = 0x0112
_ORIENTATION = 3  # upside down: the size does not tell


def make_import_store(folder: Path) -> Path:
    """Four images with something on each, one stored upside down, and one that a person corrected."""
    for seed, name in enumerate(NAMES):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(red_on_grey(*SIZE_PX, box=(16 + 8 * seed, 16, 48, 32), seed=seed))
        exif = picture.getexif()
        if name == "turned.jpg":
            exif[_ORIENTATION_TAG] = _ORIENTATION
        picture.save(path, quality=100, subsampling=0, exif=exif)
    root = make_store(folder / "images")
    with Store.open(root) as store:
        add = np.zeros((SIZE_PX[1], SIZE_PX[0]), dtype=np.bool_)
        add[40:50, 60:80] = True
        content = store.lookup(CORRECTED).content_sha256
        layers = CorrectionLayers(add=add, kinds={"ink 32,16,48,32": Kind.WATERMARK})
        store.put_correction(content, layers, author="ann", tool="review", based_on=None)
    return root


def run(store: Path, source: Path, format_: str = "masks", **options: object) -> ImportSummary:
    """`automask import`, as a function."""
    return import_masks(store, source, ImportOptions(format=format_, **options))


def levels_of(root: Path, image_id: str) -> np.ndarray:
    """The mask file of an image."""
    with Store.open(root, read_only=True) as store:
        return np.asarray(Image.open(store.mask_path(store.lookup(image_id).mask_name)))


def added(root: Path, image_id: str) -> np.ndarray:
    """What the newest correction adds."""
    with Store.open(root, read_only=True) as store:
        return store.correction(store.lookup(image_id).content_sha256).layers.add


def state_of(root: Path) -> dict[str, object]:
    """All that an import must leave alone: rows, mask files, corrections, counts."""
    with Store.open(root, read_only=True) as store:
        found: dict[str, object] = {}
        for row in store.images():
            facts = dataclasses.asdict(row)
            history = [(one.revision, one.author) for one in store.correction_history(row.content_sha256)]
            found[row.image_id] = (facts, store.mask_path(row.mask_name).read_bytes(), history)
        return {**found, "counts": store.counts()}


def masked_nothing(root: Path) -> list[str]:
    """Ids of images whose mask masks nothing."""
    with Store.open(root, read_only=True) as store:
        return [row.image_id for row in store.images() if not row.masked_share]


Touch = Callable[[Path, str, tuple[int, int, int, int]], None]


@dataclasses.dataclass(frozen=True)
class Round:
    """A format that is exported and imported: where its files are, and how somebody adds a rectangle to one image."""

    exporter: str
    format: str
    source: str
    touch: Touch


def export_round(root: Path, case: Round, folder: Path, **options: object) -> Path:
    """Export, and what to give to the import."""
    options.setdefault("images", "copy")
    if case.exporter in ("grey", "invoke", "rgba", "kohya-alpha"):
        options["images"] = None
    shutil.rmtree(folder, ignore_errors=True)
    export(root, case.exporter, output=folder, **options)
    return folder / case.source


def _touch_mask(folder: Path, image_id: str, box: tuple[int, int, int, int]) -> None:
    stem = Path(image_id).stem
    path = next(p for p in sorted(folder.rglob(f"{stem}*")) if _is_mask(p, folder))
    with Image.open(path) as picture:
        pixels = np.asarray(picture).copy()
    x0, y0, x1, y1 = box
    assert pixels[y0:y1, x0:x1].any(), "all of the box is masked already: nobody touches anything"
    pixels[y0:y1, x0:x1, ...] = 0
    Image.fromarray(pixels).save(path, "PNG")


def _is_mask(path: Path, folder: Path) -> bool:
    beside = any(folder.rglob("*-masklabel.png")) or any(folder.rglob("*_wmask.png")) or any(folder.rglob("*.mask"))
    return not beside or path.name.endswith(("-masklabel.png", "_wmask.png", ".mask"))


def _touch_coco(path: Path, image_id: str, box: tuple[int, int, int, int]) -> None:
    content = json.loads(path.read_text())
    image = next(one for one in content["images"] if one["file_name"] == image_id)
    x0, y0, x1, y1 = box
    content["annotations"].append({"id": 999, "image_id": image["id"], "bbox": [x0, y0, x1 - x0, y1 - y0]})
    path.write_text(json.dumps(content, indent=1))


def _touch_labelme(folder: Path, image_id: str, box: tuple[int, int, int, int]) -> None:
    path = (folder / image_id).with_suffix(".json")
    content = json.loads(path.read_text())
    shape = {"label": "logo", "points": [[box[0], box[1]], [box[2], box[3]]], "shape_type": "rectangle"}
    content["shapes"].append(shape)
    path.write_text(json.dumps(content))


def _touch_labelstudio(path: Path, image_id: str, box: tuple[int, int, int, int]) -> None:
    """Somebody accepts every prediction as it is, and adds a rectangle to one."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        results = task["predictions"][0]["result"]
        if task["data"]["image_id"] == image_id:
            value = dict(zip(("x", "y", "width", "height"), percent(box), strict=True))
            results.append({"id": "new", "type": "rectanglelabels", "value": {**value, "rectanglelabels": ["logo"]}})
        task["annotations"] = [{"id": 1, "was_cancelled": False, "result": results}]
    path.write_text(json.dumps(tasks))


def percent(box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """x, y, width and height of a box as Label Studio has them."""
    wide, high = SIZE_PX[0] / 100, SIZE_PX[1] / 100
    return box[0] / wide, box[1] / high, (box[2] - box[0]) / wide, (box[3] - box[1]) / high


def _touch_cvat(path: Path, image_id: str, box: tuple[int, int, int, int]) -> None:
    tree = ElementTree.parse(path)
    image = next(one for one in tree.getroot().findall("image") if one.attrib["name"] == image_id)
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, box), strict=True))
    ElementTree.SubElement(image, "box", {"label": "logo", **corners})
    tree.write(path)


ROUNDS = {
    "masks": Round("grey", "masks", "masks", _touch_mask),
    "rgba": Round("rgba", "rgba", "images", _touch_mask),
    "coco-rle": Round("coco", "coco", "annotations-rle.json", _touch_coco),
    "coco-polygons": Round("coco", "coco", "annotations-polygons.json", _touch_coco),
    "labelme": Round("labelme", "labelme", "images", _touch_labelme),
    "labelstudio": Round("labelstudio", "labelstudio", "tasks.json", _touch_labelstudio),
    "cvat": Round("cvat", "cvat", "annotations.xml", _touch_cvat),
    **{
        name: Round(
            name,
            name,
            "masks" if trainer.naming.place in (Place.FOLDER, Place.COLUMN) else "images",
            _touch_mask,
        )
        for name, trainer in TRAINERS.items()
    },
}
"""Every format that import reads."""


def attempt(root: Path, folder: Path, name: str, write: Callable[[Path], object]) -> ImportSummary | None:
    """Import what `write` wrote; what happens may be an error of ours or a summary, and never an emptied mask."""
    case = ROUNDS[name]
    folder.mkdir(exist_ok=True)
    file = folder / ("a.json" if case.format != "cvat" else "annotations.xml")
    write(file)
    try:
        summary = run(root, folder if case.format == "labelme" else file, case.format, replaces=True)
    except AutomaskError:
        summary = None
    assert masked_nothing(root) == []
    return summary
