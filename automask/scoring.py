"""Confidence and verdict of one image, from what was found on it."""

from __future__ import annotations

from collections.abc import Sequence

from automask.config import PolicyConfig, ReviewConfig
from automask.types import Issue, Region, Verdict

SCORING_VERSION = 2


def image_confidence(regions: Sequence[Region], policy: PolicyConfig) -> float:
    """How sure the program is of its least certain decision on the image, 0..1.

    A region that is drawn is a decision with its confidence c; one that is only proposed, with 1 - c. Kinds that the
    policy keeps decide nothing. Without regions the confidence is 1. It ranks images for review; it is not a
    calibrated probability.
    """
    certainties = [1.0]
    for region in regions:
        rule = policy.of(region.kind)
        if rule.action == "keep":
            continue
        certainties.append(region.confidence if region.confidence >= rule.accept else 1.0 - region.confidence)
    return min(certainties)


def verdict_of(
    regions: Sequence[Region],
    *,
    confidence: float,
    masked_share: float,
    issues: Sequence[Issue],
    policy: PolicyConfig,
    review: ReviewConfig,
) -> Verdict:
    """Whether a person should look: low confidence, much masked, a policy that asks for it, or a stage that failed."""
    asked = any(
        policy.of(region.kind).action == "review" and region.confidence >= policy.of(region.kind).accept
        for region in regions
    )
    doubtful = confidence < review.below or masked_share > review.masked_share
    failed = any(issue.severity == "error" for issue in issues)
    return Verdict.REVIEW if asked or doubtful or failed else Verdict.AUTO
