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


def _table(*models: FrozenModel, path: tuple[str, ...], given: Mapping[str, Any] | None = None) -> Iterator[str]:
    """One table of the keys of all models; a key that several have is that of the first."""
    from automask.config import FrozenModel

    if path:
        yield ""
        yield f"[{'.'.join(path)}]"
    inner: list[tuple[str, FrozenModel]] = []
    shown = set()
    for model in models:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if name in shown or (name == "options" and not path):
                continue
            shown.add(name)
            if isinstance(value, FrozenModel):
                inner.append((name, value))
                continue
            if field.description:
                yield f"# {field.description}"
            # TOML has no null: a key without a value is shown as a comment, as is one of which the models differ
            is_one = all(getattr(other, name, value) == value for other in models)
            yield f"{name} = {_value(value)}" if value is not None and is_one else f"# {name} ="
    for name, value in (given or {}).items():
        if name not in shown:  # of a stage of this name that does not run
            yield f"{name} = {_value(value)}"
    for name, value in inner:
        yield from _table(value, path=(*path, name))


def _stage_tables(config: PipelineConfig) -> Iterator[str]:
    from automask.plugins import DETECTORS, REFINERS, stage_options

    tables: dict[str, list[FrozenModel]] = {}
    for group, name in [*((DETECTORS, name) for name in config.detectors), (REFINERS, config.refiner)]:
        given = config.options.get(name, {})
        tables.setdefault(name, []).append(stage_options(group, name, given))  # detector and refiner may share one
    for name, models in tables.items():
        if any(type(model).model_fields for model in models):
            yield from _table(*models, path=("options", name), given=config.options.get(name))


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
