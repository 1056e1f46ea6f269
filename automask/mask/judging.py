"""Confidence and verdict of one image, from what was found on it and drawn of it."""

from __future__ import annotations

import numpy as np

from automask.config import PipelineConfig, PolicyConfig
from automask.mask.confidence.chosen import chosen_model
from automask.mask.confidence.features import LEAST_ROOM, image_features
from automask.mask.confidence.model import FINE_WASTE
from automask.mask.rendering import Mask, is_denied_frame, is_drawn
from automask.values.types import Found, Patch, Region, Verdict

SCORING_VERSION = 10

DOUBTFUL = 0.6
"""Certainty of a decision below which it is named among the reasons for a doubtful mask: near even odds."""
COVERED = 0.5
"""Share of a proposal that is masked anyway from which it changes too little to ask about."""

_AUDIT_DIGITS = 8
"""Hex digits of the content hash that decide about the audit sample."""


def certainty_of(region: Region, policy: PolicyConfig) -> float:
    """How sure the decision to draw a region, or to leave it out, is, 0..1; 1 where the policy keeps its kind.

    A region that is drawn is a decision with its confidence c; one that is only proposed, with 1 - c.
    """
    if policy.of(region.kind).action == "keep":
        return 1.0
    return region.confidence if is_drawn(region, policy) else 1.0 - region.confidence


def image_confidence(result: Found, mask: Mask, config: PipelineConfig, *, confirmed: Mask | None = None) -> float:
    """Probability, 0..1, that the mask is fine (leak <= .1, waste <= .05); models/cards/confidence.md says how good."""
    return chosen_model(config.review).probability(image_features(result, mask, config.policy, confirmed=confirmed))


def is_for_a_person(region: Region, policy: PolicyConfig) -> bool:
    """Whether a region would be drawn were it not for a person to say, or is a frame that the layout map denies."""
    rule = policy.of(region.kind)
    if rule.action == "keep" or region.confidence < rule.accept:
        return False
    return region.proposed or is_denied_frame(region)


def waiting_proposals(result: Found, mask: Mask, policy: PolicyConfig) -> list[Region]:
    """What is for a person to say (`is_for_a_person`) and makes a difference.

    A proposal does unless the mask covers it anyway; a frame that is drawn against the layout map does where it takes
    more than a fine mask may waste.
    """

    def matters(region: Region, patch: Patch) -> bool:
        area_px = int(np.count_nonzero(patch.artefact))
        if not region.proposed:
            return area_px > FINE_WASTE * mask.weight.size
        open_px = int(np.count_nonzero((mask.weight[patch.box.slices] == 1.0) & patch.artefact))
        return open_px > (1.0 - COVERED) * area_px

    return [
        region
        for region, patch in zip(result.regions, result.patches, strict=True)
        if is_for_a_person(region, policy) and matters(region, patch)
    ]


def unconfirmed_share(mask: Mask, confirmed: Mask | None) -> float:
    """Share of the weight, 0..1, that a mask takes of what is left by what is beyond doubt; see `confirmed_mask`.

    A frame may cover most of each image, as on game cards. Frames that the dataset only proposes are not drawn, and
    one decision for all images settles them.
    """
    if confirmed is None:
        return mask.masked_share
    taken = confirmed.masked_share
    return max(0.0, mask.masked_share - taken) / max(LEAST_ROOM, 1.0 - taken)


def verdict_of(
    shown: Found,
    mask: Mask,
    config: PipelineConfig,
    *,
    confidence: float,
    confirmed: Mask | None,
    content_sha256: str | None = None,
) -> Verdict:
    """Whether a person should look.

    Low probability or something that only a person can say (unless a budget decides about that), much masked, a policy
    that asks for it, a stage that failed, or an image of the audit sample.

    Args:
        shown: What was found, merged, and what went wrong.
        mask: Drawn of it.
        config: Which kinds are always looked at, and when a person is asked.
        confidence: Probability, 0..1, of a fine mask; 1 = whether a person is asked however good the mask may be.
        confirmed: What of the mask is beyond doubt; see `confirmed_mask`.
        content_sha256: Hash of the image file, for the audit sample; None = not part of one.
    """
    policy, review = config.policy, config.review
    asked = any(policy.of(region.kind).action == "review" and is_drawn(region, policy) for region in shown.regions)
    unsure = confidence < review.below or len(waiting_proposals(shown, mask, policy)) > 0
    doubtful = review.budget is None and unsure
    failed = any(issue.severity == "error" for issue in shown.issues)
    audited = content_sha256 is not None and is_audited(content_sha256, share=review.audit)
    much = unconfirmed_share(mask, confirmed) > review.masked_share
    return Verdict.REVIEW if asked or doubtful or much or failed or audited else Verdict.AUTO


def is_audited(content_sha256: str, *, share: float) -> bool:
    """Whether an image belongs to the random sample that people always see: the same images in every run."""
    return int(content_sha256[:_AUDIT_DIGITS], 16) < share * float(16**_AUDIT_DIGITS)
