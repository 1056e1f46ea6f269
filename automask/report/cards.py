"""HTML of the report, from values that are already known. Everything that comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import quote

from automask.report.overlay import MASK_COLOUR, MASK_OPACITY, Mark, corners_of
from automask.report.thumbnails import Thumbnails
from automask.store.records import Counts, Status, StoredImage
from automask.values.types import Issue, Kind

_REGIONS_SHOWN = 12
_TEXT_SHOWN_CHARS = 40
_DASHED = ' class="proposed"'


@dataclass(frozen=True, slots=True)
class Card:
    """One image of the report.

    Attributes:
        image: Its row.
        marks: Its regions.
        issues: What a person should know.
        thumbnails: Relative paths of the small pictures; None where the browser lays the mask over the image itself.
        image_link: Relative path of the image file, or None.
        mask_link: Relative path of the mask file, or None.
    """

    image: StoredImage
    marks: Sequence[Mark]
    issues: Sequence[Issue]
    thumbnails: Thumbnails | None
    image_link: str | None
    mask_link: str | None

    @property
    def state(self) -> str:
        """auto, review or failed."""
        if self.image.status == Status.FAILED:
            return "failed"
        return self.image.verdict.value if self.image.verdict is not None else "failed"


def card_html(card: Card) -> str:
    """One `<article>`."""
    image = card.image
    kinds = " ".join(sorted({mark.region.kind.value for mark in card.marks}))
    if all(mark.kept for mark in card.marks):
        kinds = f"{kinds} none".strip()
    name = escape(printable(image.image_id))
    return f"""<article data-state="{card.state}" data-kinds="{kinds}" data-name="{name}">
<div class="pictures">
{_pictures(card, name)}
</div>
<div class="about">
<h2>{name}</h2>
<p class="facts">{"".join(_facts(card))}</p>
{_regions(card.marks)}{_issues(card.issues)}</div>
</article>"""


def page_html(
    cards: Sequence[str],
    *,
    title: str,
    counts: Counts,
    page: int,
    page_names: Sequence[str],
    templates_page: str | None,
    notices: Sequence[Issue],
    version: str,
    written: str,
) -> str:
    """One whole page."""
    template = Template((files(__package__) / "page.html").read_text(encoding="utf-8"))
    pages = len(page_names)
    position = f", page {page} of {pages}" if pages > 1 else ""
    kinds = [kind for kind in Kind if counts.kinds.get(kind)]
    return template.substitute(
        title=escape(printable(f"{title}: masks{position}")),
        heading=escape(printable(title)),
        subtitle=escape(f"Loss masks: what a model will not learn from these images{position}"),
        totals="\n".join(_totals(counts)),
        legend=" ".join(f'<span class="swatch" data-kind="{kind.value}"></span> {kind.value}' for kind in kinds),
        state_filters="\n".join(_state_filters(counts)),
        kind_filters="\n".join(_kind_filters(counts, kinds)),
        templates=f'<a href="{link(templates_page)}">what repeats</a>' if templates_page is not None else "",
        notices=_issues(notices, label="About the folder"),
        pager=_pager(page, page_names),
        cards="\n".join(cards) or "<p>There are no images in this store yet.</p>",
        tint=" ".join(f"0 0 0 0 {level / 255:.3f}" for level in MASK_COLOUR),
        opacity=f"{MASK_OPACITY:g}",
        version=escape(version),
        written=escape(written),
    )


def printable(text: str) -> str:
    """Text without lone surrogates, which file names that are not UTF-8 carry."""
    return text.encode("utf-8", "replace").decode()


def link(path: str) -> str:
    """A relative path as it stands in an attribute: percent-encoded (from its bytes), with a leading `./`."""
    return escape("./" + quote(path.encode("utf-8", "surrogateescape")))


def _pictures(card: Card, name: str) -> str:
    overlay_alt, mask_alt = f"{name} with its mask in red", f"Mask of {name}"
    if card.thumbnails is not None:
        overlay, mask = card.thumbnails.overlay, card.thumbnails.mask
        first = _picture(overlay, card.image_link, alt=overlay_alt, none="no picture")
    else:
        mask = card.mask_link
        first = _picture(card.image_link, card.image_link, alt=overlay_alt, none="no picture", over=_laid_over(card))
    return f"{first}\n{_picture(mask, card.mask_link, alt=mask_alt, none='no mask')}"


def _laid_over(card: Card) -> str:
    """The mask in red and the outlines, as elements that lie on the picture."""
    image = card.image
    outlines = "".join(
        f'<polygon data-kind="{mark.region.kind.value}"{"" if mark.drawn else _DASHED} points="{_points(mark)}"/>'
        for mark in card.marks
        if not mark.kept
    )
    mask = f'<img src="{link(card.mask_link)}" alt="Mask" loading="lazy" class="tint">' if card.mask_link else ""
    return f'{mask}<svg viewBox="0 0 {image.width_px} {image.height_px}" aria-hidden="true">{outlines}</svg>'


def _points(mark: Mark) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in corners_of(mark))


def _picture(thumbnail: str | None, target: str | None, *, alt: str, none: str, over: str = "") -> str:
    if thumbnail is None:
        return f'<span class="none">{none}</span>'
    picture = f'<img src="{link(thumbnail)}" alt="{alt}" loading="lazy" decoding="async">{over}'
    return f'<a href="{link(target)}">{picture}</a>' if target is not None else f"<span>{picture}</span>"


def _facts(card: Card) -> Iterator[str]:
    image = card.image
    yield f'<span class="badge {card.state}">{card.state}</span>'
    if image.confidence is not None:
        yield f'<span title="of the least certain decision">confidence {image.confidence:.2f}</span>'
    if image.masked_share is not None:
        yield f"<span>{image.masked_share:.1%} masked</span>"
    if image.width_px is not None:
        yield f"<span>{image.width_px} &times; {image.height_px}</span>"
    if image.decision is not None:
        yield f"<span>{image.decision.value} by a person</span>"
    if image.correction_revision is not None:
        yield f"<span>corrected (revision {image.correction_revision})</span>"


def _regions(marks: Sequence[Mark]) -> str:
    if not marks:
        return ""
    ordered = sorted(marks, key=lambda mark: (not mark.drawn, mark.region.kind.value, -mark.region.confidence))
    items = [_region(mark) for mark in ordered[:_REGIONS_SHOWN]]
    if len(ordered) > _REGIONS_SHOWN:
        items.append(f"<li>and {len(ordered) - _REGIONS_SHOWN} more</li>")
    return f'<ul class="regions" aria-label="Regions">{"".join(items)}</ul>\n'


def _region(mark: Mark) -> str:
    region = mark.region
    text = str(region.attributes.get("text", ""))
    quoted = ""
    if text:
        shown = text if len(text) <= _TEXT_SHOWN_CHARS else text[:_TEXT_SHOWN_CHARS] + "\u2026"
        quoted = f" \u201c{escape(printable(shown))}\u201d"
    state = "" if mark.drawn else f' class="{"kept" if mark.kept else "proposed"}"'
    note = "" if mark.drawn else ", trained as you asked" if mark.kept else ", only proposed"
    found_by = escape(f"found by {region.source}{note}")
    return (
        f'<li data-kind="{region.kind.value}"{state} title="{found_by}">'
        f"{region.kind.value} {region.confidence:.2f}{quoted}{'' if mark.drawn or mark.kept else ' ?'}</li>"
    )


def _issues(issues: Sequence[Issue], *, label: str = "Issues") -> str:
    if not issues:
        return ""
    items = "".join(
        f'<li class="{issue.severity}"><code>{escape(issue.code)}</code> {escape(printable(issue.message))}</li>'
        for issue in issues
    )
    return f'<ul class="issues" aria-label="{label}">{items}</ul>\n'


def _totals(counts: Counts) -> Iterator[str]:
    shown = {
        "images": counts.done + counts.failed,
        "for review": counts.review,
        "auto": counts.auto,
        "failed": counts.failed,
        "over half masked": counts.over_half_masked,
        "corrected": counts.corrected,
        **{decision.value: number for decision, number in counts.decisions.items()},
        "missing": counts.missing,
    }
    for name, number in shown.items():
        if number or name in ("images", "for review", "auto"):
            yield f"<div><dt>{name}</dt><dd>{number:,}</dd></div>"


def _state_filters(counts: Counts) -> Iterator[str]:
    yield _radio("state", "", "all", counts.done + counts.failed)
    for state, number in (("failed", counts.failed), ("review", counts.review), ("auto", counts.auto)):
        if number:
            yield _radio("state", state, state, number)


def _kind_filters(counts: Counts, kinds: Sequence[Kind]) -> Iterator[str]:
    if not kinds:
        return
    yield _radio("kind", "", "any kind", None)
    for kind in kinds:
        yield _radio("kind", kind.value, kind.value, counts.kinds[kind])
    yield _radio("kind", "none", "nothing found", None)


def _radio(group: str, value: str, label: str, number: int | None) -> str:
    swatch = f'<span class="swatch" data-kind="{value}"></span>' if group == "kind" and value in list(Kind) else ""
    count = f" <small>{number:,}</small>" if number is not None else ""
    checked = " checked" if not value else ""
    radio = f'<input type="radio" name="{group}" value="{value}"{checked}>'
    return f'<label class="chip">{radio}{swatch}{label}{count}</label>'


def _pager(page: int, page_names: Sequence[str]) -> str:
    pages = len(page_names)
    if pages == 1:
        return ""
    near = sorted({1, pages, *(n for n in range(page - 2, page + 3) if 1 <= n <= pages)})
    items: list[str] = []
    if page > 1:
        items.append(f'<a rel="prev" href="{page_names[page - 2]}">Previous</a>')
    for before, number in zip([0, *near], near, strict=False):
        if number > before + 1:
            items.append("<span>&hellip;</span>")
        current = number == page
        items.append(
            f'<span aria-current="page">{number}</span>'
            if current
            else f'<a href="{page_names[number - 1]}">{number}</a>'
        )
    if page < pages:
        items.append(f'<a rel="next" href="{page_names[page]}">Next</a>')
    return f'<nav class="pager" aria-label="Pages">{"".join(items)}</nav>'
