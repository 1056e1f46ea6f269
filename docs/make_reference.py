"""Writes the generated parts of the guides: `python docs/make_reference.py`. A test checks that they are up to date.

Generated text stands between `<!-- begin NAME -->` and `<!-- end NAME -->` in the documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo
from rich.text import Text

from automask.cli.app import build_app
from automask.config import FrozenModel, PipelineConfig
from automask.plugins import COMMANDS, DATASET_DETECTORS, DETECTORS, REFINERS, WEIGHT_CATALOGUES, available, load_plugin
from automask.weights import WeightSpec, read_catalogue
from automask_api.settings import ENVIRONMENT_PREFIX, ServiceSettings

DOCS = Path(__file__).parent


def configuration_parts() -> dict[str, str]:
    """Tables of all keys: the pipeline's, and those of every installed stage."""
    stages: list[str] = []
    for group, word in ((DETECTORS, "detector"), (DATASET_DETECTORS, "dataset detector"), (REFINERS, "refiner")):
        for name in sorted(available(group)):
            options: type[FrozenModel] = load_plugin(group, name).Options
            stages.append(f"### `[options.{name}]` ({word})\n")
            keys = list(_keys(options(), ()))
            parent = _parent(group, options)
            if parent is not None:
                stages.append(f"Those of `{parent}`, but:\n")
                known = list(_keys(load_plugin(group, parent).Options(), ()))
                keys = [key for key in keys if key not in known]
            rows = [_key_row(key, value, help_) for key, value, help_ in keys]
            stages.append("\n".join([*_HEAD, *rows]) + "\n" if rows else "No options.\n")
    keys_of_all = [_key_row(key, value, help_) for key, value, help_ in _keys(PipelineConfig(), ())]
    return {"keys": "\n".join([*_HEAD, *keys_of_all]), "stage options": "\n".join(stages).rstrip()}


def _parent(group: str, options: type[FrozenModel]) -> str | None:
    """The stage whose options these are, but for some defaults."""
    for name in sorted(available(group)):
        if load_plugin(group, name).Options in options.__bases__:
            return name
    return None


def command_parts() -> dict[str, str]:
    """Arguments and options of every command."""
    parts: list[str] = []
    for name, command in _commands():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(_argument(p) for p in arguments)
        first_line = " ".join((command.help or "").split("\n\n")[0].split())
        parts.append(f"### `automask {name}{' ' + usage if usage else ''}`\n\n{first_line}\n")
        rows = [_option_row(p) for p in command.params if p.param_type_name == "option" and p.name != "help"]
        if rows:
            parts.append("\n".join(["| option | what it does |", "| --- | --- |", *rows]) + "\n")
    return {"commands": "\n".join(parts).rstrip()}


def setting_parts() -> dict[str, str]:
    """Every setting of the service."""
    rows = [
        f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | `{_setting(name, field)}` | {_cell(field.description or '')} |"
        for name, field in ServiceSettings.model_fields.items()
    ]
    return {"settings": "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])}


def _setting(name: str, field: FieldInfo) -> str:
    return "~/.local/share/automask/service" if name == "data_dir" else _shown(field.default)


def weight_parts() -> dict[str, str]:
    """What the catalogue of this project declares."""
    specs = read_catalogue(load_plugin(WEIGHT_CATALOGUES, "automask"))
    rows = [
        f"| `{spec.name}` | {_runs(spec)} | {_size(spec)} | {spec.licence} | {'yes' if spec.was_run else 'no'} | "
        f"{_cell(spec.about)}{' Access must be asked for on its page.' if spec.asks_access else ''} |"
        for spec in specs.values()
    ]
    notes = [f"- `{spec.name}`: {_note(spec)}" for spec in specs.values() if spec.can_be_pulled]
    head = ["| name | runs with | size | licence | we ran the real weights | what it is |", "| --- " * 6 + "|"]
    return {"catalogue": "\n".join([*head, *rows]), "sources": "\n".join(notes)}


def _runs(spec: WeightSpec) -> str:
    return f"extra `{spec.needs}`" if spec.needs else "default install"


def _size(spec: WeightSpec) -> str:
    return "not stated" if spec.size_bytes is None else f"{spec.size_bytes / 1e6:.0f} MB"


def _note(spec: WeightSpec) -> str:
    pinned = "hash in the catalogue" if spec.is_pinned else "unpinned"
    unverified = f" Not verified: {spec.unverified}." if spec.unverified else ""
    return f"[page]({spec.page}); {pinned}. Read in: {'; '.join(spec.sources)}.{unverified}"


def _commands() -> Iterator[tuple[str, Any]]:
    """Built-in commands, and the sub-commands of installed packages."""
    plugins = sorted(available(COMMANDS))
    for name, command in typer.main.get_command(build_app()).commands.items():  # type: ignore[attr-defined]
        if name not in plugins:
            yield name, command
    for plugin in plugins:
        yield from _below(plugin, typer.main.get_command(load_plugin(COMMANDS, plugin)))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own classes
    """A command, or those of a group; the group as well where it does something by itself."""
    commands = getattr(command, "commands", None)
    if commands is None or command.invoke_without_command:
        yield name, command
    for inner, below in (commands or {}).items():
        yield from _below(f"{name} {inner}", below)


def with_parts(text: str, parts: dict[str, str]) -> str:
    """A document with its generated parts replaced."""
    for name, content in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"no part {name!r} in the document")
        start, stop = text.index(begin), text.index(end)
        text = f"{text[:start]}{begin}\n{content}\n{text[stop:]}"
    return text


def documents() -> dict[Path, dict[str, str]]:
    """Every document with generated parts."""
    return {
        DOCS / "configuration.md": configuration_parts(),
        DOCS / "cli.md": command_parts(),
        DOCS / "models.md": weight_parts(),
        DOCS / "service.md": setting_parts(),
    }


_HEAD = ("| key | default | meaning |", "| --- | --- | --- |")


def _keys(model: FrozenModel, path: tuple[str, ...]) -> Iterator[tuple[str, Any, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, FrozenModel):
            yield from _keys(value, (*path, name))
        else:
            yield ".".join((*path, name)), value, field.description or ""


def _key_row(key: str, value: Any, help_: str) -> str:  # noqa: ANN401 - whatever a configuration can hold
    return f"| `{key}` | `{_shown(value)}` | {_cell(help_)} |"


def _shown(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "not set"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (tuple, list, set, frozenset)):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _option_row(option: Any) -> str:  # noqa: ANN401 - typer's own parameter class, private in some versions
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = f" `{option.metavar}`" if option.metavar and not option.is_flag else ""
    told = Text.from_markup(option.help or "").plain  # as `--help` has it
    return f"| {names}{metavar} | {_cell(told)} |"


def _argument(argument: Any) -> str:  # noqa: ANN401 - as above
    name = argument.metavar or str(argument.name).upper()
    return name if argument.required else f"[{name}]"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Bring all documents up to date."""
    for path, parts in documents().items():
        path.write_text(with_parts(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
