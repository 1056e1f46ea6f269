"""The `sam` refiner: exact outlines from a segment-anything network, taken only where they agree with the region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automask.config import FrozenModel, RuntimeConfig, Share
from automask.mask.rendering import grow
from automask.protocols import PromptSession, WeightFile, WeightSource
from automask.values.geometry import Box
from automask.values.placement import Placement, joined
from automask.values.types import Image, Kind, Patch, Region
from automask_models.ink.network import DEFAULT_WEIGHTS as INK_WEIGHTS
from automask_models.refiners.agreement import Agreement, AgreementLimits, agreement_of, centre_points
from automask_models.refiners.backends.factory import open_backend
from automask_models.refiners.backends.frame import SquareFrame
from automask_models.refiners.backends.protocol import WANTED, Prompts, SamBackend
from automask_models.refiners.cluster import find_ink
from automask_models.refiners.ink import InkRefiner, InkRefinerOptions
from automask_models.refiners.polygon import filled_region, polygon_patch
from automask_models.refiners.prompts import SamPromptSession
from automask_models.refiners.two_answers import AnswerChoice, TwoAnswersSession
from automask_models.refiners.views import plan_views
from automask_models.stages import WeightedStage, WeightOptions, allows_unsafe_pickle

DEFAULT_WEIGHTS = "automask-sam-tiny"

_PROMPT_LOGIT = 6.0
_OUTSIDE_LOGIT = -1e3
_FRAME_PX_PER_STEP = 4
"""Networks of the family answer at a quarter of their input's resolution."""
_MIN_MARGIN_PX = 4
_COMPARED_PX = 1 << 20
_CLEAR_SEPARATION = 0.85
"""From this share of explained colour variance on, clusters are believed against the network."""


class SamOptions(WeightOptions):
    """Options of the `sam` refiner."""

    weights: str = Field(
        DEFAULT_WEIGHTS,
        min_length=1,
        description="Name, ORG/NAME of a hub, NAME.encoder.onnx, Hugging Face folder, or Meta's .pth file.",
    )
    kinds: tuple[Kind, ...] = Field(
        (Kind.TEXT, Kind.WATERMARK, Kind.OVERLAY, Kind.CUSTOM), description="Kinds to outline; others stay as detected."
    )
    mask_prompt: bool = Field(True, description="Show the network the region's shape, not only its box.")
    max_crops: int | None = Field(
        None, ge=0, le=4096, description="Close-ups per image at most; the default depends on the network's cost."
    )
    min_iou: Share = Field(0.5, description="Refuse masks whose predicted IoU is lower.")
    min_containment: Share = Field(0.6, description="Refuse masks of which less lies on their region.")
    min_area: Share = Field(0.03, description="Refuse masks that cover less of their region.")
    min_span: Share = Field(0.7, description="Refuse masks that reach less of their region's tiles.")
    min_stability: Share = Field(0.6, description="Refuse masks that change more with the threshold.")
    max_missed_ink: Share = Field(0.25, description="Refuse masks that miss more of the clear ink.")
    ink: str | None = Field(
        None,
        description="Ink network that outlines text where it sees it; empty = none, not set = ours with ours of SAM.",
    )
    allow_unsafe_pickle: bool = Field(False, description="Load weights that may run code: trusted authors only.")

    @property
    def ink_weights(self) -> str:
        """Weights of the ink network, or empty: what our own small SAM knows of letters is from that network."""
        if self.ink is None:
            return INK_WEIGHTS if self.weights == DEFAULT_WEIGHTS else ""
        return self.ink

    @property
    def limits(self) -> AgreementLimits:
        """When a mask is taken."""
        return AgreementLimits(
            min_iou=self.min_iou,
            min_containment=self.min_containment,
            min_area=self.min_area,
            min_span=self.min_span,
            min_stability=self.min_stability,
            max_missed_ink=self.max_missed_ink,
        )


@dataclass(slots=True, eq=False)
class _Task:
    """One region on its way through the views.

    Attributes:
        region: What the detector found.
        box: Tight window of its shape.
        filled: Its shape, `box.shape`.
        window: `box` with a margin, in which the answers are kept.
        ink: What colour alone clearly shows, `box.shape`, or None.
        tolerance_px: One step of the network's output, in image pixels.
        logits: (h, w) float32 over `window`, joined over all views; None before the first answer.
        ious: Predicted IoU, one per view.
    """

    region: Region
    box: Box
    filled: NDArray[np.bool_]
    window: Box
    ink: NDArray[np.bool_] | None
    tolerance_px: int = 1
    logits: NDArray[np.float32] | None = None
    ious: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, region: Region, box: Box, filled: NDArray[np.bool_], *, image: Image) -> Self:
        """The task of a region with the shape `filled` in `box`."""
        margin_px = max(_MIN_MARGIN_PX, min(box.shape) // 2)
        found = find_ink(image, box, filled)
        clear = found is not None and found.separation >= _CLEAR_SEPARATION
        return cls(
            region=region,
            box=box,
            filled=filled,
            window=box.padded(margin_px, width_px=image.width_px, height_px=image.height_px),
            ink=found.artefact if found is not None and clear else None,
        )

    def in_window(self, values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """An array over `box`, laid into `window`."""
        out = np.zeros(self.window.shape, dtype=np.bool_)
        out[_relative(self.box, to=self.window).slices] = values
        return out

    def add(self, logits: NDArray[np.float32], ious: NDArray[np.float32], *, view: Box, frame: SquareFrame) -> None:
        """Take one view's answer, (M, h, w) over the frame: the best of its alternatives, joined by the maximum."""
        shared = self.window.intersection(view)
        if shared is None:
            return
        if self.logits is None:
            self.logits = np.full(self.window.shape, _OUTSIDE_LOGIT, dtype=np.float32)
        self.tolerance_px = max(self.tolerance_px, math.ceil(_FRAME_PX_PER_STEP / min(frame.scale)))
        best = self._best(logits, ious, shared=shared, view=view, frame=frame) if len(logits) > 1 else 0
        part = self.logits[_relative(shared, to=self.window).slices]
        np.maximum(part, frame.window_logits(logits[best], _relative(shared, to=view)), out=part)
        self.ious.append(float(ious[best]))

    def agreement(self, logits: NDArray[np.float32], *, over: Box, iou: float, step: int = 1) -> Agreement:
        """How well an answer over a part of `window` agrees, looking at every `step`-th pixel both ways."""
        inside = tuple(slice(part.start, part.stop, step) for part in _relative(over, to=self.window).slices)
        return agreement_of(
            logits[::step, ::step],
            self.in_window(self.filled)[inside],
            iou=iou,
            tolerance_px=math.ceil(self.tolerance_px / step),
            clear_ink=None if self.ink is None else self.in_window(self.ink)[inside],
        )

    def _best(
        self, logits: NDArray[np.float32], ious: NDArray[np.float32], *, shared: Box, view: Box, frame: SquareFrame
    ) -> int:
        """The alternative that agrees best; large windows are compared coarsely."""
        step = math.ceil(math.sqrt(shared.area_px / _COMPARED_PX))
        ranks = [
            self.agreement(
                frame.window_logits(alternative, _relative(shared, to=view)), over=shared, iou=float(iou), step=step
            ).rank
            for alternative, iou in zip(logits, ious, strict=True)
        ]
        return int(np.argmax(ranks))


class SamRefiner(WeightedStage[SamOptions]):
    """Outlines regions with a network of the segment-anything family.

    Each image is encoded once; regions too small in it are shown again in close-ups. Every region is asked for by its
    box, its shape and (for networks that were trained so) points on it. Of the alternatives the one that agrees best
    is taken, if it agrees at all; otherwise the filled polygon stands, `Patch.refiner` is `polygon` and `Patch.note`
    says why. With `automask-sam-tiny`, text is outlined as the refiner `ink` does, and the network is asked where the
    ink map does not show the whole of a region: for strokes of letters the map itself is the better answer.
    """

    name: ClassVar[str] = "sam"
    Options: ClassVar[type[FrozenModel]] = SamOptions
    algorithm_version: ClassVar[int] = 1
    role: ClassVar[str] = "refiner"
    model_options: ClassVar[tuple[str, ...]] = ("ink",)

    def __init__(self, options: SamOptions, *, weights: WeightFile | None, runtime: RuntimeConfig) -> None:
        super().__init__(options, weights=weights, runtime=runtime)
        self._limits = options.limits
        self._backend: SamBackend | None = None
        self._ink: InkRefiner | None = None
        self._choice: AnswerChoice | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: This machine does not have the weights, or not those of the ink network where that is asked.
        """
        made = super().from_options(options, weights=weights, runtime=runtime)
        if made._options.ink_weights:
            ink = InkRefinerOptions(weights=made._options.ink_weights)
            made._ink = InkRefiner.from_options(ink, weights=weights, runtime=runtime)
        return made

    @property
    def model_sha256s(self) -> tuple[str, ...]:
        """What its answers depend on besides: the refiner `ink`, where that outlines text."""
        return () if self._ink is None else (self._ink.fingerprint,)

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return joined(part.placement for part in (self._backend, self._ink) if part is not None)

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            PluginError: The weights need the extra `sam`.
            WeightsError: The weights are damaged, unsafe or of an unknown kind.
        """
        self._loaded()
        if self._ink is not None:
            self._ink.load()

    def refine(self, image: Image, regions: Sequence[Region]) -> list[Patch]:
        """One patch per region; see the class for what it holds."""
        patches: dict[int, Patch] = {}
        tasks: dict[int, _Task] = {}
        for index, region in enumerate(regions):
            outlined = self._by_ink(image, region)
            if outlined is not None:
                patches[index] = outlined
                continue
            box, filled = filled_region(region, image=image)
            if region.artefact is not None or region.kind not in self._options.kinds:
                patches[index] = polygon_patch(region, box, filled)
            else:
                tasks[index] = _Task.of(region, box, filled, image=image)
        if tasks:
            self._ask(image, list(tasks.values()))
        patches.update((index, self._settled(task)) for index, task in tasks.items())
        return [patches[index] for index in range(len(regions))]

    def prompt_session(self, image: Image) -> PromptSession:
        """See `automask.protocols.PromptableRefiner`.

        Raises:
            PluginError: The weights need the extra `sam`.
            WeightsError: The weights are damaged, unsafe or of an unknown kind.
        """
        network = SamPromptSession(self._loaded(), image, name=self.name)
        if self._ink is None:
            return network
        if self._choice is None:
            self._choice = AnswerChoice.bundled()
        return TwoAnswersSession(self._ink.prompt_session(image), network, self._choice)

    def _by_ink(self, image: Image, region: Region) -> Patch | None:
        """Text as the ink network shows it; None where that does not show the whole of the region."""
        asked = region.kind is Kind.TEXT and region.kind in self._options.kinds and region.artefact is None
        if self._ink is None or not asked:
            return None
        patch = self._ink.refine(image, [region])[0]
        return patch if patch.refiner == self._ink.name else None

    def _loaded(self) -> SamBackend:
        if self._backend is None:
            self._backend = open_backend(
                self.weight_file.path,
                runtime=self._runtime,
                allow_unsafe_pickle=allows_unsafe_pickle(
                    self.weight_file, asked=self._options.allow_unsafe_pickle, stage=self.name
                ),
            )
        return self._backend

    def _ask(self, image: Image, tasks: Sequence[_Task]) -> None:
        """Show the network what it needs to see; the answers go into the tasks."""
        backend = self._loaded()
        traits = backend.traits
        plan = plan_views(
            [task.box for task in tasks],
            image=image.box,
            traits=traits,
            max_crops=traits.max_crops if self._options.max_crops is None else self._options.max_crops,
        )
        for view in plan.views:
            parts = [(tasks[number], part) for number, part in view.parts if _holds_some(tasks[number], part)]
            if not parts:
                continue
            embedding = backend.encode(np.ascontiguousarray(image.pixels[view.window.slices]))
            prompts = self._prompts(parts, view=view.window, frame=embedding.frame, backend=backend)
            answers = backend.decode(embedding, prompts)
            for (task, _), logits, ious in zip(parts, answers.logits, answers.ious, strict=True):
                task.add(logits, ious, view=view.window, frame=embedding.frame)

    def _prompts(
        self, parts: Sequence[tuple[_Task, Box]], *, view: Box, frame: SquareFrame, backend: SamBackend
    ) -> Prompts:
        count = backend.traits.centre_points
        points = [
            _points(task, part, count=count) - np.array([view.x0, view.y0], dtype=np.float32)
            for task, part in parts
            if count > 0
        ]
        masks = [
            frame.prompt_mask(
                task.filled, _relative(task.box, to=view), side_px=backend.mask_side_px, logit=_PROMPT_LOGIT
            )
            for task, _ in parts
            if self._options.mask_prompt
        ]
        return Prompts(
            boxes=np.array([_relative(part, to=view).xyxy for _, part in parts], dtype=np.float32),
            points=np.stack(points) if points else None,
            labels=np.full((len(parts), count), WANTED, dtype=np.int64) if points else None,
            masks=np.stack(masks) if masks else None,
        )

    def _settled(self, task: _Task) -> Patch:
        """The mask, if it agrees with its region."""
        if task.logits is None:
            return _polygon(task, note=f"{self.name}: not asked, the image needs more close-ups than max_crops")
        judged = task.agreement(task.logits, over=task.window, iou=float(np.mean(task.ious)))
        objection = judged.objection(self._limits)
        if objection:
            return _polygon(task, note=f"{self.name}: {objection}")
        filled = task.in_window(task.filled)
        # Outlines and shadows reach past the detector's polygon; what lies farther off is another thing.
        near = grow(filled, max(task.tolerance_px, min(task.box.shape) // 4))
        return Patch(box=task.window, artefact=(task.logits > 0) & near, score=judged.iou, refiner=self.name)


def _polygon(task: _Task, *, note: str) -> Patch:
    return polygon_patch(task.region, task.box, task.filled, note=note)


def _relative(box: Box, *, to: Box) -> Box:
    """A box in the pixels of another one; it may hang over."""
    return Box(box.x0 - to.x0, box.y0 - to.y0, box.x1 - to.x0, box.y1 - to.y0)


def _holds_some(task: _Task, part: Box) -> bool:
    return bool(task.filled[_relative(part, to=task.box).slices].any())


def _points(task: _Task, part: Box, *, count: int) -> NDArray[np.float32]:
    inside = _relative(part, to=task.box).slices
    return centre_points(task.filled[inside], part, None if task.ink is None else task.ink[inside], count=count)
