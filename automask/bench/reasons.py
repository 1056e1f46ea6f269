"""Why a verdict is what it is, in words, from the numbers that it was made of."""

from __future__ import annotations

from collections.abc import Iterator

from automask.config import PipelineConfig
from automask.mask.rendering import is_drawn
from automask.values.types import MaskResult, Region

_REGIONS_TOLD = 4
_TEXT_TOLD_CHARS = 30


def reasons_of(
    result: MaskResult, config: PipelineConfig, *, confidence: float, masked_share: float
) -> tuple[str, ...]:
    """Sentences about what was sure and what was not.

    Args:
        result: What was found.
        config: How it was drawn and judged.
        confidence: Probability of a fine mask, 0..1.
        masked_share: Share of the weight taken away, 0..1.
    """
    return tuple(_reasons(result, config, confidence=confidence, masked_share=masked_share))


def _reasons(result: MaskResult, config: PipelineConfig, *, confidence: float, masked_share: float) -> Iterator[str]:
    below = config.review.below
    yield f"probability of a fine mask {confidence:.2f}, {'under' if confidence < below else 'at least'} {below:.2f}"
    if masked_share > config.review.masked_share:
        yield f"{masked_share:.0%} of the image is masked"
    counted = [region for region in result.regions if config.policy.of(region.kind).action != "keep"]
    drawn = [region for region in counted if is_drawn(region, config.policy)]
    yield f"drawn: {_named(drawn)}" if drawn else "nothing drawn"
    doubtful = [region for region in drawn if region.confidence < below]
    asked = [region for region in drawn if config.policy.of(region.kind).action == "review"]
    proposed = [region for region in counted if not is_drawn(region, config.policy) and 1 - region.confidence < below]
    for title, regions in (
        ("drawn in doubt", doubtful),
        ("nearly drawn", proposed),
        ("of a kind that is always asked about", asked),
    ):
        if regions:
            yield f"{title}: {_named(regions)}"
    for issue in result.issues:
        yield f"{issue.code}: {issue.message}"


def _named(regions: list[Region]) -> str:
    rest = f" and {len(regions) - _REGIONS_TOLD} more" if len(regions) > _REGIONS_TOLD else ""
    return ", ".join(_name(region) for region in regions[:_REGIONS_TOLD]) + rest


def _name(region: Region) -> str:
    text = str(region.attributes.get("text", ""))[:_TEXT_TOLD_CHARS]
    quoted = f" \u201c{text}\u201d" if text else ""
    return f"{region.kind.value} {region.confidence:.2f}{quoted} of {region.source}"
