"""`automask captions`: captions without what the masks hide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from automask.cli import options
from automask.errors import ConfigError

_ISSUES_SHOWN = 10


def captions(
    store: options.StoreFolder,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would be removed and write nothing.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="New folder [IMAGES-captions beside the images]."),
    ] = None,
    words: Annotated[
        list[Path] | None, typer.Option("--words", metavar="TOML", help="Words of your own; repeatable.")
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option("--kinds", metavar="A,B", help="Only these: text, frame, watermark, overlay, ground."),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Remove tags and phrases about masked things from the captions, image by image. Never in place.

    Opt-in: whether it helps is open. A mask alone already keeps the thing out of the loss; one user's test found that
    the captions may stay. Only words for kinds that are masked in an image leave its caption. Look at --diff first.
    """
    from automask.captions import load_words
    from automask.captions.cleaning import clean_captions
    from automask.cli.console import error_console
    from automask.cli.making import working
    from automask.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED
    from automask.fill.folder import MadeFolder
    from automask.fill.source import StoreSource
    from automask.values.types import Kind

    try:
        chosen = [Kind(kind.strip()) for kind in kinds.split(",")] if kinds else list(Kind)
    except ValueError as error:
        raise ConfigError(f"--kinds {kinds}: {error}.", advice=f"Known kinds: {', '.join(Kind)}.") from error
    lists = load_words(words or ())
    files, changed, emptied, issues = 0, 0, [], []
    with StoreSource.open(store) as source, working("captions", quiet=quiet) as (stop, progress):
        folder = None
        if not diff:
            root = output or source.input_root.with_name(f"{source.input_root.name}-captions")
            folder = MadeFolder.prepare(root, maker="captions", keep_out=(source.input_root, store))
        for file in clean_captions(source, lists, kinds=chosen, stop=stop, progress=progress):
            files += 1
            changed += file.is_changed
            if file.is_emptied:
                emptied.append(file.name)
            if file.issue is not None:
                issues.append(file.issue)
            if folder is not None and (file.before or file.issue is None):
                folder.write(file.name, file.after)
            elif diff and file.is_changed and not as_json:
                typer.echo(file.diff())
        was_stopped = stop.is_set()
    if as_json:
        content = {
            "output": str(folder.root) if folder is not None else None,
            "files": files,
            "changed": changed,
            "emptied": emptied,
            "issues": [issue.message for issue in issues],
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
    elif not quiet:
        did = f"written to {folder.root}" if folder is not None else "nothing written"
        left = f", {len(emptied)} of them empty now" if emptied else ""
        error_console().print(f"{changed} of {files} caption files changed{left}; {did}", markup=False)
    for issue in issues[:_ISSUES_SHOWN]:
        error_console().print(f"warning [{issue.code}] {issue.message}", markup=False)
    if was_stopped:
        raise typer.Exit(EXIT_INTERRUPTED)
    if issues:
        raise typer.Exit(EXIT_SOME_FAILED)
