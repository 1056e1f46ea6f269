"""A person's answer about what repeats: masks of the whole group change, nothing is settled, one step takes it back."""

import json

import numpy as np
import pytest
from cli_process import automask
from one_mask_cases import SETTINGS, some_artefact, some_box, some_layers, some_result
from PIL import Image
from review_cases import begun, put_image, stored_levels
from store_cases import make_template

from automask.mask.drawing import draw, without_answers
from automask.propagate.answers import answer, questions
from automask.run.redraw import redraw_image, redraw_store
from automask.store import Decision, Store
from automask.values.templates import SCORE_ATTRIBUTE, TEMPLATE_ATTRIBUTE, TemplateDecision, TemplateOrigin
from automask.values.types import Kind, Region

IMAGES = 12
YES, NO = TemplateDecision.APPLY, TemplateDecision.FORGET
TEMPLATE = make_template()
ID = TEMPLATE.id


def make_group(folder, *, seed=0):
    """Images on which all kinds of things were found and people changed all kinds; all but one show a template."""
    images, root = folder / "images", folder / "store"
    images.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with begun(root, images, SETTINGS) as store:
        store.templates.add(TEMPLATE, origin=TemplateOrigin.ESTIMATED)
        for number in range(IMAGES):
            name = f"{number:02d}.png"
            result = some_result(rng, name)
            Image.fromarray(np.full((result.height_px, result.width_px, 3), number, np.uint8)).save(images / name)
            own = [pair for pair in zip(result.regions, result.patches, strict=True) if pair[0].source != "overlay"]
            put_image(store, images, name, own, confidence=float(rng.random()), config=SETTINGS)
            content = store.lookup(name).content_sha256
            if number:
                box = some_box(rng, result.width_px, result.height_px)
                attributes = {TEMPLATE_ATTRIBUTE: ID, SCORE_ATTRIBUTE: round(float(rng.random()), 3)}
                kind, is_proposed = (Kind.FRAME, Kind.OVERLAY)[number % 2], number % 3 < 2
                region = Region(
                    kind,
                    box,
                    0.4 if is_proposed else 0.9,
                    "overlay",
                    artefact=some_artefact(rng, box),
                    attributes=attributes,
                    proposed=is_proposed,
                )
                store.templates.put_matches(name, [region], content_sha256=content, fingerprint="f")
            if number % 3:
                layers = some_layers(rng, store.result(name))
                store.put_correction(content, layers, author="ann", tool="review", based_on=None)
    redraw_store(root, SETTINGS)
    return root


def say(store, decision):
    return answer(store, ID, decision, author="ann", config=SETTINGS)


def state(store):
    """Of every image what a person sees: mask, verdict, confidence, standing decision."""
    return {
        row.image_id: (stored_levels(store.root, row.image_id), row.verdict, row.confidence, row.decision)
        for row in store.images()
    }


def differ(one, other):
    return [name for name in one if not np.array_equal(one[name][0], other[name][0])]


@pytest.fixture
def store(tmp_path):
    with Store.open(make_group(tmp_path)) as store:
        yield store


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_settles_nothing_and_is_taken_back_in_one_step(tmp_path, seed):
    with Store.open(make_group(tmp_path, seed=seed)) as store:
        before = state(store)
        for decision in (YES, NO):
            say(store, decision)
            after = state(store)
            assert differ(before, after), "else nothing was tried"
            assert {name: one[1:] for name, one in after.items()} == {name: one[1:] for name, one in before.items()}
        assert say(store, None).before is NO
        assert differ(before, state(store)) == []
        assert store.templates.find(ID).decision is None


@pytest.mark.parametrize("seed", range(4))
def test_pixels_that_a_person_corrected_are_never_overdrawn(tmp_path, seed):
    with Store.open(make_group(tmp_path, seed=10 + seed)) as store:
        corrected = 0
        masks = []
        for decision in (None, YES, NO):
            say(store, decision)
            masks.append(state(store))
        for name in masks[0]:
            newest = store.correction(store.lookup(name).content_sha256)
            layers = newest.layers if newest is not None else None
            if layers is None:
                continue
            said = [one for one in (layers.add, layers.remove, layers.weight_set) if one is not None]
            mine = np.logical_or.reduce(said) if said else np.zeros(masks[0][name][0].shape, bool)
            if layers.replaces:
                mine = np.ones_like(mine)
            corrected += int(mine.any())
            for other in masks[1:]:
                assert np.array_equal(other[name][0][mine], masks[0][name][0][mine]), name
        assert corrected >= 4


def test_what_is_drawn_with_an_answer_is_judged_as_without_it(store):
    say(store, YES)
    for row in store.images():
        found = store.result(row.image_id)
        asked = draw(without_answers(found), SETTINGS).judged
        judged = draw(found, SETTINGS).judged
        assert (judged.verdict, judged.confidence) == (asked.verdict, asked.confidence)
    assert store.result("00.png").unanswered is None, "it shows no template"


def test_an_accepted_mask_that_changes_is_looked_at_again(store):
    changed = differ(state(store), (say(store, YES), state(store))[1])
    say(store, None)
    contents = [store.lookup(name).content_sha256 for name in changed]
    store.decide_all(contents, Decision.ACCEPTED, author="ann")
    say(store, YES)
    assert {store.lookup(name).decision for name in changed} == {None}, "nobody saw the new masks"
    say(store, None)
    assert {store.lookup(name).decision for name in changed} == {Decision.ACCEPTED}


def test_what_was_accepted_with_an_answer_lapses_without_it(store):
    changed = differ(state(store), (say(store, YES), state(store))[1])
    store.decide_all([store.lookup(name).content_sha256 for name in changed], Decision.ACCEPTED, author="ann")
    assert {store.lookup(name).decision for name in changed} == {Decision.ACCEPTED}
    say(store, None)
    assert {store.lookup(name).decision for name in changed} == {None}


def test_an_answer_outlives_a_new_drawing_of_everything(store):
    say(store, YES)
    before = state(store)
    redraw_store(store.root, SETTINGS.model_copy(update={"render": SETTINGS.render.model_copy(update={"cell_px": 16})}))
    redraw_store(store.root, SETTINGS)
    after = state(store)
    assert differ(before, after) == []
    assert {name: one[1:] for name, one in after.items()} == {name: one[1:] for name, one in before.items()}


def test_one_question_for_the_group_the_least_alike_first(store):
    (question,) = questions(store)
    assert question.template.template.id == ID
    scores = [member.score for member in question.members]
    assert len(scores) == IMAGES - 1
    assert scores == sorted(scores)
    for decision in (YES, NO):
        say(store, decision)
        assert questions(store) == []
    say(store, None)
    assert len(questions(store)) == 1


def test_the_command_line_does_the_same_and_says_how_to_take_it_back(tmp_path):
    root = make_group(tmp_path)
    with Store.open(make_group(tmp_path / "other")) as other:
        say(other, YES)
        expected = state(other)
    done = automask("overlays", "apply", root, ID[:6])
    assert done.returncode == 0, done.stderr
    assert f"{IMAGES - 1} masks drawn again" in done.stdout
    with Store.open(root, read_only=True) as opened:
        assert differ(state(opened), expected) == []
    *_, command = done.stdout.strip().splitlines()
    again = automask(*command.partition("automask ")[2].split())
    assert again.returncode == 0, again.stderr
    (row,) = json.loads(automask("overlays", "list", root, "--json").stdout)
    assert (row["decision"], row["state"]) == (None, "waits for a decision")


def test_an_image_without_a_usable_result_does_not_stop_the_others(store, monkeypatch):
    from automask.propagate import answers

    def one_is_damaged(opened, row, config):
        return None if row.image_id == "03.png" else redraw_image(opened, row, config)

    monkeypatch.setattr(answers, "redraw_image", one_is_damaged)
    done = say(store, YES)
    assert done.failed == ("03.png",)
    assert len(done.drawn) == IMAGES - 2
