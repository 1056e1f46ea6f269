"""The report's page of what repeats across the dataset, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from automask.dataset.names import path_of
from automask.files.atomic import discard, write_atomic
from automask.report.cards import link, printable
from automask.report.source import ReportSource, relative_link
from automask.values.templates import SHORT_ID, StoredTemplate, question_words, template_state

PAGE_NAME = "overlays.html"
_PICTURES = "overlays"
_IMAGES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """What the page shows of one template.

    Attributes:
        stored: The template.
        picture: Its picture, relative to the page.
        images: Images that show it, and links to their files where there are any.
    """

    stored: StoredTemplate
    picture: str
    images: Sequence[tuple[str, str | None]]


def write_templates_page(source: ReportSource, folder: Path, *, title: str, version: str, written: str) -> bool:
    """Write or remove the page; tells whether there is one.

    Raises:
        OutputError: It cannot be written.
    """
    known = source.store.templates.all()
    wanted = {f"{each.template.id}.png" for each in known}
    for old in (folder / _PICTURES).glob("*.png"):
        if old.name not in wanted:
            discard(old)
    if not known:
        discard(folder / PAGE_NAME)
        return False
    cards = []
    for each in known:
        picture = f"{_PICTURES}/{each.template.id}.png"
        write_atomic(folder / picture, each.template.picture_png)
        names = source.store.templates.images_of(each.template.id, limit=_IMAGES_SHOWN)
        links = [(name, relative_link(path_of(source.input_root or Path(), name), folder)) for name in names]
        cards.append(TemplateCard(each, picture, links))
    page = Template((files(__package__) / PAGE_NAME).read_text(encoding="utf-8"))
    html = page.substitute(
        title=escape(printable(f"{title}: what repeats")),
        heading=escape(printable(title)),
        cards="\n".join(template_html(card) for card in cards),
        version=escape(version),
        written=escape(written),
    )
    write_atomic(folder / PAGE_NAME, html.encode())
    return True


def template_html(card: TemplateCard) -> str:
    """One template as an article."""
    each, template = card.stored, card.stored.template
    state = "review" if each.waits_for_decision else "auto"
    shown = ", ".join(
        f'<a href="{link(target)}">{escape(printable(name))}</a>' if target else escape(printable(name))
        for name, target in card.images
    )
    more = each.matches - len(card.images)
    facts = [
        f"<span>{template.kind.value}, {escape(template.anchor)}</span>",
        f"<span>in {each.matches:,} images</span>",
        f'<span title="share of the {template.images} images that were compared">support {template.support:.0%}</span>',
        f"<span>{template.area_share:.1%} of the area</span>",
        f"<span>confidence {template.confidence:.2f}</span>",
    ]
    decide = (
        f"<p>{escape(question_words(each))} <code>automask overlays apply STORE {template.id[:SHORT_ID]}</code> or "
        f"<code>automask overlays forget STORE {template.id[:SHORT_ID]}</code></p>"
        if each.waits_for_decision
        else ""
    )
    return f"""<article data-state="{state}">
<div class="pictures"><span><img src="{link(card.picture)}" alt="The {template.kind.value}" loading="lazy"></span></div>
<div class="text">
<h2>{template.id[:SHORT_ID]}</h2>
<p class="facts"><span class="badge {state}">{escape(template_state(each))}</span>{"".join(facts)}</p>
{decide}<p>{shown}{f" and {more:,} more" if more > 0 else ""}</p>
</div>
</article>"""
