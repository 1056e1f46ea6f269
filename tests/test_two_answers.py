"""Clicks and boxes that the ink map and a network both answer: which answer is taken, and how that is fitted."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sam_pairs import write_ours

from automask.config import RuntimeConfig
from automask.plugins import build_refiner
from automask.protocols import Prompt, PromptAnswer, PromptSession
from automask.values.geometry import Box
from automask.values.types import Image, Kind, Region
from automask.weights import WeightLibrary
from automask_models.refiners.prompts import SamPromptSession
from automask_models.refiners.two_answers import FEATURES, AnswerChoice, TwoAnswersSession, choice_features
from automask_models.text.evidence import LogisticModel
from automask_training.answer_choice import asked, fitted, table
from automask_training.synth.types import SyntheticImage, SyntheticInstance

CLICK = Prompt(points=[(20.5, 20.5)], wanted=[True])
BOX = Prompt(box=Box(10, 10, 30, 30))
NEVER = LogisticModel(intercept=-9, coefficients={})
ALWAYS = LogisticModel(intercept=9, coefficients={})


def answer(box, *, score=0.5, method="ink"):
    artefact = np.zeros((64, 96), dtype=np.bool_)
    if box is not None:
        artefact[box.slices] = True
    return PromptAnswer(artefact, score, method)


@dataclass
class Says(PromptSession):
    """Gives the same answer to every question."""

    given: PromptAnswer

    def answer(self, prompt):
        return self.given

    def wrong_part(self, thing, point, *, wanted=()):
        return thing & self.given.artefact


def choice(by_click, by_region):
    return AnswerChoice(fitted_on="nothing", by_click=by_click, by_region=by_region)


SOME, LARGE = answer(Box(10, 10, 30, 30)), answer(Box(0, 0, 90, 60), method="sam")


def test_clicks_and_regions_have_models_of_their_own():
    session = TwoAnswersSession(Says(SOME), Says(LARGE), choice(NEVER, ALWAYS))
    assert session.answer(CLICK).method == "ink"
    assert session.answer(BOX).method == "sam"
    assert session.answer(Prompt(drawn=SOME.artefact)).method == "sam"


@pytest.mark.parametrize("model", [NEVER, ALWAYS])
def test_something_is_better_than_nothing(model):
    nothing = answer(None)
    assert TwoAnswersSession(Says(nothing), Says(LARGE), choice(model, model)).answer(CLICK).method == "sam"
    assert TwoAnswersSession(Says(SOME), Says(answer(None, method="sam")), choice(model, model)).answer(CLICK) is SOME


def test_a_click_beside_a_mask_is_not_answered_by_what_is_masked_already():
    session = TwoAnswersSession(Says(SOME), Says(answer(Box(40, 10, 60, 30), method="sam")), choice(NEVER, NEVER))
    masked = np.zeros_like(SOME.artefact)
    masked[11:29, 11:29] = True
    beside = Prompt(points=[(50.5, 20.5)], wanted=[True], masked=masked)
    assert session.answer(beside).method == "sam", "of the other answer only a rim is new"
    masked[:, 20:] = False
    assert session.answer(beside).method == "ink"


def test_what_is_removed_is_seen_in_the_ink_map():
    session = TwoAnswersSession(Says(SOME), Says(LARGE), choice(ALWAYS, ALWAYS))
    part = session.wrong_part(np.ones((64, 96), dtype=np.bool_), (20, 20))
    np.testing.assert_array_equal(part, SOME.artefact)


boxes = st.tuples(st.integers(0, 80), st.integers(0, 50), st.integers(1, 15), st.integers(1, 13)).map(
    lambda v: Box(v[0], v[1], v[0] + v[2], v[1] + v[3])
)


@given(boxes, boxes, st.floats(0, 1), st.floats(0, 1))
def test_features_are_finite_and_have_the_names_that_models_weigh(first, second, ink, network):
    features = choice_features(answer(first, score=ink), answer(second, score=network))
    assert tuple(features) == FEATURES
    assert all(np.isfinite(each) for each in features.values())
    assert 0 <= features["overlap"] <= 1
    assert choice_features(answer(first), answer(first))["overlap"] == 1


def test_a_model_that_weighs_what_is_not_measured_is_refused():
    with pytest.raises(ValueError, match="weighs mood"):
        choice(NEVER, LogisticModel(intercept=0, coefficients={"mood": 1.0}))


def test_the_shipped_model_prefers_an_answer_that_did_not_flood():
    model = AnswerChoice.bundled()
    flood, thing = answer(Box(0, 0, 96, 64), score=0.3), answer(Box(10, 10, 30, 20), score=0.9, method="sam")
    assert model.takes_network(CLICK, flood, thing)
    alike = answer(Box(10, 10, 30, 20), score=0.9)
    assert not model.takes_network(CLICK, alike, answer(Box(10, 10, 12, 12), score=0.05, method="sam"))


class _Source:
    """A thing at another place on every picture."""

    def sample(self, index):
        x0 = 4 + 7 * (index % 8)
        thing = SyntheticInstance("watermark", "logo", (x0, 20, x0 + 16, 36), np.ones((16, 16), dtype=np.bool_), 1.0)
        return SyntheticImage(pixels=np.zeros((64, 96, 3), dtype=np.uint8), instances=(thing,))


class _Refiner:
    def __init__(self, good):
        self._good = good

    def prompt_session(self, image):
        x0 = 4 + 7 * (int(image.id) % 8)
        is_right = int(image.id) % 2 == self._good
        box = Box(x0, 20, x0 + 16, 36) if is_right else Box(0, 0, 96, 64)
        return Says(answer(box, score=0.9 if is_right else 0.2))


def test_the_fit_learns_which_answer_is_better():
    rows = list(asked(_Source(), 24, (_Refiner(0), _Refiner(1))))
    assert len(rows) == 48
    assert {each.by_click for each in rows} == {True, False}
    model = fitted([each for each in rows if each.by_click])
    told = table(rows, choice(model, model))
    assert told.count("100% (0.000 /") == 2, "chosen, by click and by box"
    assert told.count("50%") == 4


def region(kind):
    return Region(kind=kind, box=Box(40, 30, 160, 70), confidence=0.9, source="t")


def test_text_is_outlined_by_the_ink_network_where_it_sees_it(tmp_path):
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    canvas = PillowImage.new("RGB", (320, 200), (90, 120, 90))
    ImageDraw.Draw(canvas).text((45, 33), "Harbour", fill=(255, 255, 255), font=ImageFont.load_default(30))
    image = Image("a", np.asarray(canvas))
    library, runtime = WeightLibrary.discover(), RuntimeConfig(threads=1)

    def sam(**options):
        options["weights"] = str(write_ours(tmp_path))
        made = build_refiner("sam", options=options, weights=library, runtime=runtime)
        made.load()
        return made

    with_ink, without = sam(ink="automask-ink"), sam()
    ink = build_refiner("ink", options={}, weights=library, runtime=runtime)
    ink.load()
    text, mark = region(Kind.TEXT), region(Kind.WATERMARK)
    by_both, expected = with_ink.refine(image, [text, mark]), ink.refine(image, [text])[0]
    assert [each.refiner for each in by_both] == ["ink", "sam"]
    np.testing.assert_array_equal(by_both[0].artefact, expected.artefact)
    assert [each.refiner for each in without.refine(image, [text, mark])] == ["sam", "sam"]
    empty = Image("b", np.full((200, 320, 3), 90, dtype=np.uint8))
    assert with_ink.refine(empty, [text])[0].refiner == "sam", "the ink map shows nothing there"
    assert with_ink.fingerprint != without.fingerprint
    assert isinstance(with_ink.prompt_session(image), TwoAnswersSession)
    assert isinstance(without.prompt_session(image), SamPromptSession)
