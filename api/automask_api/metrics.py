"""Numbers for Prometheus, of one app: what was asked, how long it took, what waits."""

from __future__ import annotations

import http
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from automask_api.connections import Reason
from automask_api.jobs.records import JobState

if TYPE_CHECKING:
    from automask_api.service import Service

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STATUSES = frozenset(http.HTTPStatus)
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class Metrics:
    """Counts requests; the rest is read from the service when somebody asks.

    Args:
        service: Whose queues and caches.
    """

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("automask_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "automask_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self._registry.register(_ServiceCollector(service))

    def observe(self, scope: Scope, *, status: int, seconds: float) -> None:
        """Count a request. Every label is of a closed set: clients choose paths and methods, and the memory is ours."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status) if status in _STATUSES else "none").inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _ServiceCollector(Collector):
    """Reads a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Everything as it is now."""
        service = self._service
        yield _gauge("automask_ready", "1 when all models are loaded.", float(service.worker.ready))
        yield _gauge("automask_admitted_requests", "Requests in work or waiting.", service.admitted)
        yield _gauge("automask_model_queue", "Tasks that wait for a model thread.", service.worker.waiting)
        yield _counter("automask_analysed_images", "Images that models ran on.", service.worker.analysed)
        yield _counter("automask_model_calls", "Calls of models, each for a batch.", service.worker.calls)
        yield _counter("automask_cache_hits", "Images found in the result cache.", service.cache.hits)
        yield _counter("automask_cache_misses", "Images not found in the result cache.", service.cache.misses)
        yield _gauge("automask_connections", "Connections that are open.", len(service.connections))
        ended = CounterMetricFamily("automask_connections_ended", "Connections ended early.", labels=["reason"])
        for reason in get_args(Reason):
            ended.add_metric([reason], service.connections.ended[reason])
        yield ended
        jobs = GaugeMetricFamily("automask_jobs", "Jobs that are kept, by state.", labels=["state"])
        states = [job.state for job in service.jobs.jobs()]
        for state in JobState:
            jobs.add_metric([state.value], states.count(state))
        yield jobs


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_, value=value)
