"""The app: everything that is shared is made here and kept on `app.state.service`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from automask.errors import ConfigError
from automask.http.wire import WireResult
from automask.run.pipeline import MaskPipeline
from automask.store import Store
from automask.version import __version__
from automask_api import problems
from automask_api.description import DescribedApp
from automask_api.head import HeadMiddleware
from automask_api.routes import adjust, batch, health, jobs, labelstudio, masks, models, reference, refine
from automask_api.routes.refine import RefineAnswer
from automask_api.security.guard import GuardMiddleware
from automask_api.security.keys import KEYS_FILE, ApiKeys
from automask_api.security.limits import BodyLimitMiddleware
from automask_api.service import Service
from automask_api.settings import MIB, ServiceSettings
from automask_api.stopping import StoppingMiddleware
from automask_api.tracing import TracingMiddleware

_ROUTERS = (
    health.router,
    models.router,
    masks.router,
    batch.router,
    adjust.router,
    jobs.router,
    refine.router,
    labelstudio.router,
    reference.router,
)


def create_app(
    pipeline: MaskPipeline, store: Store | None, settings: ServiceSettings, *, routers: Sequence[APIRouter] = ()
) -> FastAPI:
    """Build the app. Starts nothing: models are loaded when the server starts it.

    Args:
        pipeline: Belongs to the app from now on.
        store: The dataset that the review page shows, or None.
        settings: Where it will listen, limits, folders.
        routers: More routes; they reach everything by `automask_api.service.ServiceDep`.

    Raises:
        ConfigError: It would listen elsewhere than on loopback without any API key, or the key file is damaged.
    """
    keys = ApiKeys.read(settings.data_dir / KEYS_FILE)
    if not keys and not settings.is_loopback:
        raise ConfigError(
            f"A server on {settings.host} needs API keys: others than this machine can reach it.",
            advice="Add one with `automask serve keys add NAME`, or listen on 127.0.0.1.",
            code="key-required",
        )
    service = Service(pipeline, store, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.stop()

    app = DescribedApp(
        title="automask",
        version=__version__,
        summary="Loss masks that keep a diffusion model from learning text, frames and watermarks.",
        lifespan=lifespan,
        docs_url=None,  # ours needs nothing from the network
        redoc_url=None,
    )
    app.named_models = (WireResult, RefineAnswer)
    app.state.service = service
    problems.install(app)
    for router in (*_ROUTERS, *routers):
        app.include_router(router)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(
        BodyLimitMiddleware,
        by_path={
            "/v1/masks": settings.max_image_bytes + MIB,
            "/v1/adjust": settings.max_image_bytes + MIB,
            "/v1/refine": 3 * settings.max_image_bytes + MIB,
            "/v1/masks/batch": settings.max_batch_bytes,
            "/v1/jobs/upload": settings.max_batch_bytes,
        },
        otherwise=settings.max_body_bytes,
    )
    app.add_middleware(
        GuardMiddleware,
        keys=keys,
        hosts=settings.allowed_hosts,
        origins=settings.cors_origins,
        open_paths=("/metrics",) if settings.open_metrics else (),
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    app.add_middleware(StoppingMiddleware, stopping=service.stopping)
    app.add_middleware(TracingMiddleware, metrics=service.metrics)
    return app
