"""Templates of a dataset in the store: where they were found, what a person decided, and which masks that makes old."""

from pathlib import Path

import pytest
from store_cases import FINGERPRINTS, add_template, make_levels, make_template, put, template_region, write_file

from automask.errors import StoreError
from automask.store import Store, Work
from automask.values.templates import TemplateDecision, TemplateOrigin
from automask.values.types import Kind, Verdict

ID = make_template().id


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path, root):
    with Store.open(tmp_path / "out", create=True) as store:
        put(store, write_file(root, "card.jpg", b"pixels"))
        yield store


@pytest.fixture
def file(root):
    return write_file(root, "card.jpg", b"pixels")


def draw(store, image_id="card.jpg"):
    result = store.result(image_id)
    store.put_mask(
        image_id,
        make_levels(),
        mask_name=Path(image_id).with_suffix(".png").as_posix(),
        fuse_fingerprint=FINGERPRINTS.with_templates(result.template_set).fuse,
        confidence=0.5,
        verdict=Verdict.AUTO,
        correction_revision=None,
    )


def test_a_found_template_makes_the_mask_old(store, file):
    assert store.is_current(file, FINGERPRINTS)
    add_template(store)
    assert store.plan(file, FINGERPRINTS).work is Work.RENDER
    draw(store)
    assert store.is_current(file, FINGERPRINTS)
    assert Kind.OVERLAY in store.lookup("card.jpg").kinds


def test_the_same_find_again_changes_nothing(store, file):
    add_template(store)
    draw(store)
    before = store.lookup("card.jpg").template_set
    add_template(store)
    assert store.lookup("card.jpg").template_set == before
    assert store.is_current(file, FINGERPRINTS)


def test_a_decision_counts_for_every_image_that_shows_the_template(store, file):
    add_template(store)
    draw(store)
    assert store.templates.find(ID).waits_for_decision
    store.templates.decide(ID, TemplateDecision.APPLY, author="ann")
    assert not store.templates.find(ID).waits_for_decision
    assert store.plan(file, FINGERPRINTS).work is Work.RENDER
    assert store.result("card.jpg").regions[-1].confidence == 1.0
    assert store.regions("card.jpg")[-1].confidence == 1.0
    store.templates.decide(ID, TemplateDecision.FORGET, author="ann")
    assert [region.kind for region in store.result("card.jpg").regions] == [Kind.TEXT, Kind.FRAME]
    assert store.lookup("card.jpg").template_set == ""
    assert Kind.OVERLAY not in store.lookup("card.jpg").kinds


def test_detectors_that_run_again_leave_templates_alone(store, file):
    add_template(store)
    put(store, file, confidence=0.3)
    assert [region.source for region in store.result("card.jpg").regions] == ["rapidocr", "edges", "overlay"]
    assert store.lookup("card.jpg").templates_fingerprint == "search-1"


def test_other_pixels_show_no_template_until_they_are_searched(store, root):
    add_template(store)
    put(store, write_file(root, "card.jpg", b"other pixels"))
    stored = store.lookup("card.jpg")
    assert (stored.template_set, stored.templates_fingerprint) == ("", None)
    assert len(store.result("card.jpg").regions) == 2
    late = store.templates.put_matches(
        "card.jpg", [template_region()], content_sha256="of the old pixels", fingerprint="search-1"
    )
    assert not late
    assert len(store.result("card.jpg").regions) == 2


def test_a_renamed_image_takes_its_templates_along(store, root):
    add_template(store)
    renamed = write_file(root, "sub/renamed.jpg", b"pixels")
    assert store.plan(renamed, FINGERPRINTS).work is Work.RENDER
    assert store.lookup("sub/renamed.jpg").template_set == store.lookup("card.jpg").template_set != ""
    draw(store, "sub/renamed.jpg")
    assert store.templates.images_of(ID, limit=5) == ["card.jpg", "sub/renamed.jpg"]


def test_undecided_templates_that_nobody_shows_go(store):
    add_template(store)
    decided = make_template("d" * 16)
    store.templates.add(decided, origin=TemplateOrigin.SAVED)
    store.templates.decide(decided.id, TemplateDecision.FORGET, author="ann")
    store.templates.replace([], origin=TemplateOrigin.ESTIMATED, sample_fingerprint="sample-2")
    store.templates.replace([], origin=TemplateOrigin.SAVED)
    content = store.lookup("card.jpg").content_sha256
    store.templates.put_matches("card.jpg", [], content_sha256=content, fingerprint="search-2")
    store.templates.prune()
    assert [(each.template.id, each.is_active) for each in store.templates.all()] == [(decided.id, False)]
    assert store.templates.sample_fingerprint() == "sample-2"


def test_ids_may_be_shortened_while_they_are_plain(store):
    add_template(store)
    store.templates.add(make_template("c0ffff" + "0" * 10), origin=TemplateOrigin.SAVED)
    assert store.templates.find("c0ffee").template == make_template()
    for wrong in ("c0ff", "unknown", ""):
        with pytest.raises(StoreError) as caught:
            store.templates.find(wrong)
        assert caught.value.code == "template-unknown"
        assert ID in caught.value.advice
