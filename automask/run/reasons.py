"""Why an image waits for a person, and what is doubtful about a region: in words that a user knows, and in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from automask.config import PipelineConfig, PolicyConfig
from automask.mask.judging import DOUBTFUL, certainty_of, is_audited, is_for_a_person
from automask.mask.rendering import has_transparent, is_denied_frame, is_drawn, is_settled
from automask.store import STALE_CORRECTION_CODE, Status, StoredImage
from automask.values.templates import TEMPLATE_ATTRIBUTE, is_confirmed_frame, is_frame_template
from automask.values.types import LETTERS_ATTRIBUTE, Found, Issue, Kind, Region, Verdict

SMALL_TEXT_SHARE = 0.025
"""Height of a line of text, as a share of the shorter side, up to which it is called small: 25 px of 1024."""
SAME_BOX = 0.5
"""Intersection over union of boxes from which a sure region of another source speaks for a doubtful one."""
SMALL_MARK_SHARE = 0.01
"""Share of an image up to which something that was left is called small: the size of stamps and signatures."""
NEAR_THE_EDGE = 0.06
"""Distance from an edge, as a share of that side, up to which a thing is near it: where stamps and signatures stand."""
LARGE_TEXT_SHARE = 0.1
"""Height of letters, as a share of the shorter side, from which text is called large: much lies between them."""
MOST_REASONS = 4
_MOST_NAMED = 4
_TEXT_NAMED_CHARS = 30


def reasons_of(
    stored: StoredImage, regions: Sequence[Region], issues: Sequence[Issue], config: PipelineConfig
) -> list[str]:
    """Why an image waits, most telling reason first; empty where nothing is asked about it.

    Args:
        stored: Its row.
        regions: What was found on it; outlines are enough.
        issues: What went wrong with it.
        config: That of the store's last run.
    """
    if stored.status is Status.FAILED:
        return ["It could not be read or analysed."]
    if stored.verdict is not Verdict.REVIEW:
        return []
    review, policy = config.review, config.policy
    found: list[str] = []
    if any(issue.code == STALE_CORRECTION_CODE for issue in issues):
        found.append("The picture changed after its mask was corrected.")
    if any(issue.severity == "error" for issue in issues):
        found.append("A part of the analysis failed on it.")
    confirmed = any(is_settled(region) and is_drawn(region, policy) for region in regions)
    much = stored.masked_share is not None and stored.masked_share > review.masked_share
    much_words = f"{_percent(stored.masked_share or 0.0)} of it is masked: little is left to learn from."
    if much and not confirmed:
        found.append(much_words)
    asked = dict.fromkeys(region.kind for region in _asked_for(regions, policy))
    found += [f"You asked to see every image with {_A_KIND[kind]}." for kind in asked]
    doubts = _doubts(regions, config)
    is_low = stored.confidence is not None and stored.confidence < review.below
    if not is_low and review.budget is None:  # then only what a person alone can say asked for one
        doubts = [region for region in doubts if is_for_a_person(region, policy)]
    open_doubts = [region for region in doubts if not _is_found_again(region, regions, policy)]
    found += _counted(open_doubts, config, regions, size_px=_size(stored))
    if (is_low or review.budget is not None) and any(_is_large_text(region, policy) for region in regions):
        found.append("Large text: what lies between its letters is easily masked with it.")
    if review.budget is not None and not found:
        found.append("It is among the masks the program is least sure of.")
    elif is_low and not open_doubts:
        found.append(f"The mask as a whole looks doubtful ({_percent(stored.confidence or 0.0)} sure).")
    if stored.content_sha256 is not None and is_audited(stored.content_sha256, share=review.audit):
        found.append("It is of the audit sample, picked at random.")
    if much and not found:  # beside what is beyond doubt, too
        found.append(much_words)
    # Outlines do not tell how far one thing explains another: where nothing else asked, it was less than it seems.
    found = found or _counted(doubts, config, regions, size_px=_size(stored))
    return found[:MOST_REASONS] or ["The program was not sure of it when its mask was made."]


def figures_of(result: Found, config: PipelineConfig, *, confidence: float, masked_share: float) -> tuple[str, ...]:
    """The same for who measures: what is drawn and doubted of an image of any verdict, with the numbers.

    Args:
        result: What was found, merged.
        config: How it was drawn and judged.
        confidence: Probability of a fine mask, 0..1.
        masked_share: Share of the weight taken away, 0..1.
    """
    policy, review = config.policy, config.review
    side = "under" if confidence < review.below else "at least"
    found = [f"probability of a fine mask {confidence:.2f}, {side} {review.below:.2f}"]
    if masked_share > review.masked_share:
        found.append(f"{_percent(masked_share)} of the image is masked")
    drawn = [region for region in result.regions if is_drawn(region, policy)]
    doubts = _doubts(result.regions, config)
    found.append(f"drawn: {_named(drawn)}" if drawn else "nothing drawn")
    found += [
        f"{title}: {_named(regions)}"
        for title, regions in (
            ("drawn in doubt", [region for region in doubts if is_drawn(region, policy)]),
            ("nearly drawn", [region for region in doubts if not is_drawn(region, policy)]),
            ("of a kind that is always asked about", _asked_for(result.regions, policy)),
        )
        if regions
    ]
    return (*found, *(f"{issue.code}: {issue.message}" for issue in result.issues))


def region_words(
    region: Region,
    config: PipelineConfig,
    beside: Sequence[Region] = (),
    *,
    size_px: tuple[int, int] | None = None,
) -> str:
    """What a region is and what is doubtful about it, without a full stop: "a frame that only this image has".

    Args:
        region: As it was found, or called by a person.
        config: That of the store's last run.
        beside: All regions of its image.
        size_px: (width, height) of the image; None = unknown.
    """
    policy = config.policy
    is_shared = TEMPLATE_ATTRIBUTE in region.attributes
    is_doubtful = certainty_of(region, policy) < DOUBTFUL
    match region.kind:
        case Kind.FRAME | Kind.GROUND if has_transparent(region):
            words = "transparent pixels"
        case Kind.FRAME:
            alone = "this image alone shows" if any(map(is_frame_template, beside)) else "only this image has"
            alone = "the layout map takes for picture" if is_denied_frame(region) else alone
            words = "a frame that many images share" if is_shared else f"a frame that {alone}"
        case Kind.TEXT:
            words = f"{_text_size(region, size_px)}text" if is_doubtful else "text"
        case Kind.WATERMARK:
            words = "a mark repeated all over" if "closure" in region.attributes else "a watermark"
        case Kind.OVERLAY:
            words = "a mark that repeats across images" if is_shared else "a logo or overlay"
        case Kind.GROUND:
            words = "plain ground behind the subject"
        case _:
            words = "something drawn by hand"
    if policy.of(region.kind).action == "keep":
        return f"{words}, trained"
    return words if is_drawn(region, policy) or is_shared else f"perhaps {words}"


def _doubts(regions: Sequence[Region], config: PipelineConfig) -> list[Region]:
    """What was decided with less certainty than `DOUBTFUL` or against the layout map, the least certain first."""
    policy = config.policy
    doubts = [each for each in regions if certainty_of(each, policy) < DOUBTFUL or is_for_a_person(each, policy)]
    return sorted(doubts, key=lambda region: certainty_of(region, policy))


def _is_large_text(region: Region, policy: PolicyConfig) -> bool:
    share = region.attributes.get(LETTERS_ATTRIBUTE)
    return isinstance(share, int | float) and share > LARGE_TEXT_SHARE and is_drawn(region, policy)


def _asked_for(regions: Sequence[Region], policy: PolicyConfig) -> list[Region]:
    """What is masked and of a kind that the policy has a person look at."""
    return [region for region in regions if policy.of(region.kind).action == "review" and is_drawn(region, policy)]


_A_KIND = {
    Kind.TEXT: "text",
    Kind.FRAME: "a frame",
    Kind.WATERMARK: "a watermark",
    Kind.OVERLAY: "a recurring mark",
    Kind.CUSTOM: "something drawn by hand",
    Kind.GROUND: "plain ground",
}


def _counted(
    doubts: Sequence[Region], config: PipelineConfig, beside: Sequence[Region], *, size_px: tuple[int, int] | None
) -> list[str]:
    counted = Counter(_doubt(region, config, beside, size_px=size_px) for region in doubts)
    return [f"{_sentence(words)}{f' ({count} of them)' if count > 1 else ''}." for words, count in counted.items()]


def _doubt(region: Region, config: PipelineConfig, beside: Sequence[Region], *, size_px: tuple[int, int] | None) -> str:
    words = region_words(region, config, beside, size_px=size_px)
    if is_drawn(region, config.policy):
        is_plain = region.kind in (Kind.FRAME, Kind.TEXT)
        return words if is_plain else f"something that may be no {words.removeprefix('a ')}"
    if region.kind in (Kind.TEXT, Kind.WATERMARK) and _is_small_near_an_edge(region, size_px):
        return "something small near the edge, perhaps text or a mark, was left"
    until = "until you decide" if TEMPLATE_ATTRIBUTE in region.attributes else "but proposed"
    return f"{words}, not masked {until}"


def _is_small_near_an_edge(region: Region, size_px: tuple[int, int] | None) -> bool:
    if size_px is None:
        return False
    width_px, height_px = size_px
    x0, y0, x1, y1 = region.box.xyxy
    distance = min(x0 / width_px, y0 / height_px, 1 - x1 / width_px, 1 - y1 / height_px)
    return region.box.area_px <= SMALL_MARK_SHARE * width_px * height_px and distance <= NEAR_THE_EDGE


def _is_found_again(region: Region, regions: Sequence[Region], policy: PolicyConfig) -> bool:
    """Whether something else on the image is sure of the same thing: the two are merged when the mask is drawn."""
    is_frame, drawn = region.kind is Kind.FRAME, is_drawn(region, policy)
    for other in regions:
        if other is region or not is_drawn(other, policy) or other.confidence < DOUBTFUL:
            continue
        if is_frame:  # every frame has the box of its image
            if is_confirmed_frame(other) or (drawn and other.kind is Kind.FRAME):
                return True
        elif other.source != region.source and region.box.iou(other.box) >= SAME_BOX:
            return True
    return False


def _text_size(region: Region, size_px: tuple[int, int] | None) -> str:
    share = region.attributes.get(LETTERS_ATTRIBUTE)
    if not isinstance(share, int | float):
        if size_px is None:
            return ""
        share = min(region.box.shape) / min(size_px)
    return "small, faint " if share <= SMALL_TEXT_SHARE else "faint or unusual "


def _named(regions: Sequence[Region]) -> str:
    rest = f" and {len(regions) - _MOST_NAMED} more" if len(regions) > _MOST_NAMED else ""
    return ", ".join(map(_name, regions[:_MOST_NAMED])) + rest


def _name(region: Region) -> str:
    text = str(region.attributes.get("text", ""))[:_TEXT_NAMED_CHARS]
    quoted = f" \u201c{text}\u201d" if text else ""
    proposed = ", only proposed" if region.proposed else ""
    return f"{region.kind.value} {region.confidence:.2f}{quoted} of {region.source}{proposed}"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _size(stored: StoredImage) -> tuple[int, int] | None:
    return None if stored.width_px is None or stored.height_px is None else (stored.width_px, stored.height_px)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
