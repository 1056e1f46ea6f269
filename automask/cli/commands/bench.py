"""`automask bench`: leak and waste on images with truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options
from automask.errors import ConfigError
from automask.values.assignments import policy_flags

if TYPE_CHECKING:
    from automask.bench.beside import BesideRun
    from automask.bench.folders import FolderRun
    from automask.bench.manifest import Manifest
    from automask.bench.run import BenchRun
    from automask.config import PipelineConfig

OURS = "automask"
METRIC_CASES = "metric_cases"
"""Folder of reference cases beside a manifest."""


def bench(
    manifest_file: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="JSON list of images with truth.", show_default=False)
    ],
    config_file: options.ConfigFile = None,
    detectors: options.Detectors = None,
    refiner: options.Refiner = None,
    stage_options: options.StageOptions = None,
    device: options.Device = None,
    threads: options.Threads = None,
    training_px: options.TrainingPx = None,
    cell_px: options.CellPx = None,
    growth_cells: options.GrowthCells = None,
    policies: options.Policies = None,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="NAME=TOML", help="Another configuration to run beside ours; repeatable."),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline", help="Run RapidOCR's defaults beside ours: detection only, polygons grown by a cell."
        ),
    ] = False,
    overhead: Annotated[
        int, typer.Option("--overhead", metavar="N", help="Also time a whole run on N images against its model calls.")
    ] = 0,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="KIND/SOURCE", help="Only sources whose name begins so; repeatable."),
    ] = None,
    as_folders: Annotated[
        bool, typer.Option("--as-folders", help="Run each source as one folder, so that what repeats in it is found.")
    ] = False,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="With --as-folders: also run all sources in one folder.")
    ] = False,
    dataset_detectors: options.DatasetDetectors = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            "--beside",
            metavar="PYTHON",
            help="Run the automask of this interpreter on the same images, in alternating groups, and compare.",
        ),
    ] = None,
    worst: Annotated[
        Path | None,
        typer.Option("--worst", metavar="DIR", help="Write a page of the twenty worst masks to this folder."),
    ] = None,
    calibration: Annotated[
        bool,
        typer.Option("--calibration", help="Also tell how good the probabilities of a fine mask are."),
    ] = False,
    save: Annotated[Path | None, typer.Option("--save", metavar="JSON", help="Write all figures to this file.")] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the whole pipeline on images with truth: leak and waste, how many masks are fine, and stage times."""
    config = options.load(
        config_file,
        options.stage_flags(detectors=detectors, refiner=refiner, stage_options=stage_options, keeps_text=True),
        options.overlay_flags(dataset_detectors=dataset_detectors, templates=None),
        options.runtime_flags(device=device, threads=threads),
        options.render_flags(training_px=training_px, cell_px=cell_px, growth_cells=growth_cells),
        policy_flags(policies=policies, weights=None, accepts=None),
    )
    _check_combinations(
        as_folders=as_folders,
        mixed=mixed,
        overhead=overhead > 0,
        repeats=bool(config.dataset_detectors) and dataset_detectors is not None,
        beside=beside is not None,
        alone={"--compare": bool(compare), "--baseline": baseline, "--mixed": mixed, "--overhead": overhead > 0,
               "--worst": worst is not None},
        untold=calibration and as_json,
    )  # fmt: skip
    configs = _configs(config, compare=compare or (), baseline=baseline)

    from automask.bench.beside import run_beside
    from automask.bench.folders import of_sources, run_folders
    from automask.bench.manifest import read_manifest
    from automask.bench.run import check_metric_cases, run_bench
    from automask.bench.worst import WorstImages, write_worst

    manifest = of_sources(read_manifest(manifest_file), sources or ())
    if not manifest.entries:
        raise ConfigError(
            f"{manifest_file} has no image of {', '.join(sources or ['any source'])}.",
            advice="Write --source KIND/SOURCE as the tables do, such as frame/tarot.",
        )
    run: BenchRun | FolderRun | BesideRun
    measured = None
    seen = WorstImages()
    with _progress(quiet=quiet) as progress:
        if beside is not None:
            shared = _shared_flags(
                {"--config": config_file, "--detectors": detectors, "--dataset-detectors": dataset_detectors,
                 "--refiner": refiner, "--option": stage_options, "--device": device, "--threads": threads,
                 "--training-px": training_px, "--cell-px": cell_px, "--growth-cells": growth_cells,
                 "--policy": policies}
            )  # fmt: skip
            run = run_beside(manifest, beside, shared, as_folders=as_folders, progress=progress)
        elif as_folders:
            run = run_folders(manifest, configs, mixes=mixed, progress=progress, seen=seen)
        else:
            run = run_bench(manifest, configs, progress=progress, seen=seen)
        if overhead > 0:
            from automask.bench.overhead import measure_overhead

            measured = measure_overhead(manifest, config, images=overhead)
        cases_folder = manifest.root / METRIC_CASES
        cases = check_metric_cases(cases_folder) if cases_folder.is_dir() else {}
    wrong = sorted(name for name, (*_, agrees) in cases.items() if not agrees)
    content = run.model_dump_json(indent=None)
    if save is not None:
        from automask.files.atomic import write_atomic

        write_atomic(save, content.encode())
    page = write_worst(seen.worst_first, manifest, config, worst) if worst is not None else None
    if as_json:
        typer.echo(content)
    else:
        parts = _tables(run, manifest, calibration=calibration)
        parts.append(f"peak memory {_figures_of(run).peak_memory_mb:.0f} MiB")
        if measured is not None:
            parts.append(
                f"whole run {measured.run_s:.1f} s, its model calls alone {measured.replay_s:.1f} s on "
                f"{measured.images} images: {measured.ratio:.3f} x"
            )
        if cases:
            parts.append(f"metric cases: {len(cases) - len(wrong)} of {len(cases)} agree")
        if page is not None:
            parts.append(f"worst masks: {page}")
        typer.echo("\n\n".join(parts))
    if wrong:
        from automask.errors import AutomaskError

        raise AutomaskError(
            f"The figures of {', '.join(wrong)} differ from {cases_folder / 'cases.json'}.",
            advice="The metric is broken: trust none of these figures.",
            code="metric-cases",
        )


def _check_combinations(
    *,
    as_folders: bool,
    mixed: bool,
    overhead: bool,
    repeats: bool,
    beside: bool,
    alone: Mapping[str, bool],
    untold: bool,
) -> None:
    """Refuse options that would do nothing beside each other.

    Args:
        as_folders: Sources are run as folders.
        mixed: And in one folder.
        overhead: A whole run is timed.
        repeats: Detectors of what repeats were named.
        beside: Another installation runs, too.
        alone: Options that cannot go with that, and whether they were given.
        untold: The calibration was asked for where no table is printed.

    Raises:
        ConfigError: One of them would be ignored.
    """
    if mixed and not as_folders:
        raise ConfigError("--mixed mixes folders, and images are run one at a time.", advice="Add --as-folders.")
    if repeats and not as_folders:
        raise ConfigError(
            "--dataset-detectors finds nothing where images are run one at a time.", advice="Add --as-folders."
        )
    if overhead and as_folders:
        raise ConfigError(
            "--overhead and --as-folders exclude each other: it times a run of its own over a sample of all images.",
            advice="Give one of them.",
        )
    excluded = [name for name, given in alone.items() if given] if beside else []
    if excluded:
        raise ConfigError(
            f"--beside and {', '.join(excluded)} exclude each other: two installations run one configuration each.",
            advice="Give one of them.",
        )
    if untold:
        raise ConfigError(
            "--json prints the figures of every image and no tables, so --calibration would add nothing.",
            advice="Leave one of them out; --save writes the figures beside the tables.",
        )


def _shared_flags(options_given: Mapping[str, object]) -> list[str]:
    """The options that were given, as words of a command line."""
    words: list[str] = []
    for name, value in options_given.items():
        for one in value if isinstance(value, list) else [value] if value is not None else []:
            words += [name, str(one)]
    return words


def _configs(config: PipelineConfig, *, compare: Sequence[str], baseline: bool) -> dict[str, PipelineConfig]:
    """The pipelines to run by the names that the tables show, ours first.

    Raises:
        ConfigError: A `--compare` is not a new NAME=TOML.
    """
    from automask.config import BASELINE

    baseline_name = BASELINE.detectors[0]
    configs = {OURS: config}
    for pair in compare:
        name, equals, path = pair.partition("=")
        if not equals or not name or name in configs or (baseline and name == baseline_name):
            raise ConfigError(
                f"--compare {pair}: expected a new NAME=TOML.", advice="Write e.g. --compare base=base.toml."
            )
        configs[name] = options.load(Path(path))
    if baseline:
        configs[baseline_name] = BASELINE
    return configs


def _figures_of(run: BenchRun | FolderRun | BesideRun) -> BenchRun:
    from automask.bench.run import BenchRun

    return run if isinstance(run, BenchRun) else run.bench


def _tables(run: BenchRun | FolderRun | BesideRun, manifest: Manifest, *, calibration: bool) -> list[str]:
    from automask.bench.beside import BesideRun, beside_table, speed_line
    from automask.bench.folders import folders_table
    from automask.bench.outcomes import outcomes_table
    from automask.bench.run import BenchRun
    from automask.bench.tables import calibration_of, calibration_table, decisions_table, figures_table, stages_table

    figures = _figures_of(run)
    parts = [figures_table(figures, manifest), outcomes_table(figures, manifest), decisions_table(figures)]
    if isinstance(run, BesideRun):
        parts = [beside_table(run, manifest), speed_line(run), *parts]
    if isinstance(run, BenchRun) or not run.folders:
        parts.append(stages_table(figures))
    else:
        parts.append(folders_table(run.folders))
    if calibration:
        parts.append(calibration_table(calibration_of(figures, manifest)))
    return parts


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    from automask.cli.console import error_console, protected_stdout

    console = error_console()
    with protected_stdout(), Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("bench", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
