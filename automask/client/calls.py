"""Requests and answers of the HTTP interface, as far as they are the same for both clients. No input or output here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from automask.client.answers import Analysis, ImageSource, MaskAnswer, ServerFacts, bytes_of
from automask.client.problems import UNKNOWN_ANSWER
from automask.errors import AutomaskError, ConfigError, PluginError, ServerError
from automask.http.request import MaskOptions
from automask.http.wire import WireResult, WireServer
from automask.values.types import Verdict
from automask.version import __version__

if TYPE_CHECKING:
    import httpx

API_KEY_VARIABLE = "AUTOMASK_API_KEY"
PNG, JSON = "image/png", "application/json"
_CONNECT_S = 10.0

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        method: GET, POST or DELETE.
        path: Under the server's address.
        query: Fields; lists are repeated.
        headers: Beside those of the connection.
        content: The body.
        parts: Or a form with files: (field, name, bytes) of each.
        json: Or a JSON document.
        gone_is_done: That there is no such thing any more is success, where the request had to be sent again.
    """

    method: str
    path: str
    query: Mapping[str, str | list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    parts: Sequence[tuple[str, str, bytes]] = ()
    json: Mapping[str, object] | None = None
    gone_is_done: bool = False

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """As httpx sends it."""
        query, headers = dict(self.query), dict(self.headers)
        if self.parts:
            files = [(field, (name, data, "application/octet-stream")) for field, name, data in self.parts]
            return http.build_request(self.method, self.path, params=query, headers=headers, files=files)
        if self.json is not None:
            return http.build_request(self.method, self.path, params=query, headers=headers, json=dict(self.json))
        return http.build_request(self.method, self.path, params=query, headers=headers, content=self.content)


@dataclass(frozen=True, slots=True)
class Connection:
    """What both clients tell httpx.

    Attributes:
        base_url: The server's address without a slash at the end.
        headers: Sent with every request.
        timeout: Of httpx.
    """

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout

    def options(self) -> ConnectionOptions:
        """As keywords of `httpx.Client` and `httpx.AsyncClient`."""
        return {"base_url": self.base_url, "headers": self.headers, "timeout": self.timeout}


class ConnectionOptions(TypedDict):
    """Keywords of httpx's clients."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout


def connection(url: str, *, api_key: str | None, timeout_s: float) -> Connection:
    """Check an address and prepare headers.

    Raises:
        ConfigError: It is not an http or https address.
        PluginError: httpx is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise PluginError(
            "Talking to a server needs httpx, which is not installed.",
            advice="Install the extra `client`.",
        ) from error
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _bad_address(url) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _bad_address(url)
    headers = {"User-Agent": f"automask/{__version__}"}
    key = api_key if api_key is not None else os.environ.get(API_KEY_VARIABLE, "")
    if key:
        if not key.isascii() or not key.isprintable():
            raise ConfigError("The API key has characters that no key has.", advice="Copy it again.")
        headers["Authorization"] = f"Bearer {key.strip()}"
    return Connection(url.rstrip("/"), headers, httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)))


def mask_call(image: ImageSource, options: MaskOptions | None) -> Call:
    """Ask for a mask's PNG."""
    return _image_call(image, options, accept=PNG)


def analysis_call(image: ImageSource, options: MaskOptions | None) -> Call:
    """Ask for all that was found."""
    return _image_call(image, options, accept=JSON)


def facts_call() -> Call:
    """Ask what the server runs."""
    return Call("GET", "/v1/models", headers={"Accept": JSON})


def read_mask(response: httpx.Response) -> MaskAnswer:
    """The answer to `mask_call`.

    Raises:
        ServerError: It is not one.
    """
    headers = response.headers
    try:
        return MaskAnswer(
            png=response.content,
            verdict=Verdict(headers["X-Automask-Verdict"]),
            confidence=float(headers["X-Automask-Confidence"]),
            masked_share=float(headers["X-Automask-Masked-Share"]),
            fingerprint=headers["X-Automask-Fingerprint"],
            issues=tuple(code for code in headers.get("X-Automask-Issues", "").split(",") if code),
        )
    except (KeyError, ValueError) as error:
        raise unknown_answer(f"a header is missing or wrong ({error})") from error


def read_analysis(response: httpx.Response) -> Analysis:
    """The answer to `analysis_call`.

    Raises:
        ServerError: It is not one.
    """
    return analysis_of(parsed(WireResult, response.content))


def analysis_of(wire: WireResult) -> Analysis:
    """What was found, as values of the pipeline.

    Raises:
        ServerError: It does not fit together.
    """
    try:
        result = wire.result()
    except ValueError as error:
        raise unknown_answer(str(error)) from error
    return Analysis(result=result, masked_share=wire.masked_share, content_sha256=wire.content_sha256)


def read_facts(response: httpx.Response) -> ServerFacts:
    """The answer to `facts_call`.

    Raises:
        ServerError: It is not one.
    """
    wire = parsed(WireServer, response.content)
    return ServerFacts(version=wire.version, config=wire.config, fingerprints=wire.fingerprints.fingerprints())


def parsed(model: type[Model], content: bytes | str) -> Model:
    """JSON as a model.

    Raises:
        ServerError: It is not of that shape.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise unknown_answer(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg'].lower()}") from error


def unknown_answer(reason: str) -> AutomaskError:
    """The error for an answer that does not look like ours."""
    return ServerError(
        f"The server's answer is not understood: {reason}.",
        advice="Check that the address is that of an automask server of about this version.",
        code=UNKNOWN_ANSWER,
    )


def _image_call(image: ImageSource, options: MaskOptions | None, *, accept: str) -> Call:
    return Call(
        "POST",
        "/v1/masks",
        query=options.fields() if options is not None else {},
        headers={"Accept": accept, "Content-Type": "application/octet-stream"},
        content=bytes_of(image),
    )


def _bad_address(url: str) -> ConfigError:
    return ConfigError(f"{url!r} is not the address of a server.", advice="Write e.g. http://127.0.0.1:8787.")
