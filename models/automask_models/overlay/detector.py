"""The dataset detector `overlay`: marks and frames that images of a dataset share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automask.config import FrozenModel, RuntimeConfig
from automask.protocols import ImageFacts, ReducedImage, TemplateFinder, WeightFile, WeightSource, stage_fingerprint
from automask.values.placement import Placement
from automask.values.templates import DatasetTemplate
from automask.values.types import Image, Issue, Kind, Region
from automask_models.layout.network import DEFAULT_WEIGHTS, LayoutMap, LayoutNetwork
from automask_models.overlay.estimator import estimate
from automask_models.overlay.finding import find_all
from automask_models.overlay.judging import agreed, as_shown
from automask_models.overlay.options import OverlayOptions
from automask_models.overlay.picture import picture_png
from automask_models.overlay.reduction import SMALLEST_PX, Shape, reduced
from automask_models.overlay.sampling import ShapeSamples
from automask_models.overlay.similarity import is_same
from automask_models.overlay.template import Template
from automask_models.overlay.tracing import template_of_mask


class OverlayDetector:
    """Finds marks at one place, and frames, by what stays fixed while the pictures change."""

    name: ClassVar[str] = "overlay"
    Options: ClassVar[type[FrozenModel]] = OverlayOptions

    def __init__(
        self, options: OverlayOptions, *, layout: WeightFile | None = None, runtime: RuntimeConfig | None = None
    ) -> None:
        """Without weights of a layout network, templates are applied whole."""
        self._options = options
        self._layout = layout
        self._runtime = runtime or RuntimeConfig()
        self._network: LayoutNetwork | None = None

    @classmethod
    def from_options(cls, options: FrozenModel, *, weights: WeightSource, runtime: RuntimeConfig) -> Self:
        """See `automask.protocols.Stage`."""
        checked = OverlayOptions.model_validate(options.model_dump())
        return cls(checked, layout=weights.find(DEFAULT_WEIGHTS), runtime=runtime)

    @property
    def fingerprint(self) -> str:
        """Hash of the algorithm's version, the options and the weights."""
        own = () if self._layout is None else (self._layout.sha256,)
        return stage_fingerprint(self.name, algorithm_version=6, options=self._options, weights_sha256=own)

    @property
    def notices(self) -> Sequence[Issue]:
        """Nothing to tell."""
        return ()

    @property
    def placement(self) -> Placement | None:
        """See `automask.protocols.PlacedStage`."""
        return None if self._network is None else self._network.placement

    def load(self) -> None:
        """See `automask.protocols.Stage`.

        Raises:
            WeightsError: The file is no layout network.
        """
        if self._layout is not None and self._network is None:
            self._network = LayoutNetwork.open(self._layout, runtime=self._runtime)

    def reduce(self, image: Image) -> NDArray[np.uint8] | None:
        """The image at the size of its aspect class, (h, w, 3) uint8; None for icons."""
        return reduced(image.pixels, reduced_px=self._options.reduced_px)

    def sample(self, images: Iterable[ImageFacts]) -> list[ImageFacts]:
        """Of every aspect class equally many, those with the smallest hashes."""
        samples = ShapeSamples(per_group=self._options.max_images_per_group, total=self._options.max_images)
        for image in images:
            if min(image.width_px, image.height_px) >= SMALLEST_PX:
                samples.add(Shape.of(image.width_px, image.height_px, reduced_px=self._options.reduced_px), image)
        return samples.images()

    def estimate(self, sample: Sequence[ReducedImage]) -> list[DatasetTemplate]:
        """Marks and frames that images of the sample share."""
        templates = estimate(sample, self._options)
        if self._network is not None:
            templates = agreed(templates, sample, self.layout_of)
        return [self._described(template) for template in templates]

    def finder(self, templates: Sequence[DatasetTemplate]) -> TemplateFinder:
        """Parse templates once for many images."""
        return _Finder([Template.from_bytes(template.content) for template in templates], self)

    def layout_of(self, image: ReducedImage) -> LayoutMap | None:
        """What the layout network says of an image, at full size; None without the network."""
        if self._network is None:
            return None
        seen = self._network.look(image.pixels)
        return dataclasses.replace(seen, width_px=image.facts.width_px, height_px=image.facts.height_px)

    def read_template(self, content: bytes) -> DatasetTemplate:
        """The template that was saved to a file."""
        return self._described(Template.from_bytes(content))

    def template_of_mask(self, image: Image, artefact: NDArray[np.bool_]) -> DatasetTemplate:
        """A template from what a person marked on one image; (H, W) bool."""
        return self._described(template_of_mask(image.pixels, artefact, reduced_px=self._options.reduced_px))

    def confirmed(self, template: DatasetTemplate) -> DatasetTemplate:
        """The template as a person's decision leaves it: applied without asking again."""
        own = Template.from_bytes(template.content)
        return self._described(dataclasses.replace(own, confidence=1.0, needs_review=False))

    def is_same(self, one: DatasetTemplate, other: DatasetTemplate) -> bool:
        """Whether both cover the same place of images of the same shape."""
        return is_same(Template.from_bytes(one.content), Template.from_bytes(other.content))

    def _described(self, template: Template) -> DatasetTemplate:
        return DatasetTemplate(
            id=template.id,
            detector=self.name,
            kind=Kind(template.kind),
            content=template.to_bytes(),
            picture_png=picture_png(template),
            anchor=template.anchor,
            support=template.support,
            images=template.images,
            confidence=template.confidence,
            area_share=template.area_share,
            needs_review=template.needs_review,
        )


class _Finder:
    def __init__(self, templates: Sequence[Template], detector: OverlayDetector) -> None:
        self._templates = tuple(templates)
        self._detector = detector  # which may load its network after saved templates were read

    def find(self, image: ReducedImage) -> list[Region]:
        """Regions of all templates in one image, without what the image shows picture in."""
        found = find_all(self._templates, image)
        layout = self._detector.layout_of(image) if any(each.alike is not None for each in found) else None
        shown = [each.region if layout is None else as_shown(each, layout) for each in found]
        return [region for region in shown if region is not None]
