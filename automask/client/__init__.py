"""Masks from an automask server, for scripts and training loops: `Client`, `AsyncClient`, `MaskCache`.

Needs httpx: `pip install '.[client]'`. It is imported when a client is made, not with this module.
"""

from automask.client.aio import AsyncClient
from automask.client.answers import Analysis, BatchAnswer, BatchRefusal, ImageSource, MaskAnswer, ServerFacts
from automask.client.cache import MaskCache
from automask.client.edits import Adjustment, Prompt, RefinedMask
from automask.client.retries import RetryPolicy
from automask.client.sync import Client
from automask.http.request import MaskOptions
from automask.http.wire_jobs import JobState, WireJob

__all__ = [
    "Adjustment",
    "Analysis",
    "AsyncClient",
    "BatchAnswer",
    "BatchRefusal",
    "Client",
    "ImageSource",
    "JobState",
    "MaskAnswer",
    "MaskCache",
    "MaskOptions",
    "Prompt",
    "RefinedMask",
    "RetryPolicy",
    "ServerFacts",
    "WireJob",
]
