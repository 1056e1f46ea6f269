"""The command `automask models`: which weights there are, whether they are whole, fetching and trying them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from automask.errors import WeightsError
from automask.plugins import DETECTORS, REFINERS, available, load_plugin
from automask.values.placement import DEVICES
from automask.values.stage_words import is_hub_id, split_word
from automask.weights import WeightLibrary, WeightSpec, WeightState

app = typer.Typer(
    help="List, check and fetch weights. Only `pull` uses the network.", no_args_is_help=True, add_completion=False
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


@app.command("list")
def list_weights(*, as_json: JsonFlag = False) -> None:
    """Show every weight that automask knows by name, and where this machine has it."""
    library = WeightLibrary.discover()
    _show([library.state(spec) for spec in library.specs.values()], as_json=as_json)


@app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all that are present by default.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Read weights again and compare their hashes with the catalogue."""
    library = WeightLibrary.discover()
    specs = [_spec(library, name) for name in names] if names else list(library.specs.values())
    states = [library.state(spec, rehash=True) for spec in specs]
    _show(states, as_json=as_json)
    broken = [state for state in states if state.problem or (names and state.folder is None)]
    if broken:
        what = "; ".join(f"{state.spec.name}: {state.problem or 'not on this machine'}" for state in broken)
        raise WeightsError(
            f"Not all weights are whole: {what}.",
            advice="Fetch them with `automask models pull NAME`.",
            code="weights-mismatch",
        )


@app.command("pull")
def pull_weights(
    names: Annotated[
        list[str],
        typer.Argument(help="Names from `automask models list`, words such as sam2:tiny, or ORG/NAME of a hub."),
    ],
    *,
    folder: Annotated[Path | None, typer.Option(help="Fetch into this folder instead of the user cache.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch weights, check them, and go on where it broke off. The only command that uses the network."""
    from automask_models.pull import spec_of_hub

    library = WeightLibrary.discover()
    place = folder or library.cache_folder
    specs = []
    for name in names:
        reference, stage = reference_of(name)
        known = library.spec_of(reference, stage=stage)
        specs.append(spec_of_hub(reference, place) if known is None and is_hub_id(reference) else _spec(library, name))
    for spec in specs:
        _pull(spec, place)
    if folder is None:
        _show([library.state(spec) for spec in specs], as_json=as_json)
    elif as_json:
        sys.stdout.write(json.dumps([{"name": spec.name, "folder": str(folder)} for spec in specs]) + "\n")


@app.command("doctor")
def doctor_weights(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD...]", help="As for a run: sam2:tiny, yolo:FILE, edgetam, or a name."),
    ] = None,
    *,
    device: Annotated[
        str,
        typer.Option(metavar="|".join(DEVICES), help="Device of the networks."),
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads per model call; 0 = all cores.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Run one picture through weights, and tell time, memory and whether the answer is sane. Fetches nothing.

    Without a word, look at the installation: builds of ONNX Runtime, and which devices work.
    """
    if not words:
        _doctor_installation(as_json=as_json)
        return
    from automask.config import layered_config
    from automask_models.doctor import examine

    library = WeightLibrary.discover()
    runtime = layered_config(flags={"runtime": {"device": device, "threads": threads}}).runtime
    found = []
    for word in words:
        reference, stage = (word, "") if word in library.specs else reference_of(word)
        found.append(examine(word, reference=reference, stage=stage, library=library, runtime=runtime))
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(one) for one in found], indent=2) + "\n")
    else:
        for one in found:
            memory = "not told" if one.peak_mb is None else f"{one.peak_mb:.0f} MB"
            place = "" if one.device is None else f" on {one.device} ({one.provider})"
            sys.stdout.write(
                f"{one.word} ({one.stage}): {'sane' if one.is_sane else 'NOT SANE'}, {one.answer}; loaded in "
                f"{one.load_s:.1f} s{place}, a picture in {one.first_s:.2f} s, the next in {one.second_s:.2f} s, "
                f"memory {memory}\n"
            )
    doubtful = [one.word for one in found if not one.is_sane]
    if doubtful:
        raise WeightsError(
            f"The answer of {', '.join(doubtful)} is not sane.",
            advice="Weights without training, of another kind or for another task answer so: take others.",
            code="weights-doubtful",
        )


def _doctor_installation(*, as_json: bool) -> None:
    from automask_models.installation import examine_installation
    from automask_models.onnx_builds import check_one_build

    found = examine_installation()
    if as_json:
        sys.stdout.write(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    else:
        builds = ", ".join(f"{build.name} {build.version}" for build in found.builds)
        sys.stdout.write(f"ONNX Runtime: {builds or 'of no installed package'}\n")
        for state in found.devices:
            sys.stdout.write(
                f"--device {state.device:<9} ONNX stages: {state.onnx or 'error'}; torch stages: "
                f"{state.torch or 'error'}\n"
            )
            for line in (state.problem, *state.install):
                sys.stdout.write(f"    {line}\n" if line else "")
    check_one_build(found.builds)


def _pull(spec: WeightSpec, folder: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from automask_models.pull import pull

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:

        def told(file: str) -> Callable[[int, int], None]:
            bar = bars.add_task(f"{spec.name} {file}", total=None)
            return lambda done, total: bars.update(bar, completed=done, total=total or None)

        pull(spec, folder, told=told)


def reference_of(word: str) -> tuple[str, str]:
    """What a word names, and the stage that it names it for: that of NAME:REFERENCE, or that whose name it is."""
    name, reference = split_word(word)
    if reference is not None:
        return reference, name
    for group in (REFINERS, DETECTORS):
        if word in available(group):
            default = getattr(load_plugin(group, word).Options(), "weights", "")
            if default:
                return str(default), word
    return word, ""


def _spec(library: WeightLibrary, name: str) -> WeightSpec:
    reference, stage = reference_of(name)
    spec = library.specs.get(name) or library.spec_of(reference, stage=stage)
    if spec is None:
        raise WeightsError(
            f"There are no weights named {name!r}.",
            advice=f"Known names: {', '.join(sorted(library.specs)) or 'none'}.",
            code="weights-missing",
        )
    return spec


def _show(states: list[WeightState], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([_row(state) for state in states], indent=2) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("name", "task", "size", "licence", "state"):
        # A name is there to be typed: it is never cut, however narrow the terminal.
        table.add_column(
            heading, justify="right" if heading == "size" else "left", no_wrap=heading == "name", overflow="fold"
        )
    for state in states:
        place = (
            f"in the {state.origin}" if state.origin else "pull to get it" if state.spec.can_be_pulled else "missing"
        )
        size = "not stated" if state.spec.size_bytes is None else f"{state.spec.size_bytes / 1e6:.1f} MB"
        table.add_row(state.spec.name, state.spec.task, size, state.spec.licence, state.problem or place)
    Console().print(table)


def _row(state: WeightState) -> dict[str, object]:
    spec = state.spec
    return {
        "name": spec.name,
        "task": spec.task,
        "licence": spec.licence,
        "about": spec.about,
        "size_bytes": spec.size_bytes,
        "sha256": state.sha256 or spec.sha256,
        "pinned": spec.is_pinned,
        "revision": None if state.record is None else state.record.revision,
        "needs": spec.needs or None,
        "url": spec.url,
        "hub": spec.hub,
        "page": spec.page or None,
        "path": None if state.folder is None else str(state.folder / spec.entry_name),
        "origin": state.origin,
        "problem": state.problem or None,
    }
