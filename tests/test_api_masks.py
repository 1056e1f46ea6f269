"""`POST /v1/masks` against a real server on loopback."""

import io
import json

import numpy as np
import pytest
from fakes import CrashOn, Slow, pipeline

pytest.importorskip("fastapi")

from api_server import png, serving
from PIL import Image

from automask.config import DecodeConfig, PipelineConfig
from automask.dataset.decode import decode_bytes
from automask.files.png import encode_mask
from automask.http.wire import WireResult
from automask.mask.drawing import draw
from automask.trainers.conventions import TRAINERS


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data")) as client:
        yield client


def expected(data, **sections):
    """The mask file as a run writes it."""
    config = PipelineConfig.model_validate(sections)
    decoded = decode_bytes(data, image_id="x", config=DecodeConfig())
    (result,) = pipeline().run([decoded.image])
    return encode_mask(draw(result, config).mask.levels)


@pytest.mark.parametrize("way", ["raw", "form"])
def test_masks_are_equal_to_the_byte_to_those_of_a_run(client, way):
    data = png(seed=1)
    sent = {"content": data} if way == "raw" else {"files": {"image": ("a.png", data)}}
    answer = client.post("/v1/masks", **sent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == expected(data)
    assert answer.headers["x-automask-verdict"] == "auto"
    assert float(answer.headers["x-automask-confidence"]) > 0.5
    assert len(answer.headers["x-automask-fingerprint"]) == 16


def test_options_are_those_of_the_configuration_in_the_query_and_in_the_form(client):
    data = png(seed=2)
    render = {"training_px": 512, "growth_cells": 0.5, "cell_px": 16}
    mask = expected(data, render=render, policy={"text": {"weight": 0.25}})
    given = {**render, "weight": "text=0.25"}
    assert client.post("/v1/masks", content=data, params=given).content == mask
    form = client.post("/v1/masks", files={"image": ("a.png", data)}, data={k: str(v) for k, v in given.items()})
    assert form.content == mask
    assert mask != expected(data)


def test_kinds_leave_out_the_others(client):
    answer = client.post("/v1/masks", content=png(), params={"kinds": ["frame", "watermark"]})
    assert np.asarray(Image.open(io.BytesIO(answer.content))).min() == 255
    assert client.post("/v1/masks", content=png(), params={"kinds": "text"}).content == expected(png())


def test_a_trainer_sets_the_least_growth(client):
    data, needed = png(seed=6), TRAINERS["onetrainer"].growth_cells
    grown = expected(data, render={"training_px": 128, "growth_cells": max(1.0, needed)})
    assert client.post("/v1/masks", content=data, params={"trainer": "onetrainer", "training_px": 128}).content == grown
    unknown = client.post("/v1/masks", content=data, params={"trainer": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "trainer-unknown")


def test_json_tells_everything_and_draws_the_same_mask(client):
    data = png(seed=3)
    answer = client.post("/v1/masks", files={"image": ("b.png", data)}, headers={"Accept": "application/json"})
    wire = WireResult.model_validate_json(answer.content)
    assert wire.image_id == "b.png"
    assert wire.regions[0].attributes["text"] == "red"
    assert wire.masked_share > 0
    assert {"decode", "red", "refine"} <= set(wire.timings_s)
    assert encode_mask(draw(wire.result(), PipelineConfig()).mask.levels) == expected(data)


def test_a_known_tag_is_answered_without_the_mask(client):
    data = png(seed=4)
    first = client.post("/v1/masks", content=data)
    tag = first.headers["etag"]
    again = client.post("/v1/masks", content=data, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.post("/v1/masks", content=data, params={"growth_cells": 3}, headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["etag"] != tag


def test_an_image_seen_before_costs_no_model_under_any_rendering(tmp_path):
    looked = pipeline()
    with serving(tmp_path, pipeline=looked) as client:
        data = png(seed=5)
        first = client.post("/v1/masks", content=data).content
        assert client.post("/v1/masks", content=data, params={"growth_cells": 0}).content != first
        assert client.post("/v1/masks", content=data).content == first
    assert len(looked.detectors[0].seen) == 1
    damaged = next(tmp_path.glob("cache/*/*.json.z"))
    damaged.write_bytes(b"not it")
    with serving(tmp_path, pipeline=looked) as client:
        assert client.post("/v1/masks", content=data).content == first
    assert len(looked.detectors[0].seen) == 2


def test_the_cache_stays_within_its_bound(tmp_path):
    with serving(tmp_path, cache_bytes=3000) as client:
        for seed in range(12):
            assert client.post("/v1/masks", content=png(seed=seed)).status_code == 200
    kept = [path.stat().st_size for path in tmp_path.glob("cache/*/*.json.z")]
    assert 0 < sum(kept) <= 3000


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b""}, 422, "input-invalid"),
        ({"content": b"GIF89a"}, 422, None),
        ({"content": png()[:200]}, 422, "image-truncated"),
        ({"content": b"<html>"}, 422, None),
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "unsupported-type"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "request-invalid"),
        ({"files": {"picture": ("a.png", png())}}, 400, "request-invalid"),
        ({"files": {"image": ("a.png", png())}, "data": {"grow": "1"}}, 422, "config-invalid"),
        ({"content": png(), "params": {"grow": 1}}, 422, "config-invalid"),
        ({"content": png(), "params": {"growth_cells": -1}}, 422, "config-invalid"),
        ({"content": png(), "params": {"policy": "text=burn"}}, 422, "config-invalid"),
        ({"content": png(), "params": {"policy": "cats=keep"}}, 422, "config-invalid"),
        ({"content": png(), "headers": {"Accept": "text/html"}}, 406, "not-acceptable"),
        ({"content": b"\0" * (3 << 20)}, 413, "body-too-large"),
    ],
)
def test_bad_requests_are_problems_that_say_what_to_do(tmp_path_factory, request_, status, code):
    with serving(tmp_path_factory.mktemp("data"), max_image_bytes=1 << 20) as client:
        answer = client.post("/v1/masks", **request_)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    if code:
        assert problem["code"] == code


def test_large_images_are_refused_before_they_are_decoded(tmp_path):
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    with serving(tmp_path) as client:
        answer = client.post("/v1/masks", content=out.getvalue())
    assert (answer.status_code, answer.json()["code"]) == (413, "image-too-large")


def test_a_stage_that_fails_is_an_error_of_the_server_and_harms_nobody_else(tmp_path):
    with serving(tmp_path, pipeline=pipeline(CrashOn("bad"))) as client:
        bad = client.post("/v1/masks", files={"image": ("bad.png", png())})
        good = client.post("/v1/masks", files={"image": ("good.png", png())})
    assert (bad.status_code, bad.json()["code"]) == (500, "stage-failed")
    assert good.status_code == 200


def test_a_deadline_that_passes_is_said(tmp_path):
    with serving(tmp_path, pipeline=pipeline(Slow(2.0))) as client:
        answer = client.post("/v1/masks", content=png(), params={"deadline_s": 1})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline-passed")


def test_what_runs_where_is_told(client):
    told = client.get("/v1/models").json()
    assert [stage["name"] for stage in told["detectors"]] == ["red"]
    assert told["fingerprints"]["fuse"] == client.post("/v1/masks", content=png()).headers["x-automask-fingerprint"]
    assert json.loads(client.get("/healthz").content) == {"status": "ok"}
