"""Options of requests, from the query and from form fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from automask.config import config_error
from automask.http.request import MaskOptions

M = TypeVar("M", bound=BaseModel)


class RequestOptions(MaskOptions):
    """Options of one request."""

    name: str = Field("image", min_length=1, max_length=1024, description="How the answer calls the image.")
    deadline_s: float | None = Field(
        None, ge=1, le=3600, description="Give up after this time; the server has a limit."
    )


def model_of(query: M, fields: Mapping[str, Sequence[str]]) -> M:
    """The options of the query together with those of the form, which win.

    Raises:
        ConfigError: A field is unknown or out of range.
    """
    if not fields:
        return query
    given = query.model_dump(exclude_unset=True)
    for name, values in fields.items():
        known = type(query).model_fields.get(name)
        is_repeatable = known is not None and isinstance(known.default, list)
        given[name] = list(values) if is_repeatable else values[-1]
    try:
        return type(query).model_validate(given)
    except ValidationError as error:
        raise config_error(error) from error
