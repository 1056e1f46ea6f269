"""What a server says about an image survives the way through JSON exactly, and nonsense is refused."""

import json

import numpy as np
import pytest
from fakes import image, pipeline, red_on_grey
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from automask.http.wire import WireResult, WireRle
from automask.mask.drawing import draw
from automask.values.geometry import Box
from automask.values.types import Fingerprints, Image, Issue, Kind, MaskResult, Patch, Region, Verdict

SHA256 = "0" * 64


def sent(result, **options):
    """A result after the way through JSON."""
    wire = WireResult.of_result(result, content_sha256=SHA256, masked_share=0.25)
    return WireResult.model_validate_json(wire.model_dump_json(**options)).result()


def a_result(regions=(), patches=(), issues=()):
    return MaskResult(
        image_id="sub/ä.png",
        width_px=40,
        height_px=30,
        regions=tuple(regions),
        patches=tuple(patches),
        confidence=1 / 3,
        verdict=Verdict.REVIEW,
        issues=tuple(issues),
        fingerprints=Fingerprints("d", "r", "f"),
        timings_s={"rapidocr": 0.1},
    )


def same(one: MaskResult, other: MaskResult) -> bool:
    def flat(result):
        regions = [
            (r.kind, r.box, r.confidence, r.source, r.polygon, dict(r.attributes), r.proposed, _pixels(r.artefact))
            for r in result.regions
        ]
        patches = [(p.box, p.score, p.refiner, p.note, _pixels(p.artefact)) for p in result.patches]
        return (result.image_id, result.width_px, result.height_px, result.confidence, result.verdict), (
            regions,
            patches,
            tuple(result.issues),
            result.fingerprints,
            dict(result.timings_s),
        )

    return flat(one) == flat(other)


def _pixels(artefact):
    return None if artefact is None else (artefact.dtype.str, artefact.shape, artefact.tobytes())


def test_what_a_pipeline_found_comes_back_and_renders_to_the_same_mask():
    pixels = red_on_grey()
    alpha = np.full(pixels.shape[:2], 255, dtype=np.uint8)
    alpha[:, :5] = 0
    works = pipeline()
    for picture in (image(), Image("transparent.png", pixels, alpha=alpha)):
        (found,) = works.run([picture])
        result = draw(found, works.config).judged
        assert result.regions
        back = sent(result)
        assert same(back, result)
        assert np.array_equal(works.render(back).weight, works.render(result).weight)


def test_every_field_comes_back():
    rng = np.random.default_rng(0)
    box, patch_box = Box(3, 4, 20, 24), Box(2, 4, 20, 28)
    own = rng.random(box.shape) < 0.5
    outline = rng.random(patch_box.shape) < 0.5
    attributes = {"text": 'a "b" \\ 漢', "score_rec": 0.1 + 0.2, "whole": 3.0, "count": 3, "flag": True}
    polygon = ((3.25, 4.1), (20.0, 4.0), (1e-9, 24.0))
    regions = [
        Region(Kind.WATERMARK, box, 1 / 7, "a+b", polygon=polygon, artefact=own, attributes=attributes),
        Region(
            Kind.FRAME,
            patch_box,
            np.float32(0.7),
            "edges",
            artefact=outline,
            attributes={"n": np.int64(4)},
            proposed=np.bool_(True),  # as plug-ins may give it
        ),
    ]
    patches = [Patch(patch_box, outline, 2 / 3, "sam", "too small"), Patch(patch_box, outline, 1.0, "polygon")]
    issues = [Issue("decode", "image-cmyk", "Ä.", "warning"), Issue("sam", "stage-failed", "B.", "error")]
    result = a_result(regions, patches, issues)
    back = sent(result)
    assert same(back, result)
    kinds = {name: type(value) for name, value in back.regions[0].attributes.items()}
    assert kinds == {"text": str, "score_rec": float, "whole": float, "count": int, "flag": bool}


def test_a_shape_that_is_the_patch_is_sent_once():
    box = Box(0, 0, 4, 4)
    shape = np.eye(4, dtype=bool)
    result = a_result([Region(Kind.FRAME, box, 1.0, "x", artefact=shape)], [Patch(box, shape, 1.0, "x")])
    wire = json.loads(WireResult.of_result(result, content_sha256=SHA256, masked_share=0.0).model_dump_json())
    assert wire["regions"][0]["artefact"] == "patch"
    assert wire["regions"][0]["patch"]["rle"]["size"] == [4, 4]


def test_keys_of_a_newer_server_are_ignored():
    wire = json.loads(WireResult.of_result(a_result(), content_sha256=SHA256, masked_share=0.0).model_dump_json())
    assert same(WireResult.model_validate({**wire, "mood": "fine"}).result(), a_result())


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_pixels_come_back(artefact):
    box = Box(5, 6, 5 + artefact.shape[1], 6 + artefact.shape[0])
    rle = WireRle.model_validate_json(WireRle.of(artefact).model_dump_json())
    assert np.array_equal(rle.artefact(box), artefact)


def wire_with(**changes):
    box = Box(0, 0, 4, 4)
    shape = np.eye(4, dtype=bool)
    result = a_result([Region(Kind.FRAME, box, 1.0, "x", artefact=~shape)], [Patch(box, shape, 1.0, "x")])
    wire = json.loads(WireResult.of_result(result, content_sha256=SHA256, masked_share=0.0).model_dump_json())
    for path, value in changes.items():
        target, *keys = wire["regions"][0], *path.split("__")
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value
    return WireResult.model_validate(wire)


@pytest.mark.parametrize(
    "changes",
    [
        {"box": [0, 0, 41, 4]},
        {"box": [2, 2, 2, 4]},
        {"patch__box": [-1, 0, 3, 4]},
        {"patch__rle__size": [4, 5]},
        {"patch__rle__counts": [1, 2]},
        {"patch__rle__counts": [20, -4]},
        {"artefact__counts": [10**15]},
        {"polygon": [[0, 0], [1, 1]]},
    ],
)
def test_nonsense_is_refused(changes):
    wire = wire_with(**changes)
    with pytest.raises(ValueError, match=r"\w"):
        wire.result()
