"""The API's description is the one that was agreed on, and what it says of itself can be read."""

import base64
import json
from pathlib import Path

import pytest
from fakes import pipeline

pytest.importorskip("fastapi")

from api_server import png, serving

from automask_api.app import create_app
from automask_api.security.keys import KEYS_FILE, add_key
from automask_api.settings import ServiceSettings

GOLDEN = Path(__file__).parent / "data" / "openapi.json"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data")) as client:
        yield client


def description(folder) -> str:
    app = create_app(pipeline(), None, ServiceSettings(data_dir=folder))
    app.state.service.threads.shutdown()
    document = app.openapi()
    document["info"]["version"] = "*"
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_description_is_the_golden_one(tmp_path, request):
    text = description(tmp_path)
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), (
        "the API changed: if that is meant, run this test with --update-golden and read the difference"
    )


def test_every_route_says_what_it_does(tmp_path):
    document = json.loads(description(tmp_path))
    assert len(document["paths"]) >= 15
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)
            assert "default" in operation["responses"], (method, path)


OPERATIONS = {
    "GET /healthz": "isAlive",
    "GET /readyz": "isReady",
    "GET /v1/models": "getModels",
    "POST /v1/masks": "makeMask",
    "POST /v1/masks/batch": "makeMasks",
    "POST /v1/adjust": "adjustMask",
    "POST /v1/refine": "refineMask",
    "POST /v1/jobs": "createJob",
    "POST /v1/jobs/upload": "createJobFromUpload",
    "GET /v1/jobs": "listJobs",
    "GET /v1/jobs/{job_id}": "getJob",
    "DELETE /v1/jobs/{job_id}": "deleteJob",
    "POST /v1/jobs/{job_id}/cancel": "cancelJob",
    "GET /v1/jobs/{job_id}/events": "watchJob",
    "GET /v1/jobs/{job_id}/manifest": "getJobManifest",
    "GET /v1/jobs/{job_id}/masks": "getJobMasks",
    "GET /v1/jobs/{job_id}/export": "exportJob",
    "GET /health": "labelStudioHealth",
    "POST /setup": "labelStudioSetup",
    "POST /predict": "labelStudioPredict",
    "GET /metrics": "getMetrics",
}
"""Generated clients name their methods by these: a change breaks programs, so nothing changes them but this table."""


def operations(document) -> dict[str, dict]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_operations_keep_their_names(tmp_path):
    found = {name: one["operationId"] for name, one in operations(json.loads(description(tmp_path))).items()}
    assert found == OPERATIONS
    assert len(set(found.values())) == len(found)


def test_the_description_says_how_to_send_a_key(tmp_path):
    document = json.loads(description(tmp_path / "a"))
    schemes = document["components"]["securitySchemes"]
    assert {(one["type"], one.get("scheme") or one.get("name")) for one in schemes.values()} == {
        ("http", "bearer"), ("http", "basic"), ("apiKey", "X-API-Key"),
    }  # fmt: skip
    open_paths = {path for path, methods in document["paths"].items() if methods.get("get", {}).get("security") == []}
    key = add_key(tmp_path / "b" / KEYS_FILE, "a")
    ways = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "header": {"X-API-Key": key},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"x:{key}".encode()).decode()},
    }
    with serving(tmp_path / "b", app=create_app(pipeline(), None, ServiceSettings(data_dir=tmp_path / "b"))) as client:
        assert ways.keys() == schemes.keys()
        for path in ("/v1/models", "/metrics", "/v1/jobs", "/health"):
            assert client.get(path).status_code == 401
            for headers in ways.values():
                assert client.get(path, headers=headers).status_code == 200
        assert open_paths == {path for path in document["paths"] if client.get(path).status_code == 200}
    for name, one in operations(document).items():
        if name.partition(" ")[2] not in open_paths:
            assert one["security"] == [{}, {"bearer": []}, {"header": []}, {"basic": []}]


def test_the_reference_is_one_page_without_scripts(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page.text


def test_metrics_count_requests_images_and_the_cache(client):
    for _ in range(2):
        assert client.post("/v1/masks", content=png(seed=1)).status_code == 200
    client.get("/v1/jobs/0123456789abcdef")
    text = client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['automask_requests_total{method="POST",route="/v1/masks",status="200"}'] == "2.0"
    assert values['automask_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'] == "1.0"
    assert values["automask_analysed_images_total"] == "1.0"
    assert values["automask_cache_hits_total"] == "1.0"
    assert values["automask_admitted_requests"] == "0.0"
    assert values["automask_ready"] == "1.0"
