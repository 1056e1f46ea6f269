"""Go on training a shipped network on your own corrections or data sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options
from automask.errors import EXIT_INTERRUPTED, AutomaskError, ConfigError, PluginError, WeightsError

if TYPE_CHECKING:
    from rich.console import Console

    from automask.bench.manifest import Manifest
    from automask.bench.run import BenchRun
    from automask_training.own.reading import OwnData
    from automask_training.own.run import Trained
    from automask_training.own.uses import TaskUse

REPORT_FILE = "report.json"
_GOES_ON = "the same command goes on from there"

app = typer.Typer(add_completion=False)


@app.command("train")
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="watermark, sam, ink, or a recipe file.", show_default=False)
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", metavar="PATH", help="A store, a YOLO data.yaml or its folder, or a COCO .json; repeatable."
        ),
    ],
    trainer: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="NAME",
            help="Train another network for the same: of watermark, ultralytics (AGPL-3.0, needs the extra yolo).",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="Folder of this training, default: ./my-TASK; the same one goes on with it.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="FOLDER", help="Where a COCO file's images are.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME=WORD", help="What a class of the data is, or ignore; repeatable."),
    ] = None,
    accepted: Annotated[
        bool,
        typer.Option("--accepted", help="Of a store, also take images that nobody corrected and that need no look."),
    ] = False,
    materials: Annotated[
        Path | None,
        typer.Option("--materials", metavar="FOLDER", help="Mix synthetic pictures in, against forgetting."),
    ] = None,
    own_share: Annotated[
        float, typer.Option("--own-share", min=0.01, max=1.0, help="Share of your images beside synthetic ones.")
    ] = 0.5,
    start: Annotated[
        Path | None,
        typer.Option("--start", metavar="FILE", help="State or .safetensors to go on from; default: the shipped one."),
    ] = None,
    from_nothing: Annotated[bool, typer.Option("--from-nothing", help="Do not go on from trained weights.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the new weights; default: my-TASK.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", min=1, help="Samples at most; default: 30 times the images, 400 to 20000."),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=1e-4, max=10.0, help="Learning rate as a share of the recipe's.")
    ] = 0.1,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.01, max=0.9, help="Share of the images to judge by.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of order and cuts.")] = 0,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads of torch; default: the recipe's.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare samples.")] = 1,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where it learns; only the CPU was tried.")
    ] = "cpu",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on training a shipped network on your own corrections or data sets, and measure it before and after.

    A fifth of the images is held out, chosen by content. The training ends when the loss on them stops falling, keeps
    the best weights, exports them to OUT/weights, and prints leak and waste on the held-out images with the weights
    from before and after. Ctrl-C saves; the same command goes on from there, to the same result.
    """
    from automask.cli.console import error_console
    from automask_training.checkpoint import StateError
    from automask_training.onnx_files import ExportError
    from automask_training.own.run import read_recipe
    from automask_training.tables import RecipeError

    table = read_recipe(recipe, trainer=trainer)
    use = _use_of(table, recipe)
    if start is not None and from_nothing:
        raise ConfigError("--start and --from-nothing exclude each other.", advice="Give one of them.")
    console = error_console()
    called = _checked_name(name or f"my-{table['task']}", use)
    folder = out or Path(called)
    try:
        from automask_models.device import torch_placement
        from automask_training.own.continuing import trainable_weights
        from automask_training.own.reading import DataOptions, read_data
        from automask_training.own.run import Training, continued_recipe, run_training

        place = torch_placement(device).device
        begin = None if from_nothing else (start or trainable_weights(use.weight))
        with _bar(console, "reading images", quiet=quiet) as progress:
            own = read_data(
                data,
                DataOptions(classes=_pairs(classes or ()), images=images, with_accepted=accepted, held_out=held_out),
                use,
                progress=lambda done, total: progress(done, total, "reading images"),
            )
        if not quiet:
            _say(console, own, begin)
        training = Training(
            table=table if begin is None else continued_recipe(table),
            use=use,
            data=own,
            out=folder,
            start=begin,
            materials=materials,
            own_share=own_share,
            samples=samples,
            rate=rate,
            seed=seed,
            threads=threads,
            workers=workers,
            name=called,
            device=place,
        )
        with _bar(console, "training", quiet=quiet) as progress:
            trained = run_training(training, progress=progress)
        if trained.after is None:
            console.print(f"stopped after {trained.samples} samples; {_GOES_ON}")
            raise typer.Exit(EXIT_INTERRUPTED)
        run, manifest = _measure(training.out, own, use, trained, console=console, threads=threads or 0, quiet=quiet)
    except KeyboardInterrupt:  # outside of the training itself, which saves and returns
        console.print(f"stopped; {_GOES_ON}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (RecipeError, StateError) as error:
        raise ConfigError(f"{error}.", advice="Correct the recipe, or give another --start.") from error
    except ExportError as error:
        raise AutomaskError(
            f"The trained weights cannot be exported: {error}.", advice=f"The states in {folder} are kept."
        ) from error
    _finish(folder, trained, run, manifest, as_json=as_json)


def _use_of(table: dict[str, Any], recipe: str) -> TaskUse:
    from automask_training.own.uses import USES

    use = USES.get(str(table.get("task")))
    if use is None:
        raise ConfigError(
            f"The recipe {recipe} is of task {table.get('task')!r}.", advice=f"Known are {', '.join(USES)}."
        )
    missing = [package for package in use.packages if find_spec(package) is None]
    if missing:
        raise PluginError(
            f"Training needs {', '.join(missing)}, which this machine does not have.",
            advice="Install the extra `train`.",
        )
    return use


def _pairs(given: Iterator[str] | list[str] | tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for pair in given:
        name, equals, word = pair.rpartition("=")
        if not equals or not name or not word:
            raise ConfigError(f"--class {pair}: expected NAME=WORD.", advice="Write e.g. --class stamp=watermark.")
        pairs[name] = word
    return pairs


def _checked_name(name: str, use: TaskUse) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"--name {name}: not a name.", advice="Use letters, digits, - and _.")
    if name == use.weight:
        raise ConfigError(
            f"--name {name} is the shipped weight, which is checked by its hash.", advice="Choose another name."
        )
    return name


@contextmanager
def _bar(console: Console, word: str, *, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from automask.cli.console import protected_stdout

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    hidden = quiet or not console.is_terminal
    with protected_stdout(), Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(word, total=None)

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


def _say(console: Console, own: OwnData, start: Path | None) -> None:
    console.print(f"{len(own.training)} images to train on, {len(own.held_out)} held out; from {start or 'nothing'}")
    if own.left_out:
        console.print(f"left out: {own.left_out}")
    if own.silent:
        console.print(f"nothing is learned from {own.silent}")


def _measure(
    out: Path,
    own: OwnData,
    use: TaskUse,
    trained: Trained,
    *,
    console: Console,
    threads: int,
    quiet: bool,
) -> tuple[BenchRun, Manifest]:
    from automask_training.own.before_after import compare, write_manifest

    if trained.after is None:
        raise WeightsError("There are no new weights to measure.", advice="Finish the training first.")
    manifest = write_manifest(own.held_out, out / "bench", use)
    with _bar(console, "measuring", quiet=quiet) as progress:
        run = compare(
            manifest,
            use,
            before=trained.before,
            after=trained.after,
            threads=threads,
            progress=lambda done, total: progress(done, total, "measuring"),
        )
    return run, manifest


def _finish(out: Path, trained: Trained, run: BenchRun, manifest: Manifest, *, as_json: bool) -> None:
    from automask.bench.tables import figures_table
    from automask.files.atomic import write_atomic
    from automask_training.own.before_after import AFTER, BEFORE, figures_of
    from automask_training.own.run import CONFIG_FILE, as_plain

    plain = {**as_plain(trained), "config": str(out / CONFIG_FILE), "bench": run.model_dump(mode="json")}
    text = json.dumps(plain, indent=1)
    write_atomic(out / REPORT_FILE, text.encode())
    if as_json:
        typer.echo(text)
        return
    best = trained.best.loss if trained.best is not None else trained.start.loss
    typer.echo(figures_table(run, manifest))
    typer.echo(
        f"\nloss on held-out samples: {trained.start.loss:.4f} before, {best:.4f} after {trained.samples} samples"
    )
    if best >= trained.start.loss:
        typer.echo("The training did not help: the weights from before do better on the held-out images.")
    before, after = figures_of(run, BEFORE), figures_of(run, AFTER)
    if before is not None and after is not None:
        is_better = "better" if after < before else "no better"
        typer.echo(f"masks of held-out images are {is_better}: leak + waste {before:.4f} before, {after:.4f} after")
    typer.echo(f"weights: {trained.after}\nuse them: automask run FOLDER --config {out / CONFIG_FILE}")
