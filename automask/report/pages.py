"""Writes the report: `index.html`, `page-2.html`, ... with relative paths only, readable from a disk or a server."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

from automask.files.atomic import write_atomic
from automask.report.cards import Card, card_html, page_html
from automask.report.source import ReportSource, relative_link
from automask.report.templates import PAGE_NAME as TEMPLATES_PAGE
from automask.report.templates import write_templates_page
from automask.report.thumbnails import make_thumbnails, remove_thumbnails
from automask.store.records import Status, StoredImage
from automask.version import __version__

IMAGES_PER_PAGE = 200
REPORT_FOLDER = "report"
_ASSETS = ("style.css", "page.js")
_AHEAD = 32
"""Images whose thumbnails are in the making at once: enough to keep the cores busy, little memory."""


def write_report(
    root: Path,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write or refresh the report of a store.

    Args:
        root: The store's folder.
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
        for asset in _ASSETS:
            write_atomic(folder / asset, (files("automask.report") / asset).read_bytes())
        counts = source.store.counts()
        total = counts.done + counts.failed
        pages = max(1, -(-total // IMAGES_PER_PAGE))
        title = (source.input_root or root.resolve()).name
        written = time.strftime("%Y-%m-%d %H:%M")
        repeats = write_templates_page(source, folder, title=title, version=__version__, written=written)
        cards = _cards(source, folder)
        shown = 0
        for number in range(1, pages + 1):
            articles: list[str] = []
            for card in itertools.islice(cards, IMAGES_PER_PAGE):
                articles.append(card_html(card))
                shown += 1
                progress(shown, total)
                if stop is not None and stop.is_set():
                    cards.close()
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
            write_atomic(folder / page_name(number), html.encode())
        _remove_leftovers(source, folder, pages=pages)
    return folder / page_name(1)


def page_name(number: int) -> str:
    """File name of a page, counted from 1."""
    return "index.html" if number == 1 else f"page-{number}.html"


def _cards(source: ReportSource, folder: Path) -> Generator[Card, None, None]:
    """Cards in the order of doubt, made by a few threads that never run far ahead of the page being written."""
    images = (image for image in source.store.images(order="confidence") if image.status is not Status.MISSING)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="report") as pool:
        pending: deque[Future[Card]] = deque()
        for image in images:
            pending.append(pool.submit(_card, source, folder, image))
            if len(pending) >= _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _card(source: ReportSource, folder: Path, image: StoredImage) -> Card:
    marks = source.marks(image)
    image_path, mask_path = source.image_path(image), source.mask_path(image)
    return Card(
        image=image,
        marks=marks,
        issues=source.store.issues(image.image_id),
        thumbnails=make_thumbnails(folder, image, marks, image_path=image_path, mask_path=mask_path),
        image_link=relative_link(image_path, folder),
        mask_link=relative_link(mask_path, folder),
    )


def _remove_leftovers(source: ReportSource, folder: Path, *, pages: int) -> None:
    for image in source.store.images(status=Status.MISSING):
        remove_thumbnails(folder, image.image_id)
    for number in itertools.count(pages + 1):
        page = folder / page_name(number)
        if not page.is_file():
            return
        page.unlink()
