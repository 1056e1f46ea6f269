"""What `--help` shows is what the source says: nothing in brackets is taken for markup and lost."""

from importlib.metadata import entry_points

import pytest
import typer
from cli_process import automask, environment
from rich.text import Text

from automask.cli.app import COMMANDS_GROUP, build_app


def helps(command, path):
    """Every text of a command and of those below it, with whose it is."""
    yield path, command.help or ""
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", None) or ""
    for name, below in getattr(command, "commands", {}).items():
        yield from helps(below, f"{path} {name}")


def all_helps():
    apps = {"automask": build_app(), **{entry.name: entry.load() for entry in entry_points(group=COMMANDS_GROUP)}}
    for name, app in apps.items():
        yield from helps(typer.main.get_command(app), name)


def test_no_help_loses_what_stands_in_brackets():
    texts = dict(all_helps())
    assert len(texts) > 200
    lost = [name for name, text in texts.items() if Text.from_markup(text).plain.count("[") < text.count("[")]
    assert lost == [], r"write \\[ for a bracket before a small letter"


@pytest.mark.parametrize(
    ("command", "shown"),
    [("import", "[you]"), ("run", "[overlay]"), ("export", "[by format]"), ("review", "[your login name]")],
)
def test_defaults_are_shown(command, shown):
    told = automask(command, "--help", env=environment(COLUMNS="200"))
    assert shown in told.stdout
    assert "\\[" not in told.stdout
