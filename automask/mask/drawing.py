"""From what was found on an image to its mask, and what the mask is worth: the one way, for everybody who draws one.

A run, a new rendering, the second pass, exports, fills, reports, the service and the review page all call `draw`, so
that what one of them shows is what another one writes.
"""

from __future__ import annotations

import dataclasses
import functools

from automask.config import PipelineConfig, PolicyConfig, RenderConfig, ReviewConfig
from automask.mask.confidence.chosen import chosen_model
from automask.mask.judging import SCORING_VERSION, image_confidence, verdict_of
from automask.mask.merging import Merged, merged_regions, with_merged
from automask.mask.rendering import FUSE_VERSION, CorrectionLayers, Mask, confirmed_mask, is_drawn
from automask.values.digests import digest
from automask.values.kinds import noted
from automask.values.types import Fingerprints, Found, FoundT, MaskResult


class Drawn:
    """A mask and what follows from it. Made by `draw`; judged when that is first asked for.

    Attributes:
        found: What was found, as it was given.
        things: What `found` comes to: regions of several detectors merged where they are one thing, those of single
            images cut where a dataset's mark explains them. Each is drawn or only proposed, see `rendering.is_drawn`.
            They are of the kinds that they were found as, and know what a person calls them.
        mask: The mask, with a person's corrections.
    """

    def __init__(
        self,
        found: Found,
        config: PipelineConfig,
        things: tuple[Merged, ...],
        correction: CorrectionLayers | None,
        *,
        render: RenderConfig,
        content_sha256: str | None,
    ) -> None:
        self.found = found
        self.things = things
        self._config = config
        self._is_automatic = correction is None and render == config.render
        self._content_sha256 = content_sha256
        self.mask = self._mask_under(correction, render)

    @functools.cached_property
    def shown(self) -> Found:
        """`found` with `things` as its regions."""
        return with_merged(self.found, self.things)

    @property
    def drawn_count(self) -> int:
        """How many things the mask is made of, before a person's corrections."""
        return sum(is_drawn(one.region, self._config.policy) for one in self.things)

    @functools.cached_property
    def judged(self) -> MaskResult:
        """`found` with the confidence and verdict of its automatic mask, and the fingerprint of this drawing.

        A correction changes the mask and not what it is thought of: a change is no statement that the rest is fine.
        Nor is a decision about a template, for which few of the images were looked at.
        """
        if self.found.unanswered is not None:
            asked = draw(without_answers(self.found), self._config, content_sha256=self._content_sha256).judged
            fingerprints = drawn_fingerprints(
                self.found.fingerprints, self._config, template_set=self.found.template_set
            )
            return self.found.judged(confidence=asked.confidence, verdict=asked.verdict, fingerprints=fingerprints)
        automatic = self.mask if self._is_automatic else self._mask_under(None, self._config.render)
        return judge(self.found, self.shown, automatic, self._config, content_sha256=self._content_sha256)

    def _mask_under(self, correction: CorrectionLayers | None, render: RenderConfig) -> Mask:
        return Mask.from_patches(
            [one.patch for one in self.things],
            [one.region for one in self.things],
            width_px=self.found.width_px,
            height_px=self.found.height_px,
            render=render,
            policy=self._config.policy,
            correction=correction,
        )


def draw(
    found: Found,
    config: PipelineConfig,
    correction: CorrectionLayers | None = None,
    *,
    render: RenderConfig | None = None,
    content_sha256: str | None = None,
) -> Drawn:
    """The mask of what was found, under a configuration and what a person changed. Runs no model.

    Args:
        found: By the pipeline.
        config: How to draw and judge it.
        correction: What a person changed, or None.
        render: For another training size, cell or growth than the configuration's, as exports have; None = its own.
        content_sha256: Hash of the image file, for the audit sample; None = not part of one.
    """
    things = shown_things(found, config, correction)
    return Drawn(found, config, things, correction, render=render or config.render, content_sha256=content_sha256)


def without_answers(found: FoundT) -> FoundT:
    """What was found, as it would be had no person decided about templates."""
    if found.unanswered is None:
        return found
    return dataclasses.replace(
        found,
        regions=tuple(region for region, _ in found.unanswered),
        patches=tuple(patch for _, patch in found.unanswered),
        unanswered=None,
    )


def shown_things(
    found: Found, config: PipelineConfig, correction: CorrectionLayers | None = None
) -> tuple[Merged, ...]:
    """What the mask of a result is made of, and what is only proposed; see `Drawn.things`."""
    kinds = correction.kinds if correction is not None else {}
    return tuple(merged_regions(noted(found, kinds), config.policy))


def judge(
    found: Found, shown: Found, mask: Mask, config: PipelineConfig, *, content_sha256: str | None = None
) -> MaskResult:
    """A result with confidence, verdict and fuse fingerprint under a configuration. Runs no model.

    Args:
        found: The result.
        shown: The same with its regions merged.
        mask: Drawn of it.
        config: How it was drawn, and how it is judged.
        content_sha256: As for `draw`.
    """
    failed = any(issue.severity == "error" for issue in found.issues)
    confirmed = confirmed_mask(shown, render=config.render, policy=config.policy)
    confidence = 0.0 if failed else image_confidence(shown, mask, config, confirmed=confirmed)
    verdict = verdict_of(shown, mask, config, confidence=confidence, confirmed=confirmed, content_sha256=content_sha256)
    fingerprints = drawn_fingerprints(found.fingerprints, config, template_set=found.template_set)
    return found.judged(confidence=confidence, verdict=verdict, fingerprints=fingerprints)


def drawn_fingerprints(known: Fingerprints, config: PipelineConfig, *, template_set: str = "") -> Fingerprints:
    """The fingerprints of a result once its mask is drawn under a configuration.

    Args:
        known: Of the result, drawn under whatever.
        config: How it is drawn.
        template_set: Of the templates among its regions; see `Found`.
    """
    return dataclasses.replace(known, fuse=fuse_fingerprint(config, known.refine)).with_templates(template_set)


def fuse_fingerprint(config: PipelineConfig, refine_fingerprint: str) -> str:
    """Hash of all that a rendered mask and its verdict depend on, beyond the patches."""
    model_sha256 = chosen_model(config.review).sha256
    return _fuse_digest(config.render, config.policy, config.review, model_sha256, refine_fingerprint)


@functools.lru_cache(maxsize=32)  # asked of every image of a store: one answer each time, or a few
def _fuse_digest(
    render: RenderConfig, policy: PolicyConfig, review: ReviewConfig, model_sha256: str, refine_fingerprint: str
) -> str:
    return digest(
        {
            "refine": refine_fingerprint,
            "fuse": FUSE_VERSION,
            "scoring": [SCORING_VERSION, model_sha256],
            "render": render.model_dump(mode="json"),
            "policy": policy.hashed,
            "review": review.hashed,
        }
    )
