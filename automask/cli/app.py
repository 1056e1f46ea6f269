"""The command table, and the one place where errors become exit codes."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from automask.cli.commands import (
    bench,
    captions,
    check,
    crop,
    demo,
    export,
    fill,
    gather,
    import_,
    propagate,
    render,
    report,
    run,
    scatter,
    show,
    status,
)
from automask.cli.console import print_error, silence_library_logs
from automask.errors import EXIT_INTERRUPTED, FULL_DISK, AutomaskError, OutputError
from automask.version import __version__

DEBUG_FLAG = "--debug"
COMMANDS_GROUP = "automask.commands"
"""Same as `automask.plugins.COMMANDS`, see `_plugin_commands`."""

_PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with a documented exit code.

    Args:
        argv: Arguments without the program name; `sys.argv` by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = DEBUG_FLAG in arguments  # honoured wherever it stands: people add it to the end of a command that failed
    arguments = [argument for argument in arguments if argument != DEBUG_FLAG]
    silence_library_logs(debug=debug)
    # Pillow's, by its words as Pillow is slow to import: what is too large for us is refused in words of our own
    warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit")
    try:
        build_app()(arguments, prog_name="automask")
    except AutomaskError as error:
        if debug:
            raise
        print_error(error.message, advice=error.advice, code=error.code)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in FULL_DISK:  # of whatever was written: stdout, a log
            print_error("No space left on the disk.", advice="Free some space and try again.", code="disk-full")
            sys.exit(OutputError.exit_code)
        print_error(
            f"Unexpected {type(error).__name__}: {error}",
            advice=f"This is a defect: please report it with the output of the same command and {DEBUG_FLAG}.",
            code=AutomaskError.default_code,
        )
        sys.exit(AutomaskError.exit_code)


def build_app() -> typer.Typer:
    """The command table with the built-in commands and those of installed packages, none of which is imported."""
    app = typer.Typer(
        name="automask",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="Loss masks for diffusion training: text, frames and watermarks get weight 0. White = train.",
        epilog=f"{DEBUG_FLAG} anywhere on the line shows the traceback of an error. Guides: docs/.",
    )
    app.callback()(_root)
    app.command("run")(run.run)
    app.command("render")(render.render)
    app.command("show")(show.show)
    app.command("report")(report.report)
    app.command("export")(export.export)
    app.command("import")(import_.import_)
    app.command("propagate")(propagate.propagate)
    app.command("gather")(gather.gather)
    app.command("scatter")(scatter.scatter)
    app.command("status")(status.status)
    app.command("bench")(bench.bench)
    app.command("demo")(demo.demo)
    app.command("check")(check.check)
    app.command("captions")(captions.captions)
    app.command("fill")(fill.fill)
    app.command("crop")(crop.crop)
    for name, entry in _plugin_commands().items():
        _attach(app, name, entry)
    return app


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=lambda on: _version(on=on))
    ] = False,
) -> None:
    pass


def _version(*, on: bool) -> None:
    if on:
        typer.echo(__version__)
        raise typer.Exit


def _plugin_commands() -> dict[str, EntryPoint]:
    # Not through `automask.plugins`: that knows configurations, and would double the time to `--help`.
    return {entry.name: entry for entry in entry_points(group=COMMANDS_GROUP)}


def _attach(app: typer.Typer, name: str, entry: EntryPoint) -> None:
    """List a command of another package; its module is imported when the command is called."""

    @app.command(name, help=_summary_of(entry), context_settings=dict(_PASS_THROUGH), add_help_option=False)
    def call(context: typer.Context) -> None:
        from automask.plugins import COMMANDS, load_plugin

        plugin: typer.Typer = load_plugin(COMMANDS, name)
        result = plugin(context.args, prog_name=f"automask {name}", standalone_mode=False)
        if isinstance(result, int):
            raise typer.Exit(result)


def _summary_of(entry: EntryPoint) -> str:
    """First line of the docstring of the module behind an entry point, read without running the module."""
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return f"(from {entry.module})"
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or f"(from {entry.module})"
    return docstring.splitlines()[0]
