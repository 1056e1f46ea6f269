"""Answer over HTTP: masks for training tools, jobs for folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.errors import PluginError

if TYPE_CHECKING:
    from automask_api.settings import ServiceSettings

serve_app = typer.Typer(
    help="Answer over HTTP: masks for training tools, jobs for folders.", add_completion=False, no_args_is_help=False
)
keys_app = typer.Typer(help="Add, list and remove API keys.", no_args_is_help=True, add_completion=False)
serve_app.add_typer(keys_app, name="keys")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="FOLDER", help="Folder of jobs, cached results and key hashes.")
]


@serve_app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on [8787]; 0 = any free one.")] = None,
    data_dir: DataDir = None,
    roots: Annotated[
        list[Path] | None, typer.Option("--root", metavar="FOLDER", help="Folder that jobs may read; repeatable.")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="What masks look like; as for `automask run`.")
    ] = None,
) -> None:
    """Serve masks over HTTP until Ctrl-C. On loopback without keys; elsewhere only with API keys."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings({"host": host, "port": port, "data_dir": data_dir, "roots": roots or None})
    try:
        from automask_api.running import run_server
    except ImportError as error:
        raise PluginError(
            f"The server needs packages that are not installed: {error}.",
            advice="Install the extra `api`.",
        ) from error
    run_server(settings, config_file)


@keys_app.command("add")
def add(name: Annotated[str, typer.Argument(help="Who or what will use it.")], *, data_dir: DataDir = None) -> None:
    """Make a key and print it. Only its hash is kept: it cannot be shown again."""
    from automask_api.security.keys import KEYS_FILE, add_key

    key = add_key(_settings({"data_dir": data_dir}).data_dir / KEYS_FILE, name)
    sys.stdout.write(f"{key}\n")


@keys_app.command("list")
def list_names(*, data_dir: DataDir = None) -> None:
    """Print the names of all keys."""
    from automask_api.security.keys import KEYS_FILE, ApiKeys

    for name in ApiKeys.read(_settings({"data_dir": data_dir}).data_dir / KEYS_FILE).hashes:
        sys.stdout.write(f"{name}\n")


@keys_app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="From the list.")], *, data_dir: DataDir = None) -> None:
    """Forget a key; a running server still knows it until it is started again."""
    from automask_api.security.keys import KEYS_FILE, remove_key

    remove_key(_settings({"data_dir": data_dir}).data_dir / KEYS_FILE, name)


def _settings(flags: dict[str, Any]) -> ServiceSettings:
    from automask_api.settings import load_settings

    return load_settings({name: value for name, value in flags.items() if value is not None})
