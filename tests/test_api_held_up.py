"""One bad file holds up no other request, wherever it was sent to."""

import base64
import io
import threading
import time
import zipfile

import pytest

pytest.importorskip("fastapi")

from api_server import png, serving
from job_cases import finished
from measuring.bombs import scan_bomb

pytestmark = pytest.mark.slow

SECONDS = 0.5
"""Of a core, that one file may take here; it takes 1.3 s on the fastest machine that this ran on."""
SLOW = scan_bomb(90, side_px=4900)
"""A second of a core and more, and just under the number of scans that is refused at sight."""


def archive(*files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number, data in enumerate(files):
            made.writestr(f"{number}.jpg", data)
    return out.getvalue()


def predicted(client):
    """As Label Studio asks."""
    config = (
        '<View><Image name="img" value="$image"/><BrushLabels name="tag" toName="img"><Label value="text"/>'
        "</BrushLabels></View>"
    )
    image = "data:image/jpeg;base64," + base64.b64encode(SLOW).decode()
    return client.post("/predict", json={"tasks": [{"data": {"image": image}}], "label_config": config})


def uploaded(client):
    answer = client.post("/v1/jobs/upload", files=[("images", ("a.jpg", SLOW))])
    finished(client, answer.json()["id"])
    return client.get(f"/v1/jobs/{answer.json()['id']}/manifest")


def said(answer) -> str:
    """What an answer says in words."""
    if answer.content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return archive.read("manifest.ndjson").decode()
    return answer.text


WAYS = {
    "mask": lambda client: client.post("/v1/masks", content=SLOW),
    "form": lambda client: client.post("/v1/masks", files={"image": ("a.jpg", SLOW)}),
    "batch": lambda client: client.post(
        "/v1/masks/batch", content=archive(SLOW, png()), headers={"Content-Type": "application/zip"}
    ),
    "refine": lambda client: client.post("/v1/refine", files={"image": SLOW}, data={"points": "30,20"}),
    "mask to refine": lambda client: client.post(
        "/v1/refine", files={"image": png(), "mask": SLOW}, data={"points": "30,20"}
    ),
    "adjust": lambda client: client.post("/v1/adjust", content=SLOW, params={"invert": "true"}),
    "Label Studio": predicted,
    "job": uploaded,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), max_decode_s=SECONDS) as client:
        client.post("/v1/masks", content=png())
        yield client


@pytest.mark.parametrize("way", WAYS)
def test_small_images_are_answered_while_it_is_decoded(client, way):
    answers = []
    sender = threading.Thread(target=lambda: answers.append(WAYS[way](client)))
    sender.start()
    meanwhile = 0
    for seed in range(1, 11):
        began = time.monotonic()
        assert client.post("/v1/masks", content=png(seed=100 * len(way) + seed)).status_code == 200
        assert time.monotonic() - began < 10
        meanwhile += not answers
    sender.join(60)
    assert meanwhile >= 1, f"it was not slow at all: {said(answers[0])[:300]}"
    assert "image-too-costly" in said(answers[0])
