"""Small images, results and files for the tests of the store."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automask.store import Status, Store, StoredImage
from automask.values.geometry import Box
from automask.values.templates import DatasetTemplate, TemplateOrigin
from automask.values.types import Fingerprints, Issue, Kind, MaskResult, Patch, Region, Verdict

FINGERPRINTS = Fingerprints("detect-1", "refine-1", "fuse-1")
WIDTH_PX, HEIGHT_PX = 32, 24


@dataclass(frozen=True, slots=True)
class File:
    id: str
    path: Path
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    mask_name: str


def write_file(root: Path, name: str, data: bytes, *, mask_name: str | None = None) -> File:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return file_at(root, name, mask_name=mask_name)


def file_at(root: Path, name: str, *, mask_name: str | None = None) -> File:
    path = root / name
    facts = path.stat()
    default = Path(name).with_suffix(".png").as_posix()
    return File(name, path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, mask_name or default)


def touch(file: File, root: Path) -> File:
    os.utime(file.path, ns=(file.mtime_ns + 10**9, file.mtime_ns + 10**9))
    return file_at(root, file.id, mask_name=file.mask_name)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_result(
    image_id: str,
    *,
    verdict: Verdict = Verdict.AUTO,
    confidence: float = 0.8,
    fingerprints: Fingerprints = FINGERPRINTS,
    issues: tuple[Issue, ...] = (),
) -> MaskResult:
    artefact = np.zeros((4, 6), dtype=np.bool_)
    artefact[1:3, 2:4] = True
    text_box, frame_box = Box(2, 3, 8, 7), Box(0, 0, WIDTH_PX, 5)
    regions = (
        Region(Kind.TEXT, text_box, 0.9, "rapidocr", polygon=((1.5, 2.25), (3.0, 4.0), (5.0, 6.1)), attributes={
            "text": "Привет", "score_rec": 0.25, "lines": 2, "vertical": True,
        }),
        Region(Kind.FRAME, frame_box, 0.75, "edges", artefact=np.ones(frame_box.shape, dtype=np.bool_)),
    )  # fmt: skip
    patches = (
        Patch(text_box, artefact, 0.7, "polygon", note="sam disagreed"),
        Patch(frame_box, np.ones(frame_box.shape, dtype=np.bool_), 1.0, "polygon"),
    )
    return MaskResult(
        image_id=image_id,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        regions=regions,
        patches=patches,
        confidence=confidence,
        verdict=verdict,
        issues=issues,
        fingerprints=fingerprints,
        timings_s={"detect": 0.1, "refine": 1 / 3},
    )


def make_levels(rows: int = 5) -> np.ndarray:
    levels = np.full((HEIGHT_PX, WIDTH_PX), 255, dtype=np.uint8)
    levels[:rows] = 0
    return levels


def put(store: Store, file: File, *, levels: np.ndarray | None = None, **changes: object) -> str:
    """Keep a result for a file and return the hash of its content."""
    content = sha256(file.path.read_bytes())
    revision = store.correction(content)
    store.put_result(
        file,
        make_result(file.id, **changes),  # type: ignore[arg-type]
        make_levels() if levels is None else levels,
        content_sha256=content,
        correction_revision=revision.revision if revision else None,
    )
    return content


def make_template(template_id: str = "c0ffee0123456789", *, needs_review: bool = True) -> DatasetTemplate:
    return DatasetTemplate(
        id=template_id,
        detector="overlay",
        kind=Kind.OVERLAY,
        content=b"only the detector understands this",
        picture_png=b"\x89PNG",
        anchor="bottom-right",
        support=0.75,
        images=12,
        confidence=0.4,
        area_share=0.01,
        needs_review=needs_review,
    )


def template_region(template_id: str = "c0ffee0123456789") -> Region:
    box = Box(20, 16, 30, 22)
    artefact = np.ones(box.shape, dtype=np.bool_)
    return Region(
        Kind.OVERLAY, box, 0.4, "overlay", artefact=artefact, attributes={"template": template_id}, proposed=True
    )


def add_template(store: Store, image_id: str = "card.jpg") -> None:
    """An estimated template that one image shows."""
    store.templates.replace([make_template()], origin=TemplateOrigin.ESTIMATED, sample_fingerprint="sample-1")
    content = store.lookup(image_id).content_sha256
    store.templates.put_matches(image_id, [template_region()], content_sha256=content, fingerprint="search-1")


def assert_same_result(left: MaskResult, right: MaskResult) -> None:
    assert left.image_id == right.image_id
    assert (left.width_px, left.height_px) == (right.width_px, right.height_px)
    assert (left.confidence, left.verdict) == (right.confidence, right.verdict)
    assert (left.fingerprints, dict(left.timings_s)) == (right.fingerprints, dict(right.timings_s))
    assert tuple(left.issues) == tuple(right.issues)
    assert len(left.regions) == len(right.regions)
    for one, other in zip(left.regions, right.regions, strict=True):
        assert (one.kind, one.box, one.source) == (other.kind, other.box, other.source)
        assert (one.confidence, one.proposed) == (other.confidence, other.proposed)
        assert (one.polygon, dict(one.attributes)) == (other.polygon, dict(other.attributes))
        assert (one.artefact is None) == (other.artefact is None)
        if one.artefact is not None:
            assert np.array_equal(one.artefact, other.artefact)
    for one, other in zip(left.patches, right.patches, strict=True):
        assert (one.box, one.score, one.refiner, one.note) == (other.box, other.score, other.refiner, other.note)
        assert np.array_equal(one.artefact, other.artefact)


def stored_image(**changes):
    """The row of an image that is done and sure; fields as given."""
    row = StoredImage(
        image_id="a.jpg", status=Status.DONE, updated_s=0.0, size_bytes=1, mtime_ns=1, ctime_ns=1,
        content_sha256="f" * 64, orientation=1, width_px=1000, height_px=800, fingerprints=Fingerprints("d", "r", "f"),
        confidence=0.9, verdict=Verdict.REVIEW, masked_share=0.1, kinds=(), timings_s={}, mask_name="a.png",
        mask_sha256=None, mask_size_bytes=None, mask_mtime_ns=None, correction_revision=None,
        stale_sha256=None, templates_fingerprint=None, template_set="", decision=None,
    )  # fmt: skip
    return dataclasses.replace(row, **changes)
