"""Why an image waits for a person, in words."""

import dataclasses

import numpy as np
import pytest
from review_cases import region_at
from store_cases import make_result
from store_cases import stored_image as image

from automask.config import PipelineConfig
from automask.mask.judging import certainty_of
from automask.run.reasons import figures_of, reasons_of, region_words
from automask.store import Decision, Status
from automask.values.geometry import Box
from automask.values.templates import SCORE_ATTRIBUTE, TEMPLATE_ATTRIBUTE
from automask.values.types import Issue, Kind, Patch, Verdict

CONFIG = PipelineConfig.model_validate({"review": {"audit": 0.0}})
AUDITED = PipelineConfig.model_validate({"review": {"audit": 1.0}})
WHOLE = Box(0, 0, 1000, 800)


def region(kind=Kind.TEXT, confidence=0.9, box=WHOLE, source="test", **attributes):
    found, _ = region_at(box, kind=kind, confidence=confidence)
    return dataclasses.replace(found, source=source, attributes=attributes)


def doubtful_image(**changes):
    """A row whose mask the model doubts."""
    return image(**{"confidence": 0.5, **changes})


SHARED = {TEMPLATE_ATTRIBUTE: "t1", SCORE_ATTRIBUTE: 0.95}
CASES = {
    "A frame that only this image has.": ([region(Kind.FRAME, 0.55)], {}),
    "Perhaps a frame that only this image has, not masked but proposed.": ([region(Kind.FRAME, 0.45)], {}),
    "Small, faint text.": ([region(confidence=0.51, letters_share=0.01)], {}),
    "Faint or unusual text.": ([region(confidence=0.51, letters_share=0.1)], {}),
    "Small, faint text (2 of them).": ([region(confidence=0.51, box=Box(y, y, y + 90, y + 15)) for y in (0, 300)], {}),
    "Something that may be no watermark.": ([region(Kind.WATERMARK, 0.52)], {}),
    "A mark that repeats across images, not masked until you decide.": ([region(Kind.OVERLAY, 0.42, **SHARED)], {}),
    "Something small near the edge, perhaps text or a mark, was left.": (
        [region(Kind.WATERMARK, 0.45, box=Box(900, 760, 990, 790))],
        {},
    ),
    "A frame that the layout map takes for picture.": ([region(Kind.FRAME, 0.8, layout_inside=0.3)], {}),
    "62 % of it is masked: little is left to learn from.": ([], {"masked_share": 0.62, "confidence": 0.9}),
    "The mask as a whole looks doubtful (31 % sure).": ([region()], {"confidence": 0.31}),
    "The program was not sure of it when its mask was made.": ([region()], {"confidence": 0.9}),
    "It could not be read or analysed.": ([], {"status": Status.FAILED, "verdict": None}),
}


@pytest.mark.parametrize("words", CASES)
def test_each_reason_has_its_words(words):
    regions, changes = CASES[words]
    assert reasons_of(doubtful_image(**changes), regions, [], CONFIG) == [words]


def test_what_nobody_asks_about_has_none():
    assert reasons_of(image(verdict=Verdict.AUTO), [region(confidence=0.51)], [], AUDITED) == []
    assert reasons_of(image(verdict=Verdict.AUTO, decision=Decision.ACCEPTED), [], [], AUDITED) == []


def test_reasons_of_the_run_come_with_those_of_the_picture():
    policy = {"review": {"audit": 1.0}, "policy": {"watermark": {"action": "review"}}}
    config = PipelineConfig.model_validate(policy)
    issues = [Issue("detect", "stage-failed", "It broke.", "error"), Issue("write", "correction-stale", "It changed.")]
    assert reasons_of(image(), [region(Kind.WATERMARK)], issues, config) == [
        "The picture changed after its mask was corrected.",
        "A part of the analysis failed on it.",
        "You asked to see every image with a watermark.",
        "It is of the audit sample, picked at random.",
    ]


def test_a_budget_explains_what_nothing_else_does():
    config = PipelineConfig.model_validate({"review": {"budget": 0.1, "audit": 0.0}})
    assert reasons_of(image(confidence=0.7), [], [], config) == ["It is among the masks the program is least sure of."]


def test_what_the_dataset_or_another_detector_confirms_is_no_reason():
    frame, doubtful = region(Kind.FRAME, 0.97, source="overlay", **SHARED), region(Kind.FRAME, 0.55)
    much = image(masked_share=0.7)
    assert "70 % of it" in reasons_of(much, [frame, doubtful], [], CONFIG)[0], "or else what?"
    assert reasons_of(dataclasses.replace(much, confidence=0.5), [frame, doubtful], [], CONFIG) == [
        "The mask as a whole looks doubtful (50 % sure)."
    ]
    assert reasons_of(much, [frame, doubtful], [], AUDITED) == ["It is of the audit sample, picked at random."]
    other = dataclasses.replace(frame, attributes={TEMPLATE_ATTRIBUTE: "t1", SCORE_ATTRIBUTE: 0.7})
    assert "70 % of it" in reasons_of(much, [other, doubtful], [], AUDITED)[0], "the frame of another type of card"
    twin = [region(confidence=0.51, source="ink"), region(confidence=0.95, source="rapidocr")]
    assert reasons_of(image(), twin, [], AUDITED) == ["It is of the audit sample, picked at random."]
    proposal = dataclasses.replace(region(Kind.FRAME, 0.55), proposed=True)
    sure = region(Kind.FRAME, 0.99, source="ink")
    assert "Perhaps a frame" in reasons_of(image(), [proposal, sure], [], AUDITED)[0], "all frames have the same box"


def test_a_sure_mask_names_no_doubts_but_what_only_a_person_can_say():
    faint, asked = region(confidence=0.51), dataclasses.replace(region(Kind.FRAME, 0.9), proposed=True)
    assert reasons_of(image(), [faint, asked], [], CONFIG) == [
        "Perhaps a frame that only this image has, not masked but proposed."
    ]
    large = region(letters_share=0.3)
    assert reasons_of(doubtful_image(), [large], [], CONFIG)[0].startswith("Large text")


def test_what_waits_for_a_person_is_named_wherever_the_policy_draws_the_line():
    def reasons(accept):
        config = PipelineConfig.model_validate({"review": {"audit": 0.0}, "policy": {"frame": {"accept": accept}}})
        waiting = dataclasses.replace(region(Kind.FRAME, 0.35), proposed=True)
        return reasons_of(image(confidence=0.95), [waiting], [], config)

    assert reasons(0.3) == ["Perhaps a frame that only this image has, not masked but proposed."]
    assert reasons(0.5) == ["The program was not sure of it when its mask was made."]


@pytest.mark.parametrize("source", ["alpha", "alpha+edges"])
def test_of_transparent_pixels_the_layout_map_says_nothing(source):
    transparent = region(Kind.FRAME, 1.0, source=source, layout_inside=0.3)
    assert region_words(transparent, CONFIG) == "transparent pixels"
    assert reasons_of(doubtful_image(), [transparent], [], CONFIG) == [
        "The mask as a whole looks doubtful (50 % sure)."
    ]


def test_what_the_policy_keeps_is_no_doubt():
    config = PipelineConfig.model_validate({"review": {"audit": 1.0}, "policy": {"text": {"action": "keep"}}})
    assert certainty_of(region(confidence=0.5), config.policy) == 1.0
    assert reasons_of(image(), [region(confidence=0.5)], [], config) == ["It is of the audit sample, picked at random."]


def test_words_of_regions():
    frame, shared = region(Kind.FRAME), region(Kind.FRAME, **SHARED)
    assert region_words(shared, CONFIG) == "a frame that many images share"
    assert region_words(frame, CONFIG) == "a frame that only this image has"
    assert region_words(frame, CONFIG, [frame, shared]) == "a frame that this image alone shows"
    assert region_words(region(Kind.WATERMARK, closure=0.9), CONFIG) == "a mark repeated all over"
    assert region_words(region(Kind.FRAME, source="alpha"), CONFIG) == "transparent pixels"
    assert region_words(region(Kind.GROUND, source="alpha"), CONFIG) == "transparent pixels, trained"


def test_the_same_in_figures():
    def figures(*regions, config=CONFIG, **numbers):
        patches = tuple(Patch(each.box, np.ones(each.box.shape, bool), 1.0, "polygon") for each in regions)
        result = dataclasses.replace(make_result("a.png"), regions=regions, patches=patches)
        return figures_of(result, config, **{"confidence": 0.9, "masked_share": 0.1, **numbers})

    assert figures() == ("probability of a fine mask 0.90, at least 0.85", "nothing drawn")
    asked = dataclasses.replace(region(Kind.FRAME, 0.97, source="edges"), proposed=True)
    config = PipelineConfig.model_validate(
        {"policy": {"watermark": {"action": "review"}, "overlay": {"action": "keep"}}}
    )
    mark, text = region(Kind.WATERMARK, 0.8), region(confidence=0.51, text="SALE")
    kept = region(Kind.OVERLAY, 0.5)
    assert figures(asked, mark, text, kept, config=config, confidence=0.3, masked_share=0.625) == (
        "probability of a fine mask 0.30, under 0.85",
        "62 % of the image is masked",
        "drawn: watermark 0.80 of test, text 0.51 \u201cSALE\u201d of test",
        "drawn in doubt: text 0.51 \u201cSALE\u201d of test",
        "nearly drawn: frame 0.97 of edges, only proposed",
        "of a kind that is always asked about: watermark 0.80 of test",
    )
    assert figures(*[mark] * 6)[1].endswith("and 2 more")
