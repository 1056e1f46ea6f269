"""The report: every image once, most doubtful first, relative links only, escaped, refreshed cheaply."""

import gc
import multiprocessing
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from export_cases import export, make_store
from PIL import Image

from automask.config import PipelineConfig
from automask.dataset.image_file import ImageFile
from automask.report import pages
from automask.report.pages import write_report
from automask.store import Store, queries
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Issue, Kind, MaskResult, Patch, Region, Verdict

SIDE_PX = 64
EVIL = '"><script>alert(1)</script>'


class Page(HTMLParser):
    """Collects links and cards of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.cards: list[dict[str, str]] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag == "article":
            self.cards.append(values)

    def targets(self) -> list[Path]:
        local = [link for link in self.links if not link.startswith(("#", "data:"))]
        return [self.path.parent / unquote(link) for link in local]


def add_image(store: Store, root: Path, name: str, *, confidence: float, text: str = "", issue: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE_PX, SIDE_PX), (90, 140, 60)).save(path, format="PNG")
    status = path.stat()
    file = ImageFile(
        id=name,
        path=path,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        mask_name=f"{name}.png",
    )
    if confidence < 0:
        store.put_failure(file, [Issue("decode", "image-truncated", issue, "error")])
        return
    box = Box(4, 4, 30, 20)
    region = Region(Kind.TEXT, box, confidence, "fake", attributes={"text": text} if text else {})
    result = MaskResult(
        image_id=name,
        width_px=SIDE_PX,
        height_px=SIDE_PX,
        regions=(region,),
        patches=(Patch(box, np.ones(box.shape, dtype=np.bool_), 1.0, "polygon"),),
        confidence=confidence,
        verdict=Verdict.REVIEW if confidence < 0.6 else Verdict.AUTO,
        issues=(Issue("decode", "wrong-extension", issue),) if issue else (),
        fingerprints=Fingerprints("d", "r", "f"),
    )
    levels = np.full((SIDE_PX, SIDE_PX), 255, dtype=np.uint8)
    levels[2:22, 2:32] = 0
    store.put_result(file, result, levels, content_sha256=f"{abs(hash(name)):064x}"[:64])


@pytest.fixture
def root(tmp_path):
    return tmp_path / "set-masks"


@pytest.fixture
def filled(tmp_path, root):
    """Two doubtful images, one sure one, a failed one; names and strings that HTML must not take for its own."""
    images = tmp_path / "set"
    with Store.open(root, create=True) as store:
        store.begin_run(config_json=PipelineConfig().model_dump_json(), input_root=str(images), version="0")
        add_image(store, images, "sure.png", confidence=0.95)
        add_image(store, images, "sub/50% & more #1.png", confidence=0.55, text=EVIL)
        add_image(store, images, "doubt.png", confidence=0.51, issue=EVIL)
        add_image(store, images, "broken.png", confidence=-1, issue=EVIL)
    return root


def all_pages(root: Path) -> list[Page]:
    names = sorted((root / "report").glob("*.html"), key=lambda p: int(re.sub(r"\D", "", p.name) or 1))
    return [Page(path) for path in names]


def test_most_doubtful_first(filled):
    first = write_report(filled)
    assert first == filled / "report" / "index.html"
    (page,) = all_pages(filled)
    assert [card["data-name"] for card in page.cards] == [
        "broken.png",
        "doubt.png",
        "sub/50% & more #1.png",
        "sure.png",
    ]
    assert [card["data-state"] for card in page.cards] == ["failed", "review", "review", "auto"]


def test_every_link_is_relative_and_leads_somewhere(filled):
    write_report(filled)
    for page in all_pages(filled):
        assert all(not re.match(r"[a-z]+:|/", link) or link == "data:," for link in page.links), page.links
        targets = page.targets()
        assert len(targets) > 10
        assert [target for target in targets if not target.exists()] == []
    for asset in ("style.css", "page.js"):
        text = (filled / "report" / asset).read_text(encoding="utf-8")
        assert "http" not in text
        assert "@import" not in text


def test_nothing_from_outside_becomes_markup(filled):
    write_report(filled)
    (page,) = all_pages(filled)
    text = page.path.read_text(encoding="utf-8")
    assert page.tags.count("script") == 1
    assert text.count("&lt;script&gt;") == 3
    assert "alert(1)</script>" not in text


def test_images_that_a_run_has_taken_are_not_too_large_for_the_report(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (90, 60), (90, 160, 90)).save(folder / "a.jpg")
    Image.new("RGB", (90, 60), (90, 160, 90)).save(folder / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # an error from twice as many on, a warning below
    store = make_store(folder)
    page = write_report(store)
    cards = [card for card in Page(page).targets() if card.suffix == ".jpg" and card.is_file()]
    assert len(cards) >= 2
    assert export(store, "kohya").images == 2


def test_pages_of_two_hundred_and_no_leftovers(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "IMAGES_PER_PAGE", 2)
    with Store.open(filled) as store:
        add_image(store, tmp_path / "set", "fifth.png", confidence=0.7)
    write_report(filled)
    shown = all_pages(filled)
    assert [len(page.cards) for page in shown] == [2, 2, 1]
    assert "page-2.html" in shown[0].links
    assert "page-3.html" in shown[1].links
    assert len({card["data-name"] for page in shown for card in page.cards}) == 5
    monkeypatch.setattr(pages, "IMAGES_PER_PAGE", 200)
    write_report(filled)
    assert len(all_pages(filled)) == 1


def test_thumbnails_are_made_once_and_again_when_the_mask_changes(filled):
    write_report(filled)
    thumbs = {path: path.stat().st_mtime_ns for path in (filled / "report" / "thumbs").rglob("*.*")}
    assert len(thumbs) == 6  # overlay and mask of three images
    write_report(filled)
    assert {path: path.stat().st_mtime_ns for path in (filled / "report" / "thumbs").rglob("*.*")} == thumbs
    with Store.open(filled) as store:
        levels = np.full((SIDE_PX, SIDE_PX), 255, dtype=np.uint8)
        store.put_mask(
            "sure.png", levels, fuse_fingerprint="f2", confidence=0.95, verdict=Verdict.AUTO, correction_revision=None
        )
    write_report(filled)
    after = set((filled / "report" / "thumbs").rglob("*.*"))
    assert len(after) == 6
    assert len(after - set(thumbs)) == 2


def test_a_mask_is_red_in_its_thumbnail(filled):
    write_report(filled)
    (page,) = all_pages(filled)
    overlays = [target for target in page.targets() if target.suffix == ".jpg"]
    assert len(overlays) == 3
    for overlay in overlays:
        with Image.open(overlay) as picture:
            red, green, _ = picture.getpixel((15, 12))
            assert red > green + 50
            red, green, _ = picture.getpixel((50, 50))
            assert green > red


def test_images_that_are_gone_keep_their_card_without_a_picture(filled, tmp_path):
    (tmp_path / "set" / "sure.png").unlink()
    write_report(filled)
    (page,) = all_pages(filled)
    assert len(page.cards) == 4
    assert "no picture" in page.path.read_text(encoding="utf-8")


def test_missing_images_leave_the_report_and_their_thumbnails_go(filled):
    write_report(filled)
    with Store.open(filled) as store:
        store.mark_missing(lambda image_id: image_id == "sure.png")
    write_report(filled)
    (page,) = all_pages(filled)
    assert "sure.png" not in [card["data-name"] for card in page.cards]
    assert len(list((filled / "report" / "thumbs").rglob("*.*"))) == 4


def test_an_empty_store_has_a_page(root):
    Store.open(root, create=True).close()
    write_report(root)
    (page,) = all_pages(root)
    assert page.cards == []
    assert "no images" in page.path.read_text(encoding="utf-8")


def test_every_picture_has_a_text_and_every_page_a_language_and_a_heading(filled):
    write_report(filled)
    (page,) = all_pages(filled)
    text = page.path.read_text(encoding="utf-8")
    assert text.count("<img ") == text.count("<img src=") == len(re.findall(r'<img [^>]*alt="[^"]+"', text))
    assert '<html lang="en">' in text
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == 4


def peak_bytes_of(folder, count):
    """Most memory of a report of so many images; in a process of its own, where nobody else allocates any."""
    pages.IMAGES_PER_PAGE = 20
    queries._CHUNK = 20  # rows that the store reads at once
    root, images = folder / f"masks{count}", folder / f"set{count}"
    with Store.open(root, create=True) as store:
        store.begin_run(config_json=PipelineConfig().model_dump_json(), input_root=str(images), version="0")
        for index in range(count):
            add_image(store, images, f"{index}.png", confidence=0.9)
    tracemalloc.start()
    write_report(root, progress=lambda done, total: gc.collect() if done % 20 == 0 else None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    with multiprocessing.get_context("spawn").Pool(1) as process:
        # The first is for what is imported and cached once.
        _, less, more = process.starmap(peak_bytes_of, [(tmp_path, count) for count in (20, 100, 300)], chunksize=3)
    # Pillow and the allocator keep some crumbs; one card that stays would be several kilobytes.
    assert (more - less) / 200 < 1000
