"""Images that a person excluded take no part in an export, until the decision is taken back."""

import pytest
from export_cases import export, make_store
from fakes import red_on_grey
from PIL import Image

from automask.errors import ConfigError
from automask.report.pages import write_report
from automask.store import Decision, Store


@pytest.fixture
def store(tmp_path):
    (tmp_path / "images").mkdir()
    for seed, name in enumerate(["a.png", "b.png", "c.png"]):
        Image.fromarray(red_on_grey(96, 64, seed=seed)).save(tmp_path / "images" / name)
    return make_store(tmp_path / "images")


def decide(store, image_id, decision):
    with Store.open(store) as opened:
        opened.decide(opened.lookup(image_id).content_sha256, decision, author="ann")


def test_excluding_is_reversible_and_said(store):
    assert export(store, "grey").images == 3
    decide(store, "b.png", Decision.EXCLUDED)
    summary = export(store, "kohya", images="link")
    assert (summary.images, summary.left_out) == (2, {"excluded": ("b.png",)})
    assert not list(summary.output.rglob("b.*"))
    decide(store, "b.png", None)
    again = export(store, "kohya", images="link")
    assert (again.images, again.left_out) == (3, {})
    assert list(again.output.rglob("b.*"))


def test_an_export_that_cannot_leave_images_out_refuses(store):
    decide(store, "b.png", Decision.EXCLUDED)
    with pytest.raises(ConfigError, match="excluded in review") as caught:
        export(store, "onetrainer", in_place=True)
    assert "b.png" in caught.value.message
    assert caught.value.code == "export-needs-images"


def test_the_report_says_so(store):
    decide(store, "b.png", Decision.EXCLUDED)
    page = write_report(store).read_text(encoding="utf-8")
    assert "excluded by a person" in page
    assert "<dt>excluded</dt><dd>1</dd>" in page
