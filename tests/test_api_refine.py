"""`POST /v1/refine` against a real server on loopback: by colour, and with networks."""

import io

import numpy as np
import pytest
from fakes import pipeline, red_on_grey

pytest.importorskip("fastapi")

from api_server import png, serving
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from sam_pairs import write_ours

from automask.config import PipelineConfig, RuntimeConfig
from automask.plugins import build_refiner
from automask.protocols import Prompt, PromptableRefiner
from automask.values.geometry import Box
from automask.values.types import Image
from automask.weights import WeightLibrary
from automask_api.refining.open_images import OpenImages
from automask_models.refiners.colours import ColourPromptSession
from automask_models.refiners.polygon import PolygonRefiner

JSON = {"Accept": "application/json"}
RED = Box(16, 16, 48, 32)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), embeddings=2) as client:
        yield client


def asked(client, files=None, **fields):
    files = {"image": ("a.png", png())} if files is None else files
    answer = client.post("/v1/refine", files=files or None, data=fields, headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()


def grey_png(levels) -> bytes:
    out = io.BytesIO()
    PillowImage.fromarray(levels).save(out, "PNG")
    return out.getvalue()


def truth() -> np.ndarray:
    out = np.zeros((64, 96), dtype=bool)
    out[RED.slices] = True
    return out


def found(answer) -> np.ndarray:
    from automask.http.wire import WireRle

    out = np.zeros((64, 96), dtype=bool)
    box = Box(*answer["box"])
    out[box.slices] = WireRle.model_validate(answer["rle"]).artefact(box)
    return out


def iou(a, b) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize(
    ("prompt", "method"),
    [
        ({"points": "30,24"}, "region-growing"),
        ({"box": "10,10,56,38"}, "grabcut"),
        ({"box": "10,10,56,38", "points": "30,24", "not_points": "70,50"}, "grabcut"),
    ],
)
def test_a_prompt_finds_the_thing_by_colour(client, prompt, method):
    answer = asked(client, **prompt)
    assert answer["method"] == method
    assert answer["note"] == ""  # the ink network was asked, and a red rectangle is no ink
    assert iou(found(answer), truth()) > 0.85


def test_a_drawing_finds_the_thing(client):
    drawn = np.full((64, 96), 255, dtype=np.uint8)
    drawn[20:30, 20:44] = 0
    files = {"image": ("a.png", png()), "drawn": ("d.png", grey_png(drawn))}
    assert iou(found(asked(client, files)), truth()) > 0.85


def test_the_mask_comes_back_with_the_thing_masked_or_trained(client):
    base = np.full((64, 96), 255, dtype=np.uint8)
    base[:, 60:] = 100
    files = {"image": ("a.png", png()), "mask": ("m.png", grey_png(base))}
    answer = client.post("/v1/refine", files=files, data={"points": "30,24", "growth_cells": "0"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-automask-method"] == "region-growing"
    masked = np.asarray(PillowImage.open(io.BytesIO(answer.content)))
    assert (masked[RED.slices] == 0).mean() > 0.85
    assert (masked[:, 60:] == 100).all()
    files["mask"] = ("m.png", answer.content)
    again = client.post("/v1/refine", files=files, data={"points": "30,24", "do": "train"})
    np.testing.assert_array_equal(np.asarray(PillowImage.open(io.BytesIO(again.content))), base)


def test_an_image_is_remembered_until_others_push_it_out(client):
    first = asked(client, points="30,24")
    sha = first["content_sha256"]
    assert asked(client, {}, content_sha256=sha, points="30,24")["rle"] == first["rle"]
    for seed in (5, 6):
        asked(client, {"image": ("b.png", png(seed=seed))}, points="30,24")
    gone = client.post("/v1/refine", params={"content_sha256": sha, "points": "1,1"})
    assert (gone.status_code, gone.json()["code"]) == (404, "image-forgotten")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "prompt-invalid"),
        ({"points": "200,10"}, "prompt-invalid"),
        ({"box": "50,50,40,60"}, "prompt-invalid"),
        ({"box": "500,500,600,600"}, "prompt-invalid"),
        ({"points": "x"}, "config-invalid"),
        ({"not_points": "5,5"}, "prompt-invalid"),
        ({"points": "5,5", "extra": "1"}, "config-invalid"),
    ],
)
def test_wrong_prompts_are_problems(client, fields, code):
    answer = client.post("/v1/refine", files={"image": ("a.png", png())}, data=fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_masks_of_another_size_are_refused(client):
    files = {"image": ("a.png", png()), "mask": ("m.png", grey_png(np.zeros((5, 5), dtype=np.uint8)))}
    answer = client.post("/v1/refine", files=files, data={"points": "30,24"})
    assert (answer.status_code, answer.json()["code"]) == (422, "prompt-invalid")
    assert client.post("/v1/refine", content=b"x", headers={"Content-Type": "image/png"}).status_code == 415


def lettered() -> np.ndarray:
    """Dark letters on a light ground, (H, W, 3) uint8."""
    canvas = PillowImage.new("RGB", (480, 240), (228, 224, 210))
    ImageDraw.Draw(canvas).text((60, 90), "HARBOUR 1987", fill=(30, 30, 36), font=ImageFont.load_default(48))
    return np.asarray(canvas)


def test_the_ink_network_answers_where_the_refiner_cannot_be_asked(client):
    pixels = lettered()
    answer = asked(client, {"image": ("a.png", grey_png(pixels))}, points="80,115")
    assert (answer["method"], answer["note"]) == ("ink", "")
    dark = pixels.max(axis=2) < 100
    x0, y0, x1, y1 = answer["box"]
    assert dark[y0:y1, x0:x1].sum() > 0.9 * dark.sum()
    assert (x1 - x0) * (y1 - y0) < 0.5 * dark.size


def test_without_any_network_colour_answers_and_the_note_says_why(tmp_path):
    config = PipelineConfig(refiner="polygon", options={"sam": {"weights": str(tmp_path / "none.onnx")}})
    with serving(tmp_path / "data", pipeline=pipeline(config=config), more_refiners=()) as client:
        answer = asked(client, points="30,24")
    assert answer["method"] == "region-growing"
    assert "none.onnx" in answer["note"]


def test_a_loaded_refiner_that_can_be_asked_comes_first(tmp_path):
    network = sam(tmp_path)
    open_images = OpenImages(
        pipeline(), most=1, most_px=10**6, loaded=(PolygonRefiner(PolygonRefiner.Options()), network)
    )
    opened = open_images.opened("a", Image("a", red_on_grey()))
    assert opened.session.answer(Prompt(box=RED, drawn=truth())).method == "sam"


def sam(folder):
    return build_refiner(
        "sam",
        options={"weights": str(write_ours(folder))},
        weights=WeightLibrary({}),
        runtime=RuntimeConfig(threads=1),
    )


def test_a_network_is_asked_where_its_weights_are(tmp_path):
    refiner = sam(tmp_path)
    assert isinstance(refiner, PromptableRefiner)
    with serving(tmp_path / "data", pipeline=pipeline(refiner=refiner)) as client:
        drawn = np.full((64, 96), 255, dtype=np.uint8)
        drawn[RED.slices] = 0
        files = {"image": ("a.png", png()), "drawn": ("d.png", grey_png(drawn))}
        answer = asked(client, files)
        assert (answer["method"], answer["note"]) == ("sam", "")
        assert iou(found(answer), truth()) > 0.6  # the graph gives the drawing back at a quarter of its resolution
        again = asked(client, {"drawn": files["drawn"]}, content_sha256=answer["content_sha256"])
        assert again["rle"] == answer["rle"]


def test_a_session_looks_once_at_the_whole_image_and_closer_at_small_things(tmp_path):
    refiner = sam(tmp_path)
    pixels = red_on_grey(800, 600, box=(100, 100, 130, 110))
    session = refiner.prompt_session(Image("a", pixels))
    backend, encoded = session._backend, []
    encode = backend.encode
    backend.encode = lambda window: encoded.append(window.shape) or encode(window)
    small = np.zeros((600, 800), dtype=bool)
    small[100:110, 100:130] = True
    for _ in range(3):
        answer = session.answer(Prompt(box=Box(100, 100, 130, 110), drawn=small))
    assert len(encoded) == 1
    assert max(encoded[0][:2]) < 600
    assert iou(answer.artefact, small) > 0.6
    for _ in range(2):  # a click says no size: half and a quarter of the longer side are looked at, each once
        session.answer(Prompt(points=[(400, 300)], wanted=[True]))
    assert encoded[1:] == [(400, 400, 3), (200, 200, 3)]


def test_open_images_are_bounded_by_their_pixels_too():
    open_images = OpenImages(pipeline(), most=10, most_px=3 * 64 * 96)
    for name in "abcde":
        open_images.opened(name, Image(name, red_on_grey()))
    assert [name for name in "abcde" if open_images.found(name)] == ["c", "d", "e"]


def test_colours_answer_for_whole_images_and_flat_ones():
    flat = Image("a", np.full((40, 50, 3), 128, dtype=np.uint8))
    session = ColourPromptSession(flat)
    assert session.answer(Prompt(box=flat.box)).artefact.any()
    assert session.answer(Prompt(points=[(49, 39)], wanted=[True])).artefact.all()
    assert session.answer(Prompt(points=[(0, 0)], wanted=[True])).score == 0.5
