"""Requests that choose detectors and refiner: among what is loaded, and nothing is loaded for them."""

import pytest

pytest.importorskip("fastapi")

from api_server import png, serving
from cli_process import automask, draw_images

from automask.client import Client, MaskOptions
from automask.config import PipelineConfig
from automask.errors import ConfigError
from automask.run.pipeline import MaskPipeline
from automask.weights import WeightLibrary
from automask_api.loaded_stages import _KEPT, LoadedStages, StageChoice
from automask_api.settings import ServiceSettings

CONFIG = PipelineConfig(detectors=("edges",), refiner="polygon")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    roots = (draw_images(folder / "set", 2).parent,)
    pipeline = MaskPipeline.from_config(CONFIG)
    with serving(folder / "data", pipeline=pipeline, more_detectors=("ink",), roots=roots) as client:
        yield client


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture between bars, as a file and as bytes."""
    path = draw_images(tmp_path_factory.mktemp("photo"), 2) / "001.jpg"
    return path, path.read_bytes()


def test_a_choice_gives_the_masks_of_a_run_with_that_configuration(client, photo, tmp_path):
    path, data = photo
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / path.name).write_bytes(data)
    tags = set()
    for flags in ((), ("ink",), ("edges", "ink")):
        names = ",".join(flags) or "edges"
        answer = client.post("/v1/masks", content=data, params={"detectors": flags, "refiner": "cluster"})
        assert answer.status_code == 200, answer.text
        done = automask(
            "run", folder, "-o", tmp_path / names, "--no-report", "--detectors", names, "--refiner", "cluster",
            "--dataset-detectors", "none",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (tmp_path / names / "masks" / "001.png").read_bytes() == answer.content, names
        tags.add(answer.headers["etag"])
    tags.add(client.post("/v1/masks", content=data).headers["etag"])
    assert len(tags) == 4


def test_the_tag_follows_the_choice_and_not_the_order(client, photo):
    _, data = photo
    given = {"detectors": ["ink", "edges"]}
    first = client.post("/v1/masks", content=data, params=given)
    turned = client.post("/v1/masks", content=data, params={"detectors": ["edges", "ink"]})
    assert first.headers["etag"] == turned.headers["etag"]
    again = client.post("/v1/masks", content=data, params=given, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    other = client.post("/v1/masks", content=data, headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    as_configured = client.post("/v1/masks", content=data, params={"detectors": "edges", "refiner": "polygon"})
    assert as_configured.headers["etag"] == other.headers["etag"]


def test_forms_batches_jobs_and_the_client_choose_as_well(client, photo):
    path, data = photo
    wanted = client.post("/v1/masks", content=data, params={"detectors": "ink"})
    files = {"image": ("a.png", data)}
    assert client.post("/v1/masks", files=files, data={"detectors": "ink"}).content == wanted.content
    with Client(str(client.base_url)) as asking:
        options = MaskOptions(detectors=["ink"])
        assert asking.mask(path, options=options).png == wanted.content
        assert [answer.mask.png for answer in asking.masks([path], options=options)] == [wanted.content]
    job = client.post("/v1/jobs", json={"folder": "set", "options": {"detectors": ["ink"]}}).json()
    assert "event: end" in client.get(f"/v1/jobs/{job['id']}/events").text
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "done"
    (line, *_) = client.get(f"/v1/jobs/{job['id']}/manifest").text.splitlines()
    assert "edges" not in line


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"detectors": ["edges", "yolo"]}, "edges, ink"),
        ({"refiner": "sam2"}, "polygon, ink, cluster"),
        ({"refiner": "../x"}, ""),
    ],
)
def test_what_is_not_loaded_is_refused_with_what_is(client, given, advice):
    answers = [
        client.post("/v1/masks", content=png(), params=given),
        client.post("/v1/masks/batch", files={"images": ("a.png", png())}, params=given),
        client.post("/v1/jobs", json={"folder": "set", "options": given}),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        if advice:
            assert answer.json()["code"] == "stage-not-loaded"
            assert advice in answer.json()["advice"]
            assert "AUTOMASK_SERVE_MORE_" in answer.json()["advice"]


def test_the_models_list_what_can_be_chosen(client):
    models = client.get("/v1/models").json()
    assert [stage["name"] for stage in models["detectors"]] == ["edges"]
    assert [stage["name"] for stage in models["more_detectors"]] == ["ink", "ground"]
    assert [stage["name"] for stage in models["more_refiners"]] == ["ink", "cluster"]


def test_no_choice_loads_anything_and_the_pipelines_kept_are_bounded(tmp_path):
    names = ("a", "b", "c", "d", "e", "f", "g")
    loads = []

    class Counted:
        def __init__(self, name):
            self.name = self.fingerprint = name
            self.notices = ()

        def load(self):
            loads.append(self.name)

        def detect(self, images):
            return [[] for _ in images]

    base = MaskPipeline.from_config(CONFIG)
    loaded_stages = LoadedStages(base, detectors={name: Counted(name) for name in names})
    loaded_stages.load()
    assert sorted(loads) == list(names)
    for bits in range(1, 2 ** len(names)):
        chosen = [name for index, name in enumerate(names) if bits >> index & 1]
        config = loaded_stages.checked(MaskOptions(detectors=chosen).applied_to(CONFIG))
        made = loaded_stages.of_choice(StageChoice.of(config))
        made.load()
        assert made is loaded_stages.of_choice(StageChoice.of(config))
    assert len(loads) == len(names)
    assert len(loaded_stages._made) <= _KEPT
    with pytest.raises(ConfigError, match="no detector 'z'"):
        loaded_stages.checked(MaskOptions(detectors=["z"]).applied_to(CONFIG))
    assert LoadedStages.of(base, ServiceSettings(data_dir=tmp_path, more_refiners=())).refiners.keys() == {"polygon"}


@pytest.mark.parametrize("given", [{"refiner": "cluster:x.pth"}, {"detectors": ["edges", "ink:/etc/x.onnx"]}])
def test_a_request_names_no_weights(client, photo, given):
    _, data = photo
    for answer in (
        client.post("/v1/masks", content=data, params=given),
        client.post("/v1/masks", files={"image": ("a.png", data)}, data=given),
        client.post("/v1/jobs", json={"folder": "set", "options": given}),
    ):
        assert answer.status_code == 422, answer.text
        assert "who runs the server names the weights" in answer.text


def test_who_runs_the_server_may_name_weights(tmp_path):
    weights = str(WeightLibrary.discover().find("automask-ink").path)
    pipeline = MaskPipeline.from_config(CONFIG)
    stages = LoadedStages.of(pipeline, ServiceSettings(more_detectors=(f"ink:{weights}",), more_refiners=("cluster",)))
    assert list(stages.detectors) == ["edges", "ink", "ground"]
    assert stages.detectors["ink"]._options.weights == weights
    with pytest.raises(ConfigError, match="two sets"):
        LoadedStages.of(pipeline, ServiceSettings(more_detectors=("ink", "ink:a", "ink:b")))
    with pytest.raises(ConfigError, match="runs already"):
        LoadedStages.of(pipeline, ServiceSettings(more_detectors=(f"edges:{weights}",)))
