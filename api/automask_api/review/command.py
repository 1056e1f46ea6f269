"""Open the review page of a store: the masks the program is unsure of, worst first."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def review(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Output folder of an earlier run.", show_default=False)
    ],
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="Port on this machine, 0 = any free one \\[one of the store's own]."
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Who reviews, for the history \\[your login name].")
    ] = None,
) -> None:
    """Open the review page of a store in the browser. Ctrl-C ends it; every change is kept at once."""
    from automask.errors import PluginError

    try:
        from automask_api.review.serving import serve_review
    except ImportError as error:
        raise PluginError(
            f"`automask review` needs a package that is not installed: {error.name}.",
            advice="Install the extra `api`.",
        ) from error
    serve_review(store, port=port, opens_browser=not no_browser, author=author or _login_name())


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "reviewer"
