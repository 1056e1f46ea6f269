"""The OpenAPI document: FastAPI's, with problem details instead of plain JSON, and models that no route names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from automask_api.problems import MEDIA_TYPE, Problem
from automask_api.security.guard import OPEN_PATHS

_TEMPLATE = "#/components/schemas/{model}"
_OTHERWISE = {"description": "What went wrong, and what to do.", "content": {}}
_FRAMEWORK_MODELS = ("HTTPValidationError", "ValidationError")

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `automask serve keys add NAME`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The same key as the password, under any name."},
}

BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
"""The schema of a file."""


BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"images": {"type": "array", "items": BINARY, "minItems": 1}},
                    "required": ["images"],
                    "additionalProperties": {"type": "string", "description": "Any option of the query."},
                }
            },
            "application/zip": {"schema": BINARY},
        },
    }
}
"""A body of many images."""


def image_body(description: str) -> dict[str, Any]:
    """A body that is one image, or a form with it: for a route's `openapi_extra`."""
    form = {
        "type": "object",
        "properties": {"image": {**BINARY, "description": description}},
        "required": ["image"],
        "additionalProperties": {"type": "string", "description": "Any option of the query."},
    }
    content = {
        "multipart/form-data": {"schema": form},
        "image/*": {"schema": BINARY},
        "application/octet-stream": {"schema": BINARY},
    }
    return {"requestBody": {"required": True, "content": content}}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """The schema of a model by name; the route's own `models` must be given to `DescribedApp`."""
    return {"$ref": _TEMPLATE.format(model=model.__name__)}


class DescribedApp(FastAPI):
    """A FastAPI app whose document says what errors really look like.

    Attributes:
        named_models: Models that routes refer to by `reference`.
    """

    named_models: Sequence[type[BaseModel]] = ()

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        models: list[type[BaseModel]] = [Problem, *self.named_models]
        _, definitions = models_json_schema([(model, "serialization") for model in models], ref_template=_TEMPLATE)
        for name, schema in definitions.get("$defs", {}).items():
            schemas.setdefault(name, schema)
        for name in _FRAMEWORK_MODELS:
            schemas.pop(name, None)
        document["components"]["securitySchemes"] = SECURITY_SCHEMES
        problem = {**_OTHERWISE, "content": {MEDIA_TYPE: {"schema": reference(Problem)}}}
        for path, methods in document["paths"].items():
            for operation in methods.values():
                # `{}`: on loopback nobody needs a key until there is one.
                operation["security"] = [] if path in OPEN_PATHS else [{}, *({name: []} for name in SECURITY_SCHEMES)]
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = problem
        return document
