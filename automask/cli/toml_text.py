"""Writes a configuration as commented TOML, which `--config` reads back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automask.config import FrozenModel, PipelineConfig


def config_toml(config: PipelineConfig) -> str:
    """The whole configuration with the description of every key, stage options included.

    Raises:
        PluginError: A stage that the configuration names does not exist.
        ConfigError: A stage refuses its options.
    """
    lines = [*_table(config, path=()), *_stage_tables(config)]
    return "\n".join(lines).strip() + "\n"


def _table(model: FrozenModel, *, path: tuple[str, ...]) -> Iterator[str]:
    from automask.config import FrozenModel

    fields = type(model).model_fields
    if path:
        yield ""
        yield f"[{'.'.join(path)}]"
    inner: list[tuple[str, FrozenModel]] = []
    for name, field in fields.items():
        value = getattr(model, name)
        if isinstance(value, FrozenModel):
            inner.append((name, value))
        elif not (name == "options" and not path):
            if field.description:
                yield f"# {field.description}"
            # TOML has no null: a key without a value is shown as a comment
            yield f"{name} = {_value(value)}" if value is not None else f"# {name} ="
    for name, value in inner:
        yield from _table(value, path=(*path, name))


def _stage_tables(config: PipelineConfig) -> Iterator[str]:
    from pydantic import ValidationError

    from automask.config import config_error
    from automask.plugins import DETECTORS, REFINERS, load_plugin

    stages = [*((DETECTORS, name) for name in config.detectors), (REFINERS, config.refiner)]
    for group, name in stages:
        try:
            options: FrozenModel = load_plugin(group, name).Options.model_validate(config.options.get(name, {}))
        except ValidationError as error:
            raise config_error(error, section=f"options.{name}") from error
        if type(options).model_fields:
            yield from _table(options, path=("options", name))


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a configuration can hold
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the delete character and for escapes beyond the first plane
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_value(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return _value(str(value))
