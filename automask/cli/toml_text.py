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

    if path:
        yield ""
        yield f"[{'.'.join(path)}]"
    inner: list[tuple[str, FrozenModel]] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, FrozenModel):
            inner.append((name, value))
        elif not (name == "options" and not path):
            yield from _key(model, name)
    for name, value in inner:
        yield from _table(value, path=(*path, name))


def _key(model: FrozenModel, name: str) -> Iterator[str]:
    description, value = type(model).model_fields[name].description, getattr(model, name)
    if description:
        yield f"# {description}"
    # TOML has no null: a key without a value is shown as a comment
    yield f"{name} = {_value(value)}" if value is not None else f"# {name} ="


def _stage_tables(config: PipelineConfig) -> Iterator[str]:
    from automask.plugins import DETECTORS, REFINERS, stage_options

    tables: dict[str, dict[str, list[str]]] = {}
    for group, name in [*((DETECTORS, name) for name in config.detectors), (REFINERS, config.refiner)]:
        options = stage_options(group, name, config.options.get(name, {}))
        # A detector and a refiner of one name share a table, and a key where both have it.
        keys = tables.setdefault(name, {})
        for key in type(options).model_fields:
            keys.setdefault(key, list(_key(options, key)))
    for name, keys in tables.items():
        if keys:
            yield from ("", f"[options.{name}]", *(line for lines in keys.values() for line in lines))


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
