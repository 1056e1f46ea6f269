"""Writes the report: `index.html`, `page-2.html`, ... with relative paths only, readable from a disk or a server.

Small pictures are made of what people look at first: the first page, and whatever asks for review. On other pages the
browser loads the images themselves, when they come into view, and lays the masks over them.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from automask.dataset.names import IMAGE_SUFFIXES, suffix_of
from automask.files.atomic import discard, write_atomic
from automask.files.threads import in_threads
from automask.report.cards import Card, card_html, page_html
from automask.report.overlay import Mark
from automask.report.source import ReportSource, relative_link
from automask.report.templates import PAGE_NAME as TEMPLATES_PAGE
from automask.report.templates import write_templates_page
from automask.report.thumbnails import Thumbnails, keep_thumbnails, make_thumbnails
from automask.store.records import Status, StoredImage
from automask.values.types import Verdict
from automask.version import __version__

IMAGES_PER_PAGE = 200
REPORT_FOLDER = "report"
_ASSETS = ("style.css", "page.js")
_BROWSERS_SHOW = IMAGE_SUFFIXES - {".tif", ".tiff"}
_STATE = "state.txt"
"""Which state of the store the whole report shows, and by which version of ours."""


def write_report(
    root: Path,
    *,
    only_if_changed: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write or refresh the report of a store.

    Args:
        root: The store's folder.
        only_if_changed: Leave a report that is whole and shows the store as it is, as after a run that found nothing
            to do. Files that were changed without a run go unnoticed then.
        stop: Set it to end early; pages written so far stay.
        progress: Called with (images shown, images in all).

    Returns:
        The first page.

    Raises:
        StoreError: There is no usable store.
        OutputError: The report cannot be written.
    """
    folder = root / REPORT_FOLDER
    with ReportSource.open(root) as source:
        state = f"{__version__} {source.store.state()}"
        if only_if_changed and (folder / page_name(1)).is_file() and _text_of(folder / _STATE) == state:
            return folder / page_name(1)
        discard(folder / _STATE)
        for asset in _ASSETS:
            write_atomic(folder / asset, (files("automask.report") / asset).read_bytes())
        counts = source.store.counts()
        total = counts.done + counts.failed
        pages = max(1, -(-total // IMAGES_PER_PAGE))
        title = (source.input_root or root.resolve()).name
        written = time.strftime("%Y-%m-%d %H:%M")
        repeats = write_templates_page(source, folder, title=title, version=__version__, written=written)
        images = (image for image in source.store.images(order="confidence") if image.status is not Status.MISSING)
        pictures: set[str] = set()
        shown = 0
        for number in range(1, pages + 1):
            articles: list[str] = []
            for card in _cards(source, folder, list(itertools.islice(images, IMAGES_PER_PAGE)), page=number, stop=stop):
                articles.append(card_html(card))
                if card.thumbnails is not None:
                    pictures.update(filter(None, (card.thumbnails.overlay, card.thumbnails.mask)))
                shown += 1
                progress(shown, total)
            if stop is not None and stop.is_set():
                return folder / page_name(1)
            html = page_html(
                articles,
                title=title,
                counts=counts,
                page=number,
                page_names=[page_name(n) for n in range(1, pages + 1)],
                templates_page=TEMPLATES_PAGE if repeats else None,
                notices=source.store.dataset_notices() if number == 1 else (),
                version=__version__,
                written=written,
            )
            write_atomic(folder / page_name(number), html.encode(), durable=False)
        keep_thumbnails(folder, pictures)
        _remove_leftovers(folder, pages=pages)
        write_atomic(folder / _STATE, state.encode(), durable=False)
    return folder / page_name(1)


def page_name(number: int) -> str:
    """File name of a page, counted from 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def _cards(
    source: ReportSource, folder: Path, images: Sequence[StoredImage], *, page: int, stop: threading.Event | None
) -> Iterator[Card]:
    issues = source.store.issues_of([image.image_id for image in images])

    def card(pair: tuple[StoredImage, list[Mark]]) -> Card:
        image, marks = pair
        image_path, mask_path = source.image_path(image), source.mask_path(image)
        thumbnails: Thumbnails | None = None
        if page == 1 or image.verdict is not Verdict.AUTO or suffix_of(image.image_id) not in _BROWSERS_SHOW:
            thumbnails = make_thumbnails(folder, image, marks, image_path=image_path, mask_path=mask_path)
        elif not image_path.is_file():
            thumbnails = Thumbnails(None, None)
        return Card(
            image=image,
            marks=marks,
            issues=issues.get(image.image_id, []),
            thumbnails=thumbnails,
            image_link=relative_link(image_path, folder),
            mask_link=relative_link(mask_path, folder),
        )

    pairs = list(zip(images, source.all_marks(images), strict=True))
    return in_threads(card, pairs, stop=stop or threading.Event())


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _remove_leftovers(folder: Path, *, pages: int) -> None:
    for number in itertools.count(pages + 1):
        page = folder / page_name(number)
        if not page.is_file():
            return
        page.unlink()
