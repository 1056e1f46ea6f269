"""The client against a real server on loopback; faults of networks and proxies come from scripted transports."""

import asyncio
import datetime
import pickle
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest
from api_server import png, serving
from fakes import pipeline, red_on_grey

from automask import errors
from automask.client import AsyncClient, BatchAnswer, BatchRefusal, Client, MaskCache, MaskOptions, RetryPolicy
from automask.client.problems import error_of_answer
from automask.files.png import encode_mask
from automask.values.types import Image, Verdict

httpx = pytest.importorskip("httpx")
QUICK = RetryPolicy(attempts=4, first_delay_s=0.001, longest_delay_s=0.002)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data")) as client:
        yield str(client.base_url)


def local(options=None, *, name="image", **drawing):
    """Result and mask file of the same picture without a server."""
    works = pipeline(config=(options or MaskOptions()).applied_to(pipeline().config))
    (result,) = works.run([Image(name, red_on_grey(**drawing))])
    mask = works.render(result)
    return works.judged(result, mask), encode_mask(mask.levels)


def scripted(*answers):
    """A transport that gives these answers or raises these errors, one by one, and the list of requests it saw."""
    seen, left = [], list(answers)

    def handle(request):
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.MockTransport(handle), seen


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def asked(request):
    """Asks by either client: `asked(method, *arguments, transport=...)`; of `masks` it makes a list."""

    def ask(method, *arguments, url="http://server", transport=None, retries=QUICK):
        made = request.param(url, transport=transport, retries=retries)
        if isinstance(made, Client):
            with made as client:
                answer = getattr(client, method)(*arguments)
                return list(answer) if method == "masks" else answer
        return asyncio.run(awaited(made, method, *arguments))

    async def awaited(made, method, *arguments):
        async with made as client:
            answer = getattr(client, method)(*arguments)
            return [one async for one in answer] if method == "masks" else await answer

    return ask


def test_a_mask_is_the_local_one_to_the_byte(url, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    options = MaskOptions(training_px=512, growth_cells=4.0)
    with Client(url) as client:
        for image in (png(), tmp_path / "a.png", str(tmp_path / "a.png")):
            assert client.mask(image).png == local()[1]
        answer = client.mask(png(), options=options)
    result, expected = local(options)
    assert answer.png == expected != local()[1]
    assert answer.fingerprint == result.fingerprints.fuse
    assert answer.verdict is result.verdict is Verdict.AUTO
    assert (answer.levels == 0).any()


def test_options_leave_kinds_out(url):
    with Client(url) as client:
        kept = client.mask(png(), options=MaskOptions(kinds=["frame"]))
        policy = client.mask(png(), options=MaskOptions(policy=["text=keep"], weight=["frame=0.5"]))
    assert (kept.levels == 255).all()
    assert (policy.levels == 255).all()


def test_an_analysis_is_the_local_result(url):
    with Client(url) as client:
        analysis = client.analyse(png())
    expected, mask = local()
    assert encode_mask(pipeline().render(analysis.result).levels) == mask
    assert analysis.result.fingerprints == expected.fingerprints
    assert [region.box for region in analysis.result.regions] == [region.box for region in expected.regions]
    assert 0 < analysis.masked_share < 1


def test_many_images_each_get_an_answer_and_bad_ones_cost_the_others_nothing(url, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(png()[:200])
    images = [png(seed=seed) for seed in range(5)] + [broken, tmp_path / "missing.png"]
    with Client(url) as client:
        answers = list(client.masks(images, at_once=3))
    assert len(answers) == 7
    refused = {Path(answer.image).name: answer.error for answer in answers if isinstance(answer, BatchRefusal)}
    assert set(refused) == {"broken.png", "missing.png"}
    assert isinstance(refused["broken.png"], errors.InputError)
    made = {images.index(answer.image): answer for answer in answers if isinstance(answer, BatchAnswer)}
    for seed in range(5):
        assert made[seed].mask.png == local(seed=seed)[1]
        assert made[seed].analysis.result.regions


def test_the_client_with_an_event_loop_answers_the_same(url):
    async def ask():
        async with AsyncClient(url) as client:
            masks = await asyncio.gather(*(client.mask(png(seed=seed)) for seed in range(4)))
            analysis = await client.analyse(png())
            many = [answer async for answer in client.masks([png(seed=seed) for seed in range(4)], at_once=3)]
            return masks, analysis, many, await client.facts()

    masks, analysis, many, facts = asyncio.run(ask())
    expected = [local(seed=seed)[1] for seed in range(4)]
    assert [mask.png for mask in masks] == expected
    assert [answer.mask.png for answer in many] == expected
    assert analysis.result.fingerprints == facts.fingerprints == pipeline().fingerprints


def test_what_the_server_says_is_raised_as_without_a_server(url):
    with Client(url) as client:
        with pytest.raises(errors.ImageError) as cut:
            client.mask(png()[:200])
        with pytest.raises(errors.InputError, match="Cannot read"):
            client.mask("nowhere.png")
    assert cut.value.code.startswith("image-")
    assert cut.value.advice


def test_a_key_is_sent_and_a_missing_one_is_said(tmp_path, monkeypatch):
    from automask_api.security.keys import KEYS_FILE, add_key

    key = add_key(tmp_path / KEYS_FILE, "test")
    with serving(tmp_path) as server:
        address = str(server.base_url)
        with Client(address) as client, pytest.raises(errors.ServerError) as refused:
            client.mask(png())
        with Client(address, api_key=key) as client:
            assert client.mask(png()).png == local()[1]
        monkeypatch.setenv("AUTOMASK_API_KEY", key)
        with Client(address) as client:
            assert client.mask(png()).png == local()[1]
    assert (refused.value.code, refused.value.exit_code) == ("key-required", 9)


def test_passing_trouble_is_waited_out(asked):
    good = httpx.Response(200, content=b"x", headers=HEADERS)
    transport, seen = scripted(
        httpx.ConnectError("refused"), httpx.Response(502, text="bad gateway"), httpx.ReadError("reset"), good
    )
    assert asked("mask", b"image", transport=transport).png == b"x"
    assert [request.content for request in seen] == [b"image"] * 4


HEADERS = {
    "X-Automask-Verdict": "auto",
    "X-Automask-Confidence": "0.9",
    "X-Automask-Masked-Share": "0.1",
    "X-Automask-Fingerprint": "f",
}


def problem(status, code, *, exit_code=1, **headers):
    body = {"detail": "It is so.", "advice": "Do this.", "code": code, "exit_code": exit_code}
    return httpx.Response(status, json=body, headers=headers)


@pytest.mark.parametrize("in_s", [1.0, 0.0])
def test_a_busy_server_says_when_to_come_back(asked, in_s, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("asyncio.sleep", sleep)
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30 * in_s)
    busy = problem(503, "busy", **{"Retry-After": str(7 * in_s)})
    dated = problem(503, "busy", **{"Retry-After": format_datetime(then, usegmt=True)})
    transport, _ = scripted(busy, dated, httpx.Response(200, content=b"x", headers=HEADERS))
    assert asked("mask", b"image", transport=transport).png == b"x"
    assert slept[0] >= 7 * in_s
    assert slept[1] >= 25 * in_s


@pytest.mark.parametrize(
    ("answer", "code", "exit_code", "requests"),
    [
        (lambda: httpx.ConnectError("refused"), "server-unreachable", 9, 4),
        (lambda: httpx.ReadTimeout("slow"), "server-timeout", 9, 1),
        (lambda: problem(503, "busy", **{"Retry-After": "0"}), "busy", 9, 4),
        (lambda: problem(503, "weights-unavailable", exit_code=6), "weights-unavailable", 6, 1),
        (lambda: problem(504, "deadline-passed"), "deadline-passed", 9, 1),
        (lambda: problem(422, "image-cut-off", exit_code=3), "image-cut-off", 3, 1),
        (lambda: problem(422, "config-invalid", exit_code=2), "config-invalid", 2, 1),
        (lambda: problem(500, "internal"), "internal", 1, 1),
        (lambda: problem(413, "body-too-large"), "body-too-large", 9, 1),
        (lambda: httpx.Response(404, text="<h1>nginx</h1>"), "server-answer-unknown", 9, 1),
        (lambda: httpx.Response(200, text="hello"), "server-answer-unknown", 9, 1),
        (lambda: httpx.Response(302, headers={"Location": "/login"}), "server-answer-unknown", 9, 1),
    ],
)
def test_lasting_trouble_is_raised(asked, answer, code, exit_code, requests):
    transport, seen = scripted(*(answer() for _ in range(requests)))
    with pytest.raises(errors.AutomaskError) as raised:
        asked("mask", b"image", transport=transport)
    assert (raised.value.code, raised.value.exit_code, len(seen)) == (code, exit_code, requests)
    assert raised.value.advice


def test_a_client_gives_up_in_time(asked):
    transport, seen = scripted(problem(503, "busy", **{"Retry-After": "3600"}))
    with pytest.raises(errors.ServerError):
        asked("mask", b"image", transport=transport, retries=RetryPolicy())
    assert len(seen) == 1


def test_what_a_broken_stream_left_open_is_asked_again(asked, url):
    """The connection breaks after the first line of each answer: three images take three requests."""
    requests = []
    through = httpx.HTTPTransport()

    class Breaking(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request):
            requests.append(request)
            answer = through.handle_request(request)
            lines = answer.read().splitlines(keepends=True)
            return httpx.Response(answer.status_code, headers=answer.headers, stream=_OneLine(lines))

        async def handle_async_request(self, request):
            await request.aread()
            return self.handle_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            )

    class _OneLine(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __init__(self, lines):
            self.lines = lines

        def __iter__(self):
            yield self.lines[0]
            if len(self.lines) > 1:
                yield self.lines[1][:50]
                raise httpx.ReadError("reset")

        async def __aiter__(self):
            for part in self:
                yield part

    answers = asked("masks", [png(seed=seed) for seed in range(3)], url=url, transport=Breaking())
    assert [answer.mask.png for answer in answers] == [local(seed=seed)[1] for seed in range(3)]
    assert len(requests) == 3


def test_a_stream_that_never_tells_anything_ends_with_an_error(asked):
    transport, seen = scripted(*(httpx.Response(200, content=b"") for _ in range(9)))
    with pytest.raises(errors.ServerError, match="2 images got no answer"):
        asked("masks", [b"a", b"b"], transport=transport)
    assert len(seen) == QUICK.attempts


@pytest.mark.parametrize("address", ["", "localhost:8787", "ftp://host", "http://", "http://[::1"])
def test_what_is_no_address_is_refused(asked, address):
    with pytest.raises(errors.ConfigError, match="not the address"):
        asked("facts", url=address)


def test_errors_that_no_code_names_keep_the_class_of_their_exit_code():
    body = b'{"code": "store-odd", "detail": "x", "exit_code": 5}'
    assert type(error_of_answer(409, body)) is errors.StoreError
    assert type(error_of_answer(418, b'{"code": "tea", "detail": "x"}')) is errors.ServerError


def test_the_cache_asks_once_for_each_content_and_each_setting(tmp_path):
    with serving(tmp_path / "data") as server:
        address = str(server.base_url)
        cache = MaskCache(tmp_path / "cache", address)
        first = cache.levels(png())
        (kept,) = (tmp_path / "cache").rglob("*.png")
        kept_ns = kept.stat().st_mtime_ns
        (tmp_path / "renamed.png").write_bytes(png())
        copy = pickle.loads(pickle.dumps(cache))  # as the workers of a DataLoader get it
        assert np.array_equal(copy.levels(tmp_path / "renamed.png"), first)
        other = MaskCache(tmp_path / "cache", address, options=MaskOptions(growth_cells=4.0))
        assert (other.levels(png()) == 0).sum() > (first == 0).sum()
    # The server is gone: what the cache knows is still there, and a damaged file is not taken for a mask.
    assert np.array_equal(cache.levels(png()), first)
    assert kept.stat().st_mtime_ns == kept_ns
    # Nor does a program that starts only now need the server, as long as all masks are there.
    assert np.array_equal(MaskCache(tmp_path / "cache", address).levels(png()), first)
    kept.write_bytes(b"damaged")
    with pytest.raises(errors.ServerError):
        MaskCache(tmp_path / "cache", address, retries=QUICK).levels(png())


def test_the_cache_asks_anew_when_the_server_came_back_as_another(tmp_path):
    with serving(tmp_path / "data") as server:
        address = str(server.base_url)
        MaskCache(tmp_path / "cache", address).levels(png())
        (known,) = (tmp_path / "cache" / "servers").iterdir()
        known.write_text("of-a-server-before")
        away = MaskCache(tmp_path / "cache", address)
        away._fingerprint = "of-a-server-before"  # as if it had started while the server was away
        away.levels(png())
        assert known.read_text() != "of-a-server-before"
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 1


def test_httpx_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(errors.PluginError, match="httpx"):
        Client("http://127.0.0.1:1")
