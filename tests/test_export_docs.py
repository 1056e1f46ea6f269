"""Every format has a page that says what the program says."""

import re
from pathlib import Path

import pytest

from automask.export.howto import shown
from automask.export.protocol import ExportContext
from automask.export.run import build_exporter
from automask.plugins import EXPORTERS, available
from automask.trainers.conventions import TRAINERS

PAGES = Path(__file__).parent.parent / "docs" / "trainers"
FORMATS = sorted(available(EXPORTERS))


def page(name):
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def test_the_list_of_formats_is_complete():
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(\1\.md\) \|", page("README"), re.MULTILINE)
    assert set(listed) ^ set(FORMATS) == set(), "only in the list of docs/trainers/README.md, or only installed"
    assert len(listed) == len(FORMATS), "listed twice"
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README", "conformance"}
    assert pages ^ set(FORMATS) == set(), "a page of docs/trainers without a format, or a format without a page"


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_says_what_to_run_and_paste(name):
    text = page(name)
    assert re.search(rf"^automask export .*--to {name} ", text, re.MULTILINE), "no line to run the export"
    exporter = build_exporter(name, options={})
    out = Path("/data/masks-export")
    snippet = exporter.snippet(ExportContext(out, Path("/data/imgs"), out / "masks", (".",), 1024, 8))
    if snippet is None:
        assert name not in TRAINERS
        return
    assert "## What to paste" in text
    for line in snippet.text.splitlines():
        if "/data/" not in line:
            assert line in text


@pytest.mark.parametrize("name", sorted(TRAINERS))
def test_the_page_of_a_trainer_has_all_settings(name):
    text, trainer = page(name), TRAINERS[name]
    for setting in trainer.settings:
        assert f"| `{setting.key}` | `{shown(setting.value)}` | {setting.why} |" in text
    assert f"What to clear after masks were added or changed: {trainer.cache}." in " ".join(text.split())
    assert "automask check /data/" in text
    assert f"--for {name}" in text


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target
