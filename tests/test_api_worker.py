"""The model threads and the queue before them."""

import asyncio
import threading
import time
import weakref

import pytest
from fakes import RedDetector, Slow, image, pipeline

pytest.importorskip("fastapi")

import httpx
from api_server import png, serving

from automask.errors import WeightsError
from automask_api.decoding import PixelBudget
from automask_api.errors import Busy, DeadlinePassed
from automask_api.loaded_stages import LoadedStages
from automask_api.worker import ModelWorker


class Gated(RedDetector):
    """Waits for a gate, and remembers batches."""

    name = "gated"

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.batches = []
        self.threads = set()

    def detect(self, images):
        self.batches.append([image.id for image in images])
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(30)
        return super().detect(images)


@pytest.fixture
def gated():
    detector = Gated()
    worker = ModelWorker([LoadedStages(pipeline(detector))], batch_size=4, capacity=8)
    worker.start()
    yield worker, detector
    detector.gate.set()
    worker.close()


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_waits_together_runs_together_in_one_thread(gated):
    worker, detector = gated
    futures = [worker.analyse(image("0"), timeout_s=30)]
    wait_for(lambda: detector.batches)
    futures += [worker.analyse(image(str(n)), timeout_s=30) for n in range(1, 7)]
    detector.gate.set()
    assert [future.result(30).image_id for future in futures] == [str(n) for n in range(7)]
    assert detector.batches == [["0"], ["1", "2", "3", "4"], ["5", "6"]]
    assert detector.threads == {"automask-model-0"}


def test_a_full_queue_refuses_and_goes_on(gated):
    worker, detector = gated
    futures = [worker.analyse(image("0"), timeout_s=30)]
    wait_for(lambda: detector.batches)
    futures += [worker.analyse(image(str(n)), timeout_s=30) for n in range(8)]
    with pytest.raises(Busy):
        worker.analyse(image("late"), timeout_s=30)
    detector.gate.set()
    assert all(future.result(30) for future in futures)
    assert worker.analyse(image("later"), timeout_s=30).result(30).image_id == "later"


def test_what_nobody_waits_for_any_more_is_not_done(gated):
    worker, detector = gated
    first = worker.analyse(image("first"), timeout_s=30)
    wait_for(lambda: detector.batches)
    given_up, late = worker.analyse(image("x"), timeout_s=30), worker.analyse(image("y"), timeout_s=0.01)
    assert given_up.cancel()
    time.sleep(0.05)
    detector.gate.set()
    assert first.result(30)
    with pytest.raises(DeadlinePassed):
        late.result(30)
    assert detector.seen == ["first"]


def test_background_work_waits_behind_people_but_is_not_forgotten(gated):
    worker, detector = gated
    order = []
    worker.analyse(image("0"), timeout_s=30)
    wait_for(lambda: detector.batches)
    jobs = [worker.call(lambda _: order.append("job"), timeout_s=30, in_background=True) for _ in range(2)]
    people = [worker.call(lambda _: order.append("person"), timeout_s=30) for _ in range(8)]
    detector.gate.set()
    for future in jobs + people:
        future.result(30)
    assert order.index("job") > 0
    assert order.index("job") < 5


def test_small_images_are_not_held_up_by_large_ones_which_get_their_turn(gated):
    worker, detector = gated
    first = worker.analyse(image("0"), timeout_s=30)
    wait_for(lambda: detector.batches)
    large = [worker.analyse(image(name, width_px=3500, height_px=2000), timeout_s=30) for name in ("A", "B")]
    small = [worker.analyse(image(str(n)), timeout_s=30) for n in range(1, 5)]
    detector.gate.set()
    for future in (first, *large, *small):
        future.result(30)
    assert detector.batches == [["0"], ["1", "2", "3", "4"], ["A"], ["B"]]


def test_large_images_are_not_forgotten_beside_small_ones_and_jobs(gated):
    worker, detector = gated
    order = detector.batches
    worker.analyse(image("0"), timeout_s=30)
    wait_for(lambda: order)
    calls = [worker.call(lambda _: order.append("job"), timeout_s=30, in_background=True) for _ in range(4)]
    calls += [worker.call(lambda _: order.append("person"), timeout_s=30) for _ in range(7)]
    large = worker.analyse(image("A", width_px=3500, height_px=2000), timeout_s=30)
    detector.gate.set()
    for future in (large, *calls):
        future.result(30)
    before = order[: order.index(["A"])]
    assert 0 < before.count("person") < 7, order
    assert 0 < before.count("job") < 4


def test_images_that_are_large_together_are_no_batch(gated):
    worker, detector = gated
    futures = [worker.analyse(image("0"), timeout_s=30)]
    wait_for(lambda: detector.batches)
    futures += [worker.analyse(image(str(n), width_px=2000, height_px=1400), timeout_s=30) for n in range(1, 4)]
    detector.gate.set()
    for future in futures:
        future.result(30)
    assert detector.batches == [["0"], ["1", "2"], ["3"]]


def test_large_images_count_as_work_that_waits(gated):
    worker, detector = gated
    running = worker.analyse(image("0"), timeout_s=30)
    wait_for(lambda: detector.batches)
    large = image("A", width_px=3500, height_px=2000)
    waiting = [worker.analyse(large, timeout_s=30) for _ in range(8)]
    assert worker.waiting == 8
    with pytest.raises(Busy):
        worker.analyse(large, timeout_s=30)
    worker.refuse_waiting()
    for future in waiting:
        with pytest.raises(Busy):
            future.result(30)
    detector.gate.set()
    assert running.result(30)


def test_what_was_analysed_is_not_kept_until_the_next_image_comes(gated):
    worker, detector = gated
    detector.gate.set()
    picture = image("0")
    kept = weakref.ref(picture.pixels)
    future = worker.analyse(picture, timeout_s=30)
    future.result(30)
    del picture, future
    wait_for(lambda: kept() is None)


def test_closing_refuses_what_waits(gated):
    worker, detector = gated
    running = worker.analyse(image("0"), timeout_s=30)
    wait_for(lambda: detector.batches)
    waiting = worker.analyse(image("1"), timeout_s=30)
    closer = threading.Thread(target=worker.close)
    closer.start()
    with pytest.raises(Busy):
        waiting.result(30)
    detector.gate.set()
    closer.join(30)
    assert running.result(30).image_id == "0"
    with pytest.raises(Busy):
        worker.analyse(image("2"), timeout_s=30)


def test_models_that_do_not_load_make_every_answer_say_why(tmp_path):
    class Missing(RedDetector):
        def load(self):
            raise WeightsError("They are gone.", advice="Fetch them.", code="weights-missing")

    from automask_api.app import create_app
    from automask_api.settings import ServiceSettings

    app = create_app(pipeline(Missing()), None, ServiceSettings(data_dir=tmp_path))
    service = app.state.service
    service.start()
    wait_for(lambda: service.worker.load_error is not None)
    with pytest.raises(WeightsError):
        service.worker.analyse(image("0"), timeout_s=1)
    service.stop()


def test_requests_above_the_limit_get_503_and_the_server_recovers(tmp_path):
    with serving(tmp_path, pipeline=pipeline(Slow(0.15)), queue_size=4, batch_size=1) as client:

        async def storm():
            async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
                sent = [many.post("/v1/masks", content=png(seed=n)) for n in range(40)]
                return await asyncio.gather(*sent)

        answers = asyncio.run(storm())
        by_status = {status: [a for a in answers if a.status_code == status] for status in (200, 503)}
        assert len(by_status[200]) + len(by_status[503]) == 40
        assert len(by_status[200]) >= 4
        assert by_status[503]
        for refused in by_status[503]:
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["code"] == "busy"
        assert client.post("/v1/masks", content=png(seed=99)).status_code == 200
        assert client.app.state.service.admitted == 0


def test_a_client_that_goes_away_frees_its_place(tmp_path):
    detector = Gated()
    with serving(tmp_path, pipeline=pipeline(detector), batch_size=1) as client:
        first = threading.Thread(target=lambda: client.post("/v1/masks", content=png(seed=1)))
        first.start()
        wait_for(lambda: detector.batches)
        for seed in range(2, 6):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{client.base_url}/v1/masks", content=png(seed=seed), timeout=0.2)
        wait_for(lambda: client.app.state.service.admitted == 1)
        detector.gate.set()
        first.join()
        assert client.post("/v1/masks", content=png(seed=9)).status_code == 200
        assert len(detector.seen) == 2


def test_pixels_wait_their_turn():
    async def scene():
        budget, order = PixelBudget(100), []

        async def one(name, pixels, hold):
            async with budget.taken(pixels):
                order.append(name)
                await hold.wait()

        holds = [asyncio.Event() for _ in range(4)]
        tasks = [asyncio.create_task(one(n, px, holds[n])) for n, px in enumerate((60, 60, 1000, 10))]
        await asyncio.sleep(0)
        assert order == [0]
        tasks[1].cancel()
        holds[0].set()
        await asyncio.sleep(0.01)
        assert order == [0, 2]  # larger than the bound: alone
        holds[2].set()
        holds[3].set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [0, 2, 3]

    asyncio.run(scene())
