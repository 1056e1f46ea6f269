"""Jobs, refinements and adjustments by both clients, over connections that break."""

import asyncio
import zipfile
from pathlib import Path

import numpy as np
import pytest
from api_server import png, serving
from fakes import Slow, pipeline
from job_cases import red_folder

from automask import errors
from automask.client import Adjustment, AsyncClient, Client, JobState, MaskOptions, Prompt, RetryPolicy

httpx = pytest.importorskip("httpx")
QUICK = RetryPolicy(attempts=4, first_delay_s=0.001, longest_delay_s=0.002)


class Breaking(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The real network, but the answers to the first requests are lost: the server has done what it was asked to."""

    def __init__(self, *, lost=0, cut=0):
        self.lost, self.cut = lost, cut
        self.requests = []
        self._through = httpx.HTTPTransport()

    def handle_request(self, request):
        request.read()
        self.requests.append(request)
        answer = self._through.handle_request(request)
        body = answer.read()
        if len(self.requests) <= self.lost:
            raise httpx.ReadError("reset")
        if len(self.requests) <= self.cut:
            return httpx.Response(answer.status_code, headers=answer.headers, stream=_Cut(body))
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    async def handle_async_request(self, request):
        await request.aread()
        return await asyncio.to_thread(
            self.handle_request,
            httpx.Request(request.method, request.url, headers=request.headers, content=request.content),
        )


class _Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        yield self.body[: len(self.body) // 2]
        raise httpx.RemoteProtocolError("incomplete chunked read")

    async def __aiter__(self):
        for part in self:
            yield part


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def opened(request):
    """Opens either client as one whose methods are plain functions."""

    class Plain:
        def __init__(self, url, transport=None, retries=QUICK):
            self.loop = asyncio.new_event_loop()
            self.client = request.param(url, transport=transport, retries=retries)

        def __getattr__(self, name):
            def ask(*arguments, **named):
                answer = getattr(self.client, name)(*arguments, **named)
                if hasattr(answer, "__aiter__"):
                    return self.loop.run_until_complete(listed(answer))
                if hasattr(answer, "__await__"):
                    return self.loop.run_until_complete(answer)
                return list(answer) if hasattr(answer, "__next__") else answer

            return ask

    async def listed(answers):
        return [one async for one in answers]

    made = []

    def open_(*arguments, **named):
        made.append(Plain(*arguments, **named))
        return made[-1]

    yield open_
    for one in made:
        one.close()
        one.loop.close()


@pytest.fixture
def server(tmp_path):
    red_folder(tmp_path / "root" / "set")
    with serving(tmp_path / "data", roots=(tmp_path / "root",)) as client:
        yield client


def names_in(path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def test_a_job_for_a_folder_from_beginning_to_end(opened, server, tmp_path):
    client = opened(str(server.base_url))
    job = client.submit_folder("set", pattern="sub/*", options=MaskOptions(growth_cells=2.0, kinds=["text"]))
    done = client.wait_for_job(job.id, poll_s=0.02)
    assert (done.state, done.progress.written) == (JobState.DONE, 2)
    assert client.job(job.id).id == job.id
    assert sorted(row["image_id"] for row in client.job_manifest(job.id)) == ["sub/1.png", "sub/3.png"]
    client.job_masks(job.id, tmp_path / "masks.zip")
    assert names_in(tmp_path / "masks.zip") == {"masks/sub/1.png", "masks/sub/3.png", "manifest.ndjson"}
    client.job_export(job.id, tmp_path / "grey.zip", trainer="grey")
    assert len(names_in(tmp_path / "grey.zip")) >= 2
    assert client.cancel_job(job.id).state is JobState.DONE
    client.delete_job(job.id)
    for ask in (client.job, client.delete_job, client.job_manifest, client.cancel_job):
        with pytest.raises(errors.ServerError) as unknown:
            ask(job.id)
        assert unknown.value.code == "job-unknown"


def test_images_are_sent_by_their_names(opened, server, tmp_path):
    (tmp_path / "a.png").write_bytes(png(seed=1))
    client = opened(str(server.base_url))
    job = client.submit_images([tmp_path / "a.png"], options=MaskOptions(growth_cells=1.0))
    assert client.wait_for_job(job.id, poll_s=0.02).progress.written == 1
    named = client.submit_images({"x/1.png": tmp_path / "a.png", "x/2.png": png(seed=2)})
    client.wait_for_job(named.id, poll_s=0.02)
    client.job_masks(named.id, tmp_path / "masks.zip")
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert archive.read("masks/x/2.png") == client.mask(png(seed=2)).png
    for wrong in ([], [tmp_path / "a.png", Path(tmp_path / "b" / "a.png")], [tmp_path / "missing.png"]):
        with pytest.raises(errors.InputError):
            client.submit_images(wrong)
    with pytest.raises(errors.ServerError) as refused:
        client.submit_images({"../a.png": png()})
    assert refused.value.code == "name-unsafe"


@pytest.mark.parametrize("way", ["submit_folder", "submit_images"])
def test_an_answer_that_is_lost_begins_no_second_job(opened, server, way):
    transport = Breaking(lost=2)
    client = opened(str(server.base_url), transport=transport)
    job = getattr(client, way)("set" if way == "submit_folder" else {"a.png": png()})
    assert len(transport.requests) == 3
    assert [one["id"] for one in server.get("/v1/jobs").json()] == [job.id]
    keys = {request.headers["idempotency-key"] for request in transport.requests}
    assert len(keys) == 1
    other = getattr(client, way)("set" if way == "submit_folder" else {"a.png": png()})
    assert other.id != job.id  # another call is another job


def test_a_key_of_ones_own_holds_between_programs(opened, server):
    first, second = (opened(str(server.base_url)).submit_folder("set", idempotency_key="night-7") for _ in range(2))
    assert first.id == second.id
    with pytest.raises(errors.AutomaskError) as refused:
        opened(str(server.base_url)).submit_folder("set", pattern="x", idempotency_key="night-7")
    assert refused.value.code == "idempotency-key-reused"


def test_a_job_that_is_gone_after_a_lost_answer_is_deleted(opened, server):
    sure = opened(str(server.base_url))
    job = sure.wait_for_job(sure.submit_folder("set").id, poll_s=0.02)
    transport = Breaking(lost=1)
    opened(str(server.base_url), transport=transport).delete_job(job.id)
    assert len(transport.requests) == 2


@pytest.mark.parametrize("way", ["job_masks", "job_export"])
def test_a_file_is_fetched_whole_or_not_at_all(opened, server, tmp_path, way):
    sure = opened(str(server.base_url))
    job = sure.wait_for_job(sure.submit_folder("set").id, poll_s=0.02)
    more = {"trainer": "coco"} if way == "job_export" else {}
    target = tmp_path / "out" / "masks.zip"
    target.parent.mkdir()
    transport = Breaking(cut=2)
    getattr(opened(str(server.base_url), transport=transport), way)(job.id, target, **more)
    assert len(transport.requests) == 3
    whole = target.read_bytes()
    names_in(target)
    with pytest.raises(errors.ServerError):
        getattr(opened(str(server.base_url), transport=Breaking(cut=99)), way)(job.id, target, **more)
    assert target.read_bytes() == whole
    with pytest.raises(errors.OutputError):
        getattr(sure, way)(job.id, tmp_path / "no-folder" / "x.zip", **more)
    assert [path.name for path in target.parent.iterdir()] == ["masks.zip"]


def test_all_pages_of_jobs_are_read(opened, server, monkeypatch):
    monkeypatch.setattr("automask.client.jobs._PAGE", 2)
    client = opened(str(server.base_url))
    ids = [client.submit_folder("set").id for _ in range(5)]
    assert [job.id for job in client.jobs()] == ids[::-1]


def test_waiting_has_an_end_and_the_job_none(opened, tmp_path):
    red_folder(tmp_path / "root" / "set")
    with serving(tmp_path / "data", roots=(tmp_path / "root",), pipeline=pipeline(Slow(0.3))) as server:
        client = opened(str(server.base_url))
        job = client.submit_folder("set")
        with pytest.raises(errors.ServerError) as late:
            client.wait_for_job(job.id, timeout_s=0.1, poll_s=0.02)
        assert late.value.code == "server-timeout"
        with pytest.raises(errors.AutomaskError) as early:
            client.job_manifest(job.id)
        assert early.value.code == "job-not-done"
        client.cancel_job(job.id)
        assert client.wait_for_job(job.id, poll_s=0.02).state is JobState.CANCELLED


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "a?b", "é"])
def test_what_is_no_id_is_not_sent(opened, job_id):
    with pytest.raises(errors.InputError):
        opened("http://127.0.0.1:1").job(job_id)


def test_a_click_masks_and_trains_again_and_the_image_is_sent_once(opened, server):
    transport = Breaking()
    client = opened(str(server.base_url), transport=transport)
    masked = client.refine(png(), Prompt(points=[(30, 20)], growth_cells=0.0))
    assert masked.box is not None
    assert masked.artefact.any()
    assert masked.artefact.shape == masked.box.shape
    assert (masked.levels == 0).any()
    again = client.refine(png(), Prompt(box=(10, 10, 60, 40), do="train"), mask=masked.png)
    assert (again.levels == 0).sum() < (masked.levels == 0).sum()
    assert [png() in request.content for request in transport.requests] == [True, False]
    drawing = np.full((64, 96), 255, np.uint8)
    drawing[16:32, 16:48] = 0
    from automask.files.png import encode_mask

    assert client.refine(png(), Prompt(drawn=encode_mask(drawing))).box is not None
    with pytest.raises(errors.InputError):
        client.refine(png(), Prompt())


def test_an_image_that_the_server_forgot_is_sent_again(opened, tmp_path):
    with serving(tmp_path, embeddings=1) as server:
        transport = Breaking()
        client = opened(str(server.base_url), transport=transport)
        for seed in (1, 2, 1):
            assert client.refine(png(seed=seed), Prompt(points=[(30, 20)])).method
        statuses = len(transport.requests)
        assert statuses == 4  # the third was asked for by its hash first


def test_finished_masks_are_adjusted(opened, server):
    client = opened(str(server.base_url))
    mask = client.mask(png()).png
    inverted = client.adjust(mask, Adjustment(invert=True))
    sent = {"content": mask, "params": {"invert": "true"}}
    assert inverted == server.post("/v1/adjust", **sent).content
    grown = client.adjust(mask, Adjustment(grow_cells=2.0, training_px=512))
    assert client.adjust(mask, Adjustment()) != grown
    with pytest.raises(errors.ConfigError):
        client.adjust(mask, Adjustment(grow_cells=99.0))
