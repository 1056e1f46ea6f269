"""A real server on loopback for tests: uvicorn in a thread of this process, or `automask serve` in its own."""

import contextlib
import io
import threading
import time

import httpx
import uvicorn
from fakes import pipeline as red_pipeline
from fakes import red_on_grey
from PIL import Image

from automask_api.app import create_app
from automask_api.connections import guarded
from automask_api.settings import ServiceSettings

START_S = 60


def png(**options) -> bytes:
    """`fakes.red_on_grey` as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(red_on_grey(**options)).save(out, "PNG")
    return out.getvalue()


@contextlib.contextmanager
def serving(data_dir, *, pipeline=None, routers=(), store=None, app=None, **settings):
    """An httpx client of a server with that pipeline (red is text by default) and those settings."""
    if app is None:
        made = ServiceSettings(data_dir=data_dir, **settings)
        app = create_app(pipeline or red_pipeline(), store, made, routers=routers)
    http = guarded(app.state.service.connections) if hasattr(app, "state") else "auto"
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5, http=http))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server took too long to start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_S) as client:
            while client.get("/readyz").status_code == 503 and time.monotonic() < deadline:
                time.sleep(0.02)
            client.app = app
            yield client
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not stop"
