"""What the page is told, and what it sends. Internal to the page: these shapes may change with any release."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automask.config import PipelineConfig, PolicyConfig
from automask.errors import InputError
from automask.mask.drawing import shown_things
from automask.mask.judging import certainty_of
from automask.mask.merging import Merged
from automask.mask.rendering import CorrectionLayers, Mask, growth_px, hole_px, is_drawn
from automask.protocols import PromptAnswer
from automask.run.reasons import region_words
from automask.store import Correction, Decision, StoredImage
from automask.values import rle
from automask.values.geometry import Box
from automask.values.grid import LatentGrid
from automask.values.kinds import as_called, region_keys
from automask.values.types import Found, Kind

QUEUE_FIELDS = (
    "id", "width_px", "height_px", "confidence", "verdict", "kinds", "masked_share", "decision", "revision",
    "content", "mask", "failed", "templates", "reasons",
)  # fmt: skip
"""Columns of a queue row, in order; rows are lists, since there can be many."""

_MOST_IMAGES_AT_ONCE = 5000
_MOST_KINDS = 10_000
_LONGEST_KEY = 300
_PACKED = Field(None, max_length=200_000_000, description="Base64 of the store's run lengths.")


RegionKey = Annotated[str, Field(min_length=1, max_length=_LONGEST_KEY)]


class Document(BaseModel):
    """Base of what travels between page and server."""

    model_config = ConfigDict(extra="forbid")


class LayersDocument(Document):
    """Correction layers, each packed as the store packs them, in base64."""

    replaces: bool = False
    already_grown: bool = False
    add: str | None = _PACKED
    remove: str | None = _PACKED
    weight_set: str | None = _PACKED
    weight_levels: str | None = Field(None, max_length=400_000_000, description="Base64 of zlib of the set levels.")
    kinds: dict[RegionKey, Kind] = Field(
        default_factory=dict,
        max_length=_MOST_KINDS,
        description="What regions are called, by one of `RegionDocument.keys`.",
    )

    @classmethod
    def of(cls, layers: CorrectionLayers) -> Self:
        """Pack layers."""
        levels = None
        if layers.weight_set is not None and layers.weight_levels is not None:
            levels = _text(rle.encode_levels(layers.weight_levels, layers.weight_set))
        return cls(
            replaces=layers.replaces,
            already_grown=layers.already_grown,
            add=_packed(layers.add),
            remove=_packed(layers.remove),
            weight_set=_packed(layers.weight_set),
            weight_levels=levels,
            kinds=dict(layers.kinds),
        )

    def layers(self, shape: tuple[int, int]) -> CorrectionLayers:
        """Unpack layers for an image of `shape` (H, W).

        Raises:
            InputError: They are damaged or of another size.
        """
        try:
            weight_set = _unpacked(self.weight_set, shape)
            weight_levels = None
            if weight_set is not None:
                weight_levels = rle.decode_levels(_bytes(self.weight_levels or ""), weight_set)
            return CorrectionLayers(
                replaces=self.replaces,
                add=_unpacked(self.add, shape),
                remove=_unpacked(self.remove, shape),
                weight_levels=weight_levels,
                weight_set=weight_set,
                already_grown=self.already_grown,
                kinds=self.kinds,
            )
        except ValueError as error:
            raise InputError(
                f"The correction cannot be read: {error}.", advice="Load the page again.", code="correction-invalid"
            ) from error


class CorrectionDocument(Document):
    """One revision; `layers` is null where it gave the automatic mask back, and left out in lists."""

    revision: int
    author: str
    tool: str
    created_s: float
    withdrawn: bool
    layers: LayersDocument | None = None

    @classmethod
    def of(cls, correction: Correction, *, with_layers: bool) -> Self:
        """Describe a revision."""
        layers = correction.layers
        return cls(
            revision=correction.revision,
            author=correction.author,
            tool=correction.tool,
            created_s=correction.created_s,
            withdrawn=layers is None,
            layers=LayersDocument.of(layers) if with_layers and layers is not None else None,
        )


class RegionDocument(Document):
    """A region with its ungrown pixels, under the kind that a person gave it."""

    keys: list[str] = Field(description="Of the regions that it was merged from, the one that says what it is first.")
    kind: Kind
    found_kind: Kind = Field(description="What the mask follows; `kind` where no person said otherwise.")
    box: tuple[int, int, int, int]
    polygon: list[tuple[float, float]] | None
    confidence: float
    source: str
    drawn: bool
    text: str | None
    words: str = Field(description="What it is and what is doubtful about it.")
    certainty: float = Field(description="How sure the decision is to draw it, or not to.")
    template: str | None
    patch_box: tuple[int, int, int, int]
    patch: str

    @classmethod
    def of(cls, thing: Merged, *, keys: list[str], words: str, policy: PolicyConfig) -> Self:
        """Describe a thing as it was found, and the kind that people call it."""
        region, patch = thing.region, thing.patch
        text, template = region.attributes.get("text"), region.attributes.get("template")
        return cls(
            keys=keys,
            kind=as_called(region).kind,
            found_kind=region.kind,
            box=region.box.xyxy,
            polygon=list(region.polygon) if region.polygon is not None else None,
            confidence=float(region.confidence),
            source=region.source,
            drawn=is_drawn(region, policy),
            text=str(text) if text else None,
            words=words,
            certainty=round(certainty_of(region, policy), 4),
            template=str(template) if template is not None else None,
            patch_box=patch.box.xyxy,
            patch=_text(rle.encode(patch.artefact)),
        )


class GridDocument(Document):
    """The latent grid; growth and the side of the largest hole that is filled in pixels of the image."""

    training_px: int
    cell_px: int
    growth_cells: float
    growth_px: int
    hole_px: int
    hole_area_px: float = Field(description="Larger holes are not filled.")
    width_px: int
    height_px: int
    rows: int
    columns: int

    @classmethod
    def of(cls, width_px: int, height_px: int, config: PipelineConfig) -> Self:
        """Describe the grid of an image under a configuration."""
        render = config.render
        grid = LatentGrid.of(width_px, height_px, training_px=render.training_px, cell_px=render.cell_px)
        rows, columns = grid.shape_cells
        return cls(
            training_px=render.training_px,
            cell_px=render.cell_px,
            growth_cells=render.growth_cells,
            growth_px=growth_px(grid, render.growth_cells),
            hole_px=hole_px(grid, render.fill_holes_cells),
            hole_area_px=grid.source_px(render.fill_holes_cells) ** 2,
            width_px=grid.width_px,
            height_px=grid.height_px,
            rows=rows,
            columns=columns,
        )


class IssueDocument(Document):
    """Something that a person should know."""

    code: str
    message: str
    severity: str


class ImageDocument(Document):
    """Everything that the editor needs about one image."""

    id: str
    width_px: int
    height_px: int
    content: str
    verdict: str | None
    confidence: float | None
    masked_share: float | None
    decision: Decision | None
    revision: int = Field(description="Newest revision of the correction, 0 where there was none.")
    correction: CorrectionDocument | None
    regions: list[RegionDocument]
    reasons: list[str] = Field(description="Why it waits for a person, in words.")
    issues: list[IssueDocument]
    template_decisions: dict[str, str] = Field(description="What people decided about recurring marks, by template.")
    grid: GridDocument
    weights: dict[Kind, float] = Field(description="Training weight by kind; 1 for kinds that are kept.")
    levels: dict[Kind, int] = Field(description="The same of 255, as mask files have it.")


class SavedDocument(Document):
    """Where an image stands after a change."""

    revision: int
    verdict: str | None
    confidence: float | None
    masked_share: float | None
    decision: Decision | None
    mask: str | None
    kinds: list[Kind]
    reasons: list[str]

    @classmethod
    def of(cls, stored: StoredImage, *, revision: int, reasons: list[str]) -> Self:
        """Describe a row."""
        return cls(
            revision=revision,
            verdict=stored.verdict.value if stored.verdict is not None else None,
            confidence=stored.confidence,
            masked_share=stored.masked_share,
            decision=stored.decision,
            mask=short_hash(stored.mask_sha256),
            kinds=list(stored.kinds),
            reasons=reasons,
        )


class DecisionsBody(Document):
    """A decision about several images; null takes the last one back."""

    images: list[str] = Field(min_length=1, max_length=_MOST_IMAGES_AT_ONCE, description="Tokens.")
    decision: Decision | None


class RevertBody(Document):
    """Make an older revision the newest again."""

    to_revision: int = Field(ge=1)


class PartBody(Document):
    """Masked pixels that are seen as one thing, ungrown."""

    box: tuple[int, int, int, int]
    pixels: str = Field(max_length=200_000_000, description="Base64 of the store's run lengths.")

    def whole(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The pixels in an image of `shape` (H, W).

        Raises:
            InputError: They are damaged, or outside.
        """
        try:
            box = Box(*self.box)
            if box.clipped(width_px=shape[1], height_px=shape[0]) != box:
                raise ValueError(f"{self.box} is not inside of the image")
            whole = np.zeros(shape, dtype=np.bool_)
            whole[box.slices] = rle.decode(_bytes(self.pixels), shape=box.shape)
        except ValueError as error:
            raise InputError(f"The click cannot be read: {error}.", code="prompt-invalid") from error
        return whole


class ClickBody(Document):
    """A pixel of the image, and what is to be removed there."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    thing: PartBody | None = Field(None, description="The masked thing that the click is on; absent: it adds one.")
    wanted: list[tuple[int, int]] = Field([], max_length=64, description="Pixels of earlier clicks that added things.")


class ThingDocument(Document):
    """What lies at a click, ungrown; the box is empty where nothing does."""

    box: tuple[int, int, int, int]
    pixels: str
    method: str
    score: float

    @classmethod
    def of(cls, answer: PromptAnswer) -> Self:
        """Describe an answer."""
        box = Box.of_artefact(answer.artefact)
        inside = answer.artefact[box.slices] if box is not None else np.zeros((0, 0), dtype=np.bool_)
        return cls(
            box=box.xyxy if box is not None else (0, 0, 0, 0),
            pixels=_text(rle.encode(inside)),
            method=answer.method,
            score=answer.score,
        )


def region_documents(result: Found, config: PipelineConfig, layers: CorrectionLayers | None) -> list[RegionDocument]:
    """What the mask of a result is made of and what is only proposed, under the kinds of a correction."""
    keys = region_keys(result.regions)
    things = shown_things(result, config, layers)
    shown = [as_called(thing.region) for thing in things]
    size_px = result.width_px, result.height_px
    return [
        RegionDocument.of(
            thing,
            keys=[keys[one] for one in thing.members],
            words=region_words(named, config, shown, size_px=size_px),
            policy=config.policy,
        )
        for thing, named in zip(things, shown, strict=True)
    ]


def kind_weights(config: PipelineConfig) -> dict[Kind, float]:
    """Training weight by kind under the policy."""
    rules = {kind: config.policy.of(kind) for kind in Kind}
    return {kind: 1.0 if rule.action == "keep" else rule.weight for kind, rule in rules.items()}


def kind_levels(config: PipelineConfig) -> dict[Kind, int]:
    """The same as the level that a mask file has, of 255."""
    return {
        kind: int(Mask(np.full((1, 1), weight, dtype=np.float32)).levels[0, 0])
        for kind, weight in kind_weights(config).items()
    }


def short_hash(sha256: str | None) -> str | None:
    """Enough of a hash to tell versions of a file apart in an address."""
    return sha256[:16] if sha256 is not None else None


def _packed(layer: NDArray[np.bool_] | None) -> str | None:
    return _text(rle.encode(layer)) if layer is not None else None


def _unpacked(text: str | None, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    return rle.decode(_bytes(text), shape=shape) if text is not None else None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
