"""Jobs from uploads, requests that come twice, pages of jobs, and names that no job has."""

import io
import json
import re
import threading
import time
import zipfile

import pytest
from fakes import Slow, pipeline

pytest.importorskip("fastapi")

from api_server import png, serving
from job_cases import finished, red_folder

from automask_api.jobs.paging import page_of
from automask_api.jobs.records import Job, JobRequest, JobState

ZIP = {"Content-Type": "application/zip"}
UPLOAD = "/v1/jobs/upload"


def zipped(*entries) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def three() -> bytes:
    return zipped(("a.png", png(seed=1)), ("sub/b.png", png(seed=2)), ("notes.txt", b"x"), ("c.png", png(seed=3)[:200]))


@pytest.fixture
def client(tmp_path):
    red_folder(tmp_path / "root" / "set")
    with serving(tmp_path / "data", roots=(tmp_path / "root",)) as client:
        client.data = tmp_path / "data"
        yield client


def below(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_upload_is_masked_as_its_images_alone_are_and_goes_with_its_job(client):
    for sent in (
        {"content": three(), "headers": ZIP, "params": {"growth_cells": 2}},
        {
            "files": [("images", (name, png(seed=seed))) for name, seed in (("a.png", 1), ("sub/b.png", 2))]
            + [("images", ("c.png", png(seed=3)[:200]))],
            "data": {"growth_cells": "2"},
        },
    ):
        answer = client.post(UPLOAD, **sent)
        assert answer.status_code == 202, answer.text
        assert answer.json()["request"]["images"] == 3
        job = finished(client, answer.json()["id"])
        assert (job["state"], job["progress"]["done"], job["progress"]["failed"]) == ("done", 3, 1)
    assert job["progress"]["reused"] == 2  # the same names and bytes in another body
    with zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/masks").content)) as archive:
        for name, seed in (("a", 1), ("sub/b", 2)):
            alone = client.post("/v1/masks", content=png(seed=seed), params={"growth_cells": 2}).content
            assert archive.read(f"masks/{name}.png") == alone
    assert client.get(f"/v1/jobs/{job['id']}/export", params={"to": "coco"}).status_code == 200
    first, second = (one["id"] for one in client.get("/v1/jobs").json())
    assert client.delete(f"/v1/jobs/{first}").status_code == 204
    assert len(below(client.data / "uploads")) == 3  # the other job needs them
    assert client.delete(f"/v1/jobs/{second}").status_code == 204
    assert below(client.data / "uploads") == below(client.data / "temporary") == below(client.data / "jobs") == set()


@pytest.mark.parametrize(
    ("entries", "status", "code"),
    [
        ([("../a.png", png())], 400, "name-unsafe"),
        ([("/tmp/a.png", png())], 400, "name-unsafe"),
        ([("C:\\a.png", png())], 400, "name-unsafe"),
        ([("a\x1b.png", png())], 400, "name-unsafe"),
        ([("n" * 300 + ".png", png())], 400, "name-unsafe"),
        ([("a.png", png()), ("a.png", png())], 400, "name-repeated"),
        ([("a.png", png()), ("a.png/b.png", png())], 400, "name-repeated"),
        ([("a.png/b.png", png()), ("a.png", png())], 400, "name-repeated"),
        ([("a.png", png() + bytes(3 << 20))], 413, "body-too-large"),
        ([(f"{number}.png", bytes(900 << 10)) for number in range(10)], 413, "too-large"),
        ([(f"{number}.png", b"x") for number in range(21)], 413, "too-large"),
        ([("notes.txt", b"x")], 400, "request-invalid"),
        ([], 400, "request-invalid"),
        (b"no zip", 400, "zip-invalid"),
        ([("a.png", png())] * 0 or three()[:-30], 400, "zip-invalid"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_uploads_are_held_to_the_limits_of_batches_and_leave_nothing(tmp_path, entries, status, code):
    limits = {"max_image_bytes": 1 << 20, "max_batch_bytes": 4 << 20, "max_batch_images": 20}
    with serving(tmp_path / "data", **limits) as client:
        body = entries if isinstance(entries, bytes) else zipped(*entries)
        answer = client.post(UPLOAD, content=body, headers=ZIP)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert client.post(UPLOAD, content=three(), headers={"Content-Type": "text/plain"}).status_code == 415
        assert client.post(UPLOAD, content=three(), headers=ZIP, params={"growth_cells": -1}).status_code == 422
        assert client.get("/v1/jobs").json() == []
        for folder in ("uploads", "temporary", "jobs"):
            assert below(tmp_path / "data" / folder) == set()


def test_a_zip_that_lies_about_its_sizes_is_cut_off(tmp_path):
    body = bytearray(zipped(*((f"{number}.png", bytes(900 << 10)) for number in range(10))))
    for match in re.finditer(rb"PK\x01\x02", bytes(body)):
        body[match.start() + 24 : match.start() + 28] = (100).to_bytes(4, "little")
    with serving(tmp_path / "data", max_image_bytes=1 << 20, max_batch_bytes=4 << 20) as client:
        answer = client.post(UPLOAD, content=bytes(body), headers=ZIP)
        assert answer.status_code in (400, 413), answer.text
        assert below(tmp_path / "data" / "uploads") == below(tmp_path / "data" / "temporary") == set()


def test_all_uploads_together_have_a_limit(tmp_path):
    size = len(png(seed=1))
    with serving(tmp_path / "data", upload_bytes=2 * size + size // 2) as client:
        jobs = []
        for seed, status in ((1, 202), (2, 202), (3, 507)):
            answer = client.post(UPLOAD, files=[("images", ("a.png", png(seed=seed)))])
            assert answer.status_code == status, answer.text
            jobs.append(answer.json())
        assert jobs[2]["code"] == "storage-full"
        finished(client, jobs[0]["id"])
        client.delete(f"/v1/jobs/{jobs[0]['id']}")
        assert client.post(UPLOAD, files=[("images", ("a.png", png(seed=3)))]).status_code == 202


def test_uploads_go_on_after_a_restart_and_what_nobody_needs_is_swept(tmp_path):
    with serving(tmp_path / "data", pipeline=pipeline(Slow(0.3))) as client:
        job = client.post(UPLOAD, content=three(), headers=ZIP).json()
    (tmp_path / "data" / "uploads" / "of-nobody").mkdir()
    with serving(tmp_path / "data", pipeline=pipeline(Slow(0.0))) as client:
        assert finished(client, job["id"])["state"] == "done"
    assert [path.name for path in (tmp_path / "data" / "uploads").iterdir()] == [job["request"]["upload_sha256"]]


def test_a_key_makes_one_job_of_requests_that_come_again(client, tmp_path):
    ways = {
        "folder": lambda key, growth=1: client.post(
            "/v1/jobs", json={"folder": "set", "options": {"growth_cells": growth}}, headers={"Idempotency-Key": key}
        ),
        "upload": lambda key, growth=1: client.post(
            UPLOAD, content=three(), params={"growth_cells": growth}, headers={**ZIP, "Idempotency-Key": key}
        ),
    }
    for name, ask in ways.items():
        first = ask(name)
        again = ask(name)
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json()["id"] == first.json()["id"]
        assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
        assert again.headers["location"] == first.headers["location"]
        other = ask(name, growth=2)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
        assert ask(f"{name}2").json()["id"] != first.json()["id"]
    (tmp_path / "root" / "set").rename(tmp_path / "root" / "moved")  # what was taken was taken
    assert ways["folder"]("folder").json()["id"] in {job["id"] for job in client.get("/v1/jobs").json()}
    for bad in ("", "a b", "x" * 256):
        assert ways["folder"](bad).status_code in (400, 422)
    assert len(client.get("/v1/jobs").json()) == 4


def test_a_key_is_remembered_by_the_next_server_and_forgotten_with_its_job(tmp_path):
    red_folder(tmp_path / "root" / "set", 1)
    ids = []
    for _ in range(2):
        with serving(tmp_path / "data", roots=(tmp_path / "root",)) as client:
            answer = client.post("/v1/jobs", json={"folder": "set"}, headers={"Idempotency-Key": "k"})
            ids.append(answer.json()["id"])
            finished(client, ids[-1])
            if len(ids) == 2:
                client.delete(f"/v1/jobs/{ids[0]}")
                new = client.post("/v1/jobs", json={"folder": "set"}, headers={"Idempotency-Key": "k"})
                assert new.json()["id"] != ids[0]
    assert ids[0] == ids[1]


def test_requests_with_one_key_at_the_same_time_are_one_job(client):
    ids, start = [], threading.Barrier(8)

    def ask():
        start.wait()
        ids.append(client.post("/v1/jobs", json={"folder": "set"}, headers={"Idempotency-Key": "k"}).json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1


def test_keys_of_callers_do_not_meet():
    from automask_api.jobs.repeats import idempotency_of

    assert len({idempotency_of("k", caller=caller) for caller in (None, "a", "b")}) == 3


def job(number: int) -> Job:
    return Job(
        id=f"{number:016x}", request=JobRequest(folder="x"), state=JobState.DONE, folder="/x", store="s",
        created_s=1000.1 + number // 2 * 0.1,  # two at the same time
    )  # fmt: skip


def test_pages_stay_right_while_jobs_come_and_go():
    jobs = [job(number) for number in range(10, 0, -1)]
    seen, cursor = [], None
    for turn in range(20):
        page, cursor = page_of(jobs, cursor=cursor, limit=3)
        seen += page
        if cursor is None:
            break
        jobs = [job(100 + turn), *(one for one in jobs if one.id != page[-1].id)]  # one comes, the last seen goes
    assert [one.id for one in seen] == [job(number).id for number in range(10, 0, -1)]


def test_the_list_of_jobs_comes_in_pages(client):
    ids = [client.post("/v1/jobs", json={"folder": "set"}).json()["id"] for _ in range(5)]
    found, address = [], "/v1/jobs?limit=2"
    for _ in range(3):
        answer = client.get(address)
        found += [one["id"] for one in answer.json()]
        link = answer.headers.get("link")
        if link is None:
            break
        address = re.fullmatch(r'<(.+)>; rel="next"', link)[1]
    assert found == ids[::-1]
    assert link is None
    for bad in ("x", "%00", "AAAA", "bmFuIDAw", "é"):
        answer = client.get("/v1/jobs", params={"cursor": bad})
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor-invalid")
    assert client.get("/v1/jobs", params={"limit": 0}).status_code == 422


@pytest.mark.parametrize(
    "name", ["x", "0" * 15, "0" * 17, "é", "%00", "%0a", "..%2f..", "a%20b", "-1", "null", "A" * 16]
)
def test_ids_that_no_job_can_have_are_unknown_like_others(client, name):
    for method, tail in (
        ("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events"), ("GET", "/manifest"), ("GET", "/masks"),
        ("GET", "/export?to=grey"), ("HEAD", ""),
    ):  # fmt: skip
        assert client.request(method, f"/v1/jobs/{name}{tail}").status_code == 404, (method, tail)


def test_head_is_get_without_a_body(client):
    job_id = finished(client, client.post("/v1/jobs", json={"folder": "set"}).json()["id"])["id"]
    described = client.get("/openapi.json").json()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods] + ["/docs", "/openapi.json"]
    for path in paths:
        address = path.replace("{job_id}", job_id) + ("?to=grey" if path.endswith("/export") else "")
        with client.stream("GET", address) as got:
            got_headers = dict(got.headers)
        began = time.monotonic()
        head = client.head(address)
        assert (head.status_code, head.content) == (200, b""), path
        assert time.monotonic() - began < 5
        ignored = {"date", "x-request-id", "etag", "content-length"}
        assert head.headers.keys() - ignored == got_headers.keys() - ignored, path
        assert head.headers["content-type"] == got_headers["content-type"]
        if path not in ("/metrics",) and "content-length" in got_headers:
            assert head.headers["content-length"] == got_headers["content-length"], path
    assert client.head("/v1/masks").status_code == 405
    assert client.head("/v1/nothing").status_code == 404
    assert client.head("/v1/jobs/x").content == b""
    assert below(client.data / "temporary") == set()


def test_the_log_knows_a_head_by_its_name(client):
    client.head("/v1/models")
    assert 'method="HEAD",route="/v1/models",status="200"' in client.get("/metrics").text


def test_job_files_of_earlier_versions_are_read():
    old = json.loads(job(1).model_dump_json())
    del old["idempotency"]
    assert Job.model_validate(old).request == JobRequest(folder="x")
