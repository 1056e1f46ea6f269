"""What an automask server answers about one image, as JSON: written by `automask_api`, read by `automask.client`.

Unknown keys are ignored, so that an older client understands a newer server. Numbers survive the way there and back
exactly: a mask that is rendered from what was read is the same to the byte.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automask.errors import AutomaskError
from automask.store.rows import plain
from automask.values.geometry import Box
from automask.values.rle import coco_counts, from_coco_counts
from automask.values.types import Attribute, Fingerprints, Found, Issue, Kind, MaskResult, Patch, Region, Verdict

XyXy = Annotated[
    tuple[int, int, int, int],
    Field(description="Half-open pixels x0, y0, x1, y1 of the upright image, origin top left."),
]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class WireModel(BaseModel):
    """Base of what travels: immutable, unknown keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class WireRle(WireModel):
    """Pixels inside a box as COCO's uncompressed RLE."""

    size: tuple[int, int] = Field(description="Rows and columns, those of the box.")
    counts: list[int] = Field(description="Column-major runs that add up to the area, the first of unset pixels.")

    @classmethod
    def of(cls, artefact: NDArray[np.bool_]) -> Self:
        """Pack an (H, W) bool array."""
        return cls(size=(artefact.shape[0], artefact.shape[1]), counts=coco_counts(artefact))

    def artefact(self, box: Box) -> NDArray[np.bool_]:
        """(H, W) bool array that fills a box.

        Raises:
            ValueError: The size is not the box's, or the counts do not fill it.
        """
        if self.size != box.shape:
            raise ValueError(f"an RLE of {self.size} stands where {box.shape} belongs")
        return from_coco_counts(self.counts, shape=box.shape)


class WirePatch(WireModel):
    """The exact unwanted pixels of a region, not grown."""

    box: XyXy
    score: Share = Field(description="How sure the refiner is of the outline.")
    refiner: str
    note: str = Field("", description="Why the refiner's own answer was not taken, or empty.")
    rle: WireRle


class WireRegion(WireModel):
    """Something unwanted that was found."""

    kind: Kind
    box: XyXy
    confidence: Share = Field(description="How sure the detector is that this is unwanted.")
    source: str = Field(description="Names of the detectors that found it, joined by +.")
    polygon: list[tuple[float, float]] | None = Field(None, description="Vertices x, y; pixel centres lie at .5.")
    attributes: dict[str, Attribute] = Field(
        default_factory=dict, description="Evidence, such as the text that was read."
    )
    proposed: bool = Field(
        False, description="Only a person can say if it is masked: it is not drawn by itself, whatever its confidence."
    )
    artefact: WireRle | Literal["patch"] | None = Field(
        None, description="Shape where the detector knows it, inside `box`; `patch` where it is the patch's."
    )
    patch: WirePatch

    @classmethod
    def of(cls, region: Region, patch: Patch) -> Self:
        """A region and its outline."""
        return cls(
            kind=region.kind,
            box=region.box.xyxy,
            confidence=float(region.confidence),
            source=region.source,
            polygon=None if region.polygon is None else [(float(x), float(y)) for x, y in region.polygon],
            attributes={name: plain(value) for name, value in region.attributes.items()},
            proposed=bool(region.proposed),
            artefact=_artefact_of(region, patch),
            patch=WirePatch(
                box=patch.box.xyxy,
                score=float(patch.score),
                refiner=patch.refiner,
                note=patch.note,
                rle=WireRle.of(patch.artefact),
            ),
        )

    def region_and_patch(self, image: Box) -> tuple[Region, Patch]:
        """Both as values of the pipeline.

        Raises:
            ValueError: Something lies outside the image, or does not fit together.
        """
        box, patch_box = Box(*self.box), Box(*self.patch.box)
        if not (image.contains(box) and image.contains(patch_box)):
            raise ValueError(f"box {box.xyxy} or {patch_box.xyxy} lies outside of {image.xyxy}")
        patch = Patch(
            box=patch_box,
            artefact=self.patch.rle.artefact(patch_box),
            score=self.patch.score,
            refiner=self.patch.refiner,
            note=self.patch.note,
        )
        if self.artefact == "patch":
            artefact: NDArray[np.bool_] | None = patch.artefact
        else:
            artefact = None if self.artefact is None else self.artefact.artefact(box)
        region = Region(
            kind=self.kind,
            box=box,
            confidence=self.confidence,
            source=self.source,
            polygon=None if self.polygon is None else tuple(self.polygon),
            artefact=artefact,
            attributes=self.attributes,
            proposed=self.proposed,
        )
        return region, patch


class WireIssue(WireModel):
    """Something that a person should know about the image; docs/errors.md lists the codes."""

    stage: str
    code: str
    message: str
    severity: Literal["warning", "error"] = "warning"

    @classmethod
    def of(cls, issue: Issue) -> Self:
        """An issue of the pipeline."""
        return cls(stage=issue.stage, code=issue.code, message=issue.message, severity=issue.severity)


class WireFingerprints(WireModel):
    """One hash per stage of all that its results depend on."""

    detect: str
    refine: str
    fuse: str

    @classmethod
    def of(cls, fingerprints: Fingerprints) -> Self:
        """Those of a pipeline or result."""
        return cls(detect=fingerprints.detect, refine=fingerprints.refine, fuse=fingerprints.fuse)

    def fingerprints(self) -> Fingerprints:
        """As values of the pipeline."""
        return Fingerprints(self.detect, self.refine, self.fuse)


class WireFound(WireModel):
    """What was found on one image."""

    image_id: str = Field(description="The name that the request gave the image.")
    content_sha256: str = Field(description="Hash of the bytes that were sent.")
    width_px: int = Field(gt=0, description="Columns of the upright image.")
    height_px: int = Field(gt=0, description="Rows of the upright image.")
    regions: list[WireRegion]
    issues: list[WireIssue]
    fingerprints: WireFingerprints
    timings_s: dict[str, float] = Field(description="Seconds by stage.")
    template_set: str = Field("", description="Hash of the regions of saved templates, or empty.")

    @classmethod
    def of_found(cls, found: Found, *, content_sha256: str) -> Self:
        """What was found, judged or not."""
        return cls(**_fields_of(found), content_sha256=content_sha256)

    def found(self) -> Found:
        """The value that the server's pipeline had.

        Raises:
            ValueError: Something lies outside the image, or does not fit together.
        """
        image = Box(0, 0, self.width_px, self.height_px)
        pairs = [region.region_and_patch(image) for region in self.regions]
        return Found(
            image_id=self.image_id,
            width_px=self.width_px,
            height_px=self.height_px,
            regions=tuple(region for region, _ in pairs),
            patches=tuple(patch for _, patch in pairs),
            issues=tuple(Issue(issue.stage, issue.code, issue.message, issue.severity) for issue in self.issues),
            fingerprints=self.fingerprints.fingerprints(),
            timings_s=self.timings_s,
            template_set=self.template_set,
        )


class WireResult(WireFound):
    """Everything that is known about one image."""

    verdict: Verdict = Field(description="review: a person should look at the mask before it is used.")
    confidence: Share
    masked_share: Share = Field(description="Share of the training weight that the mask takes away.")

    @classmethod
    def of_result(cls, result: MaskResult, *, content_sha256: str, masked_share: float) -> Self:
        """A result as judged by its mask."""
        return cls(
            **_fields_of(result),
            content_sha256=content_sha256,
            verdict=result.verdict,
            confidence=float(result.confidence),
            masked_share=masked_share,
        )

    def result(self) -> MaskResult:
        """What was found as `found` has it, and what its mask is worth.

        Raises:
            ValueError: Something lies outside the image, or does not fit together.
        """
        found = self.found()
        return found.judged(confidence=self.confidence, verdict=self.verdict, fingerprints=found.fingerprints)


def _fields_of(found: Found) -> dict[str, Any]:
    return {
        "image_id": found.image_id,
        "width_px": found.width_px,
        "height_px": found.height_px,
        "regions": [WireRegion.of(*pair) for pair in zip(found.regions, found.patches, strict=True)],
        "issues": [WireIssue.of(issue) for issue in found.issues],
        "fingerprints": WireFingerprints.of(found.fingerprints),
        "timings_s": {stage: float(seconds) for stage, seconds in found.timings_s.items()},
        "template_set": found.template_set,
    }


class WireError(WireModel):
    """Why an image of a batch has no mask."""

    code: str
    detail: str
    advice: str = ""
    status: int = Field(description="HTTP status that the image alone would have got.")
    exit_code: int = Field(description="Exit code of the same fault on the command line.")

    @classmethod
    def of(cls, error: AutomaskError) -> Self:
        """What the error says."""
        return cls(
            code=error.code,
            detail=error.message,
            advice=error.advice,
            status=error.http_status,
            exit_code=error.exit_code,
        )


class WireRefined(WireModel):
    """What was meant."""

    content_sha256: str = Field(description="Send it instead of the image with the next click.")
    method: str = Field(
        description="Who answered: a refiner (ink, sam), or grabcut or region-growing, which go by colour."
    )
    note: str = Field("", description="Why there is no network.")
    score: float
    box: XyXy | None = Field(description="Around the thing; null where nothing was found.")
    rle: WireRle | None = Field(description="The thing inside the box, not grown.")
    mask_png: str = Field(description="The new mask, a PNG in base64.")
    seconds: float


class WireBatchLine(WireModel):
    """One image of a batch: `result` or `error`."""

    name: str
    mask: str | None = Field(None, description="Name of the mask in the zip.")
    mask_png: str | None = Field(None, description="The mask file in base64; in NDJSON only.")
    result: WireResult | None = None
    error: WireError | None = None


class WireServer(WireModel):
    """What a client wants to know about a server before it sends images."""

    version: str
    config: dict[str, Any] = Field(description="The configuration that requests without options get.")
    fingerprints: WireFingerprints = Field(description="Of that configuration's stages with the server's weights.")


def _artefact_of(region: Region, patch: Patch) -> WireRle | Literal["patch"] | None:
    if region.artefact is None:
        return None
    if region.box == patch.box and np.array_equal(region.artefact, patch.artefact):
        return "patch"
    return WireRle.of(region.artefact)
