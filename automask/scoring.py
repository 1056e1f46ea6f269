"""Confidence and verdict of one image, from what was found on it and drawn of it."""

from __future__ import annotations

from collections.abc import Sequence

from automask.confidence.features import image_features
from automask.confidence.model import bundled_model
from automask.config import PolicyConfig, ReviewConfig
from automask.fuse import Mask
from automask.types import Issue, MaskResult, Region, Verdict

SCORING_VERSION = 4

_AUDIT_DIGITS = 8
"""Hex digits of the content hash that decide about the audit sample."""


def least_certainty(regions: Sequence[Region], policy: PolicyConfig) -> float:
    """How sure the detectors are of their least certain decision on the image, 0..1: until its mask is drawn.

    A region that is drawn is a decision with its confidence c; one that is only proposed, with 1 - c. Kinds that the
    policy keeps decide nothing. Without regions it is 1.
    """
    certainties = [1.0]
    for region in regions:
        rule = policy.of(region.kind)
        if rule.action == "keep":
            continue
        certainties.append(region.confidence if region.confidence >= rule.accept else 1.0 - region.confidence)
    return min(certainties)


def image_confidence(result: MaskResult, mask: Mask, policy: PolicyConfig) -> float:
    """Probability, 0..1, that the mask is fine (leak <= .1, waste <= .05); models/cards/confidence.md says how good."""
    return bundled_model().probability(image_features(result, mask, policy))


def verdict_of(
    regions: Sequence[Region],
    *,
    confidence: float,
    masked_share: float,
    issues: Sequence[Issue],
    policy: PolicyConfig,
    review: ReviewConfig,
    content_sha256: str | None = None,
) -> Verdict:
    """Whether a person should look.

    Low probability or a doubtful decision of a detector (unless a budget decides about that), much masked, a policy
    that asks for it, a stage that failed, or an image of the audit sample.
    """
    asked = any(
        policy.of(region.kind).action == "review" and region.confidence >= policy.of(region.kind).accept
        for region in regions
    )
    # The model was fitted on few collections: a detector's own doubt asks too, whatever the model makes of it.
    doubtful = review.budget is None and min(confidence, least_certainty(regions, policy)) < review.below
    failed = any(issue.severity == "error" for issue in issues)
    audited = content_sha256 is not None and is_audited(content_sha256, share=review.audit)
    much = masked_share > review.masked_share
    return Verdict.REVIEW if asked or doubtful or much or failed or audited else Verdict.AUTO


def is_audited(content_sha256: str, *, share: float) -> bool:
    """Whether an image belongs to the random sample that people always see: the same images in every run."""
    return int(content_sha256[:_AUDIT_DIGITS], 16) < share * float(16**_AUDIT_DIGITS)
