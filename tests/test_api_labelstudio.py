"""Label Studio's protocol: its requests as its own connector sends them, its results as its own SDK reads them."""

import base64
import contextlib
import http.server
import socket
import threading
import time
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from fakes import RedDetector, pipeline

pytest.importorskip("fastapi")

from api_process import ENDS_WITHIN_S, ServeProcess
from api_server import png, serving

from automask.errors import ConfigError, InputError
from automask.values.brush import decode_brush
from automask.values.geometry import Box
from automask.values.types import Kind
from automask_api.errors import OriginRefused, TooLarge
from automask_api.labelstudio.images import TaskImages, origin_of
from automask_api.labelstudio.interface import control_of
from automask_api.security.keys import KEYS_FILE, add_key

LABELS = "".join(f'<Label value="{kind.value}"/>' for kind in Kind)
BOX = Box(16, 16, 48, 32)


def config(tag: str, labels: str = LABELS) -> str:
    return f'<View><Image name="img" value="$picture"/><{tag} name="what" toName="img">{labels}</{tag}></View>'


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def asked(client, tasks, labelling_config, **more) -> dict:
    """As `make_predictions` of Label Studio's connector asks."""
    body = {
        "tasks": [{"id": n, "project": 1, "data": {"picture": one}, "meta": {}} for n, one in enumerate(tasks)],
        "project": "1.1700000000",
        "label_config": labelling_config,
        "params": {"login": None, "password": None, "context": None},
    }
    answer = client.post("/predict", json={**body, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def set_up(client, labelling_config, **more):
    """As `setup` of Label Studio's connector asks."""
    body = {
        "project": "1.1700000000",
        "schema": labelling_config,
        "hostname": "http://localhost:8080",
        "access_token": "secret",
        "extra_params": None,
    }
    return client.post("/setup", json={**body, **more})


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "media" / "upload" / "1").mkdir(parents=True)
    (folder / "media" / "upload" / "1" / "7d-a b.png").write_bytes(png())
    (folder / "outside.png").write_bytes(png())
    (folder / "media" / "link.png").symlink_to(folder / "outside.png")
    with serving(folder / "data", roots=(folder / "media",)) as client:
        yield client


def test_label_studio_connects(client):
    assert client.get("/health").json()["status"] == "UP"
    answer = set_up(client, config("BrushLabels"))
    assert answer.json()["model_version"].startswith("automask-")
    predicted = asked(client, [data_uri(png())], None)  # the configuration of its setup
    assert predicted["results"][0]["model_version"] == predicted["model_version"] == answer.json()["model_version"]


def test_brushes_are_what_was_found_to_the_pixel(client):
    found = asked(client, [data_uri(png())], config("BrushLabels"))["results"][0]
    (region,) = found["result"]
    assert 0 < found["score"] <= 1
    assert (region["type"], region["from_name"], region["to_name"]) == ("brushlabels", "what", "img")
    assert (region["original_width"], region["original_height"]) == (96, 64)
    assert region["value"]["brushlabels"] == ["text"]
    artefact = decode_brush(region["value"]["rle"], shape=(64, 96))
    assert Box.of_artefact(artefact) == BOX
    assert artefact[BOX.slices].all()


@pytest.mark.parametrize("tag", ["PolygonLabels", "RectangleLabels"])
def test_polygons_and_rectangles_are_in_percent(client, tag):
    (region,) = asked(client, [data_uri(png())], config(tag))["results"][0]["result"]
    value = region["value"]
    if tag == "PolygonLabels":
        points = np.array(value["points"])
        corners = [*points.min(axis=0), *points.max(axis=0)]
    else:
        corners = [value["x"], value["y"], value["x"] + value["width"], value["y"] + value["height"]]
    expected = [100 * x / side for x, side in zip(BOX.xyxy, (96, 64, 96, 64), strict=True)]
    assert corners == pytest.approx(expected, abs=0.5)
    assert value[tag.lower()] == ["text"]


@pytest.mark.parametrize("tag", ["BrushLabels", "PolygonLabels", "RectangleLabels"])
def test_label_studios_own_sdk_takes_the_predictions(client, tag):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    labelling = interface.LabelInterface(config(tag))
    prediction = asked(client, [data_uri(png())], config(tag))["results"][0]
    assert labelling.validate_prediction(prediction)
    assert not labelling.validate_prediction({**prediction, "result": [{**prediction["result"][0], "type": "choices"}]})
    if tag == "BrushLabels":
        value = prediction["result"][0]["value"]
        pixels = brush.decode_rle(value["rle"]).reshape(64, 96, 4)[..., 3]
        assert Box.of_artefact(pixels > 0) == BOX


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ('<Label value="Lettering"/><Label value="Logo"/>', {Kind.TEXT: "Lettering", Kind.WATERMARK: "Logo"}),
        ('<Label value="x" predicted_values="text, frame"/><Label value="y"/>', {Kind.TEXT: "x", Kind.FRAME: "x"}),
        ('<Label value="Schrift" alias="text"/><Label value="y"/>', {Kind.TEXT: "text"}),
        ('<Label value="Alles"/>', dict.fromkeys(Kind, "Alles")),
        ('<Label value="text"/><Label value="other"/>', {**dict.fromkeys(Kind, "other"), Kind.TEXT: "text"}),
        ('<View><Label value="TEXT"/></View><Label value="dog"/>', {Kind.TEXT: "TEXT"}),
    ],
)
def test_labels_are_those_of_the_project(labels, expected):
    assert dict(control_of(config("BrushLabels", labels)).labels) == expected


def test_the_most_exact_tag_is_taken():
    both = config("RectangleLabels").replace("</View>", "") + config("BrushLabels").replace("what", "pen")[6:]
    assert (control_of(both).shape, control_of(both).from_name) == ("brushlabels", "pen")


@pytest.mark.parametrize(
    "text",
    [
        "", "<View>", "no xml", "<View/>", "\0", config("Choices"), config("BrushLabels", ""),
        config("BrushLabels", '<Label value="dog"/><Label value="cat"/>'), 
        config("BrushLabels").replace("$picture", "x"),
        config("BrushLabels").replace('toName="img"', 'toName="other"'),
        '<!DOCTYPE a [<!ENTITY a "b">]>' + config("BrushLabels"), "<a>" * 100_000,
        "<View>" + " " * 1_000_001 + "</View>",
    ],
)  # fmt: skip
def test_configurations_that_nothing_can_be_predicted_for_are_refused(client, text):
    with pytest.raises(ConfigError) as raised:
        control_of(text)
    assert raised.value.code == "label-config-unusable"
    answer = set_up(client, text, project="bad")
    assert answer.status_code == 422
    assert client.post("/predict", json={"tasks": [{"data": {}}], "label_config": text or None}).status_code == 422


def test_a_task_that_cannot_be_used_costs_the_others_nothing_and_gets_no_empty_prediction(client):
    tasks = [data_uri(png()), data_uri(png()[:90]), "http://evil.example/a.png", data_uri(png(seed=2)), None, 7, ""]
    found = asked(client, tasks, config("BrushLabels"))["results"]
    assert [sorted(one) for one in found] == [
        ["model_version", "result", "score"] if index in (0, 3) else ["error"] for index in range(7)
    ]
    assert [one["error"]["code"] for one in found[2:3]] == ["image-address-refused"]
    assert found[1]["error"]["code"].startswith("image-")


def test_an_image_without_anything_has_an_empty_prediction(client):
    from api_server import io
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.full((64, 96, 3), 120, np.uint8)).save(out, "PNG")
    (found,) = asked(client, [data_uri(out.getvalue())], config("BrushLabels"))["results"]
    assert found["result"] == []


def test_files_of_label_studio_are_read_below_the_roots_only(client):
    good = ["/data/upload/1/7d-a%20b.png", f"/data/local-files/?d={quote('upload/1/7d-a b.png')}"]
    bad = [
        "/data/local-files/?d=../outside.png", "/data/local-files/?d=..%2Foutside.png",
        "/data/upload/../../outside.png",
        "/data/local-files/?d=link.png", "/data/local-files/?d=/etc/passwd", "/data/local-files/?d=%00", "/etc/passwd",
        "/data/local-files/?d=", "/data/upload/1", "//evil.example/a.png", "file:///etc/passwd", "upload/1/7d-a b.png",
        "/data/local-files/?d=" + "n" * 5000, "s3://bucket/a.png", "gs://b/a", "http://127.0.0.1:1/", "javascript:1",
    ]  # fmt: skip
    found = asked(client, good + bad, config("BrushLabels"))["results"]
    assert ["result" in one for one in found] == [True] * len(good) + [False] * len(bad)
    assert {one["error"]["code"] for one in found[len(good) :]} == {"image-address-refused"}


class _LabelStudio(http.server.BaseHTTPRequestHandler):
    """Serves a picture, and addresses that lead elsewhere."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", self.server.away)
            self.end_headers()
            return
        if self.path == "/here":
            self.send_response(302)
            self.send_header("Location", "/data/upload/2/a.png")
            self.end_headers()
            return
        self.send_response(200 if self.path.endswith(".png") else 404)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def label_studio():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _LabelStudio) as server:
        server.seen, server.body, server.away = [], png(), "http://127.0.0.1:1/a.png"
        server.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_allowed_label_studio_is_asked_for_its_images_with_its_own_key(tmp_path, label_studio):
    with serving(tmp_path, image_origins=(label_studio.origin,)) as client:
        assert set_up(client, config("BrushLabels"), hostname=label_studio.origin).status_code == 200
        tasks = ["/data/upload/2/a.png", f"{label_studio.origin}/b.png", f"{label_studio.origin}/here"]
        found = asked(client, tasks, None)["results"]
        assert ["result" in one for one in found] == [True] * 3
        assert {key for _, key in label_studio.seen} == {"Token secret"}
        bad = [f"{label_studio.origin}/away", f"{label_studio.origin}/nothing"]
        assert [one["error"]["code"] for one in asked(client, bad, None)["results"]] == ["image-unreachable"] * 2


def test_what_label_studio_says_of_itself_opens_nothing(tmp_path, label_studio):
    with serving(tmp_path, image_origins=("http://other.example",)) as client:
        assert set_up(client, config("BrushLabels"), hostname=label_studio.origin).status_code == 200
        found = asked(client, ["/data/upload/2/a.png", f"{label_studio.origin}/b.png"], None)["results"]
    assert [one["error"]["code"] for one in found] == ["image-address-refused"] * 2
    assert label_studio.seen == []


def test_a_key_goes_to_its_own_label_studio_only(label_studio):
    images = TaskImages(roots=(), origins=(label_studio.origin, "http://other.example"), max_bytes=10**6)
    images.read(f"{label_studio.origin}/a.png", hostname="http://other.example", token="secret")
    assert label_studio.seen == [("/a.png", None)]


@pytest.mark.parametrize(
    "address",
    [
        "http://allowed.example@evil.example/a", "http://allowed.example:80@evil.example/", "http://evil.example/",
        "http://allowed.example.evil.example/", "https://allowed.example/", "http://allowed.example:81/", "http://[/",
        "http://allowed.example\\@evil.example/", "http:allowed.example", "//allowed.example/", "http://allowed.example:x/",
        "http://user:x@allowed.example/", "HTTP://evil.example", "http://allowed.example\t.evil/", "ftp://allowed.example/",
    ],
)  # fmt: skip
def test_no_spelling_leads_elsewhere(address):
    images = TaskImages(roots=(), origins=("http://allowed.example",), max_bytes=1000)
    with pytest.raises(OriginRefused):
        images.read(address)


def test_origins_are_compared_whole():
    assert (
        origin_of("HTTP://Allowed.Example/x") == origin_of("http://allowed.example:80") == "http://allowed.example:80"
    )


def test_images_of_addresses_have_limits(label_studio):
    images = TaskImages(roots=(), origins=(label_studio.origin,), max_bytes=100)
    for address in (data_uri(bytes(101)), f"{label_studio.origin}/a.png", "data:," + "x" * 101):
        with pytest.raises(TooLarge):
            images.read(address)
    assert images.read("data:,a%62") == b"ab"
    for damaged in ("data:", "data:image/png;base64,?", "data:;base64,a"):
        with pytest.raises(InputError):
            images.read(damaged)


def test_label_studio_sends_a_key_as_a_password(tmp_path):
    key = add_key(tmp_path / KEYS_FILE, "label-studio")
    with serving(tmp_path) as client:
        assert client.get("/health").status_code == 401
        for user, password, status in (("any", key, 200), ("any", "wrong", 401), (key, "", 401)):
            assert client.get("/health", auth=(user, password)).status_code == status
        for broken in ("Basic", "Basic ?", "Basic " + base64.b64encode(b"\xff\xfe").decode()):
            assert client.get("/health", headers={"Authorization": broken}).status_code == 401


def test_a_project_that_nobody_set_up_is_asked_for(client):
    answer = client.post("/predict", json={"tasks": [{"id": 1, "data": {}}], "project": "99.9"})
    assert (answer.status_code, answer.json()["code"]) == (422, "label-config-unusable")
    assert "/setup" in answer.json()["advice"]
    for bad in ({}, {"tasks": []}, {"tasks": [{}]}, {"tasks": "x"}, {"tasks": [{"data": {}}] * 1001}):
        assert client.post("/predict", json=bad).status_code == 422


def test_kinds_that_have_no_label_are_left_out(tmp_path):
    class Two(RedDetector):
        def find(self, image):
            (text,) = super().find(image)
            import dataclasses

            return [text, dataclasses.replace(text, kind=Kind.WATERMARK, box=Box(60, 40, 90, 60))]

    with serving(tmp_path, pipeline=pipeline(Two())) as client:
        some = config("RectangleLabels", '<Label value="watermark"/><Label value="cat"/>')
        (found,) = asked(client, [data_uri(png())], some)["results"]
        assert [one["value"]["rectanglelabels"] for one in found["result"]] == [["watermark"]]


def test_a_server_that_waits_for_an_image_ends_in_time(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with ServeProcess(tmp_path, AUTOMASK_SERVE_IMAGE_ORIGINS=origin) as server:
            body = {"tasks": [{"id": 1, "data": {"picture": f"{origin}/a.png"}}], "label_config": config("BrushLabels")}

            def ask():
                with contextlib.suppress(httpx.HTTPError):
                    server.client.post("/predict", json=body)

            asking = threading.Thread(target=ask)
            asking.start()
            connection, _ = silent.accept()
            began = time.monotonic()
            server.stop()
            took_s = time.monotonic() - began
            asking.join()
            connection.close()
    assert took_s < ENDS_WITHIN_S
