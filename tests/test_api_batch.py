"""`POST /v1/masks/batch` against a real server on loopback."""

import base64
import io
import json
import struct
import zipfile

import pytest
from fakes import CrashOn, Slow, pipeline

pytest.importorskip("fastapi")

from api_server import png, serving

from automask_api.batch.archive import StreamedZip

ZIP = {"Content-Type": "application/zip"}
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), pipeline=pipeline(CrashOn("crash")), max_batch_images=20) as client:
        yield client


def packed(files, **options) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def unpacked(data) -> tuple[dict[str, bytes], list[dict]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    lines = [json.loads(line) for line in files.pop("manifest.ndjson").splitlines()]
    return files, lines


def test_a_zip_of_images_gives_a_zip_of_the_same_masks(client):
    images = {f"sub/{n}.png": png(seed=n) for n in range(9)} | {"a.jpg": png(seed=20), "a.png": png(seed=21)}
    answer = client.post("/v1/masks/batch", content=packed({**images, "notes.txt": b"x"}), headers=ZIP)
    assert answer.status_code == 200, answer.text
    masks, lines = unpacked(answer.content)
    assert [line["name"] for line in lines] == list(images)
    assert set(masks) == {f"masks/sub/{n}.png" for n in range(9)} | {"masks/a.jpg.png", "masks/a.png.png"}
    for line in lines:
        assert masks[line["mask"]] == client.post("/v1/masks", content=images[line["name"]]).content
        assert line["result"]["image_id"] == line["name"]


def test_a_form_gives_lines_in_order_with_masks(client):
    images = {f"{n}.png": png(seed=n) for n in range(6)}
    files = [("images", (name, data)) for name, data in images.items()]
    answer = client.post("/v1/masks/batch", files=files, data={"growth_cells": "2"}, headers=LINES)
    lines = [json.loads(line) for line in answer.content.splitlines()]
    assert [line["name"] for line in lines] == list(images)
    for line in lines:
        single = client.post("/v1/masks", content=images[line["name"]], params={"growth_cells": 2})
        assert base64.b64decode(line["mask_png"]) == single.content


def test_bad_images_cost_the_others_nothing(client):
    images = {"a.png": png(seed=1), "cut.png": png(seed=2)[:300], "crash.png": png(seed=53), "b.png": png(seed=4)}
    masks, lines = unpacked(client.post("/v1/masks/batch", content=packed(images), headers=ZIP).content)
    assert set(masks) == {"masks/a.png", "masks/b.png"}
    errors = {line["name"]: line.get("error") for line in lines}
    assert errors["a.png"] is errors["b.png"] is None
    assert (errors["cut.png"]["code"], errors["cut.png"]["status"]) == ("image-truncated", 422)
    assert (errors["crash.png"]["code"], errors["crash.png"]["status"]) == ("stage-failed", 500)


def test_lines_come_as_soon_as_they_are_known(tmp_path):
    with serving(tmp_path, pipeline=pipeline(Slow(0.4)), batch_size=1) as client:
        body = packed({f"{n}.png": png(seed=n) for n in range(4)})
        with client.stream("POST", "/v1/masks/batch", content=body, headers={**ZIP, **LINES}) as answer:
            first = next(answer.iter_lines())
            looked_at = len(client.app.state.service.pipelines[0].detectors[0].seen)
    assert json.loads(first)["name"] == "0.png"
    assert looked_at < 4


def test_nothing_goes_on_for_a_client_that_went_away(tmp_path):
    with serving(tmp_path, pipeline=pipeline(Slow(0.2)), batch_size=1) as client:
        body = packed({f"{n}.png": png(seed=n) for n in range(20)})
        with client.stream("POST", "/v1/masks/batch", content=body, headers={**ZIP, **LINES}) as answer:
            next(answer.iter_lines())
        service = client.app.state.service
        assert client.post("/v1/masks", content=png(seed=99)).status_code == 200
        assert service.admitted == 0
        assert len(service.pipelines[0].detectors[0].seen) < 12


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:\\a.png", "..\\a.png", "a\n.png"])
def test_names_that_lead_elsewhere_are_refused(client, name):
    answer = client.post("/v1/masks/batch", content=packed({name: png()}), headers=ZIP)
    assert (answer.status_code, answer.json()["code"]) == (400, "name-unsafe")


def lying_bomb() -> bytes:
    """An entry that says it is small and unpacks to 100 MB."""
    data = packed({"a.png": b"\0" * 100_000_000}, compression=zipfile.ZIP_DEFLATED)
    return data.replace(struct.pack("<L", 100_000_000), struct.pack("<L", 1000))


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", ZIP, 400, "zip-invalid"),
        (b"PK\x03\x04 nonsense", ZIP, 400, "zip-invalid"),
        (packed({"a.txt": b"x"}), ZIP, 400, "request-invalid"),
        (packed({f"{n}.png": b"" for n in range(21)}), ZIP, 413, "too-large"),
        (b"x", {"Content-Type": "text/plain"}, 415, "unsupported-type"),
        (packed({"a.png": b""}), {**ZIP, "Accept": "image/png"}, 406, "not-acceptable"),
        (packed({"b.png": b"\0" * 60_000_000}, compression=zipfile.ZIP_DEFLATED), ZIP, 413, "too-large"),
    ],
)
def test_bad_batches_are_problems(tmp_path, body, headers, status, code):
    with serving(tmp_path, max_batch_images=20, max_batch_bytes=50_000_000) as client:
        answer = client.post("/v1/masks/batch", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_zip_that_lies_about_its_sizes_is_read_no_further_than_allowed(tmp_path):
    with serving(tmp_path, max_image_bytes=1 << 20) as client:
        answer = client.post("/v1/masks/batch", content=lying_bomb(), headers={**ZIP, **LINES})
    (line,) = [json.loads(line) for line in answer.content.splitlines()]
    assert line["error"]["status"] in (400, 413)


def test_a_streamed_zip_is_one_that_others_read():
    with StreamedZip() as archive:
        data = archive.entry("a/ä.png", b"123") + archive.entry("b.txt", b"x" * 1000, is_text=True) + archive.end()
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert {name: read.read(name) for name in read.namelist()} == {"a/ä.png": b"123", "b.txt": b"x" * 1000}
