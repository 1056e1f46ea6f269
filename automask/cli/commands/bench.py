"""`automask bench`: leak and waste on images with truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options
from automask.errors import ConfigError

if TYPE_CHECKING:
    from automask.bench.manifest import Manifest
    from automask.config import PipelineConfig

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
    calibration: Annotated[
        bool,
        typer.Option("--calibration", help="Also tell how good the probabilities of a fine mask are."),
    ] = False,
    save: Annotated[Path | None, typer.Option("--save", metavar="JSON", help="Write all figures to this file.")] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the whole pipeline on images with truth and print leak, waste and stage times."""
    config = options.load(
        config_file,
        options.stage_flags(detectors=detectors, refiner=refiner, stage_options=stage_options, keeps_text=True),
        options.overlay_flags(dataset_detectors=dataset_detectors, templates=None),
        options.runtime_flags(device=device, threads=threads),
        options.render_flags(training_px=training_px, cell_px=cell_px, growth_cells=growth_cells),
        options.policy_flags(policies=policies, weights=None, accepts=None),
    )
    from automask.bench.run import BASELINE

    configs = {"automask": config}
    for pair in compare or ():
        name, equals, path = pair.partition("=")
        if not equals or not name or name in configs:
            raise ConfigError(
                f"--compare {pair}: expected a new NAME=TOML.", advice="Write e.g. --compare base=base.toml."
            )
        configs[name] = options.load(Path(path))

    if baseline:
        configs["rapidocr-baseline"] = BASELINE

    from rich.progress import Progress

    from automask.bench.folders import of_sources
    from automask.bench.manifest import read_manifest
    from automask.bench.run import check_metric_cases, run_bench
    from automask.cli.console import error_console, protected_stdout

    manifest = of_sources(read_manifest(manifest_file), sources or ())
    if not manifest.entries:
        raise ConfigError(
            f"{manifest_file} has no image of {', '.join(sources or ['any source'])}.",
            advice="Write --source KIND/SOURCE as the tables do, such as frame/tarot.",
        )
    if as_folders:
        _bench_folders(manifest, config, mixes=mixed, save=save, as_json=as_json, quiet=quiet)
        return
    console = error_console()
    with protected_stdout(), Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("bench", total=len(manifest.entries))
        figures = run_bench(
            manifest, configs, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
        measured = None
        if overhead > 0:
            from automask.bench.overhead import measure_overhead

            measured = measure_overhead(manifest, config, images=overhead)
        cases_folder = manifest.root / METRIC_CASES
        cases = check_metric_cases(cases_folder) if cases_folder.is_dir() else {}
    wrong = sorted(name for name, (*_, agrees) in cases.items() if not agrees)
    content = figures.model_dump_json(indent=None)
    if save is not None:
        from automask.store.atomic import write_atomic

        write_atomic(save, content.encode())
    if as_json:
        typer.echo(content)
    else:
        from automask.bench.tables import (
            calibration_of,
            calibration_table,
            decisions_table,
            figures_table,
            stages_table,
        )

        parts = [figures_table(figures, manifest), decisions_table(figures), stages_table(figures)]
        if calibration:
            parts.append(calibration_table(calibration_of(figures, manifest)))
        parts.append(f"peak memory {figures.peak_memory_mb:.0f} MiB")
        if measured is not None:
            parts.append(
                f"whole run {measured.run_s:.1f} s, its model calls alone {measured.replay_s:.1f} s on "
                f"{measured.images} images: {measured.ratio:.3f} x"
            )
        if cases:
            parts.append(f"metric cases: {len(cases) - len(wrong)} of {len(cases)} agree")
        typer.echo("\n\n".join(parts))
    if wrong:
        from automask.errors import AutomaskError

        raise AutomaskError(
            f"The figures of {', '.join(wrong)} differ from {cases_folder / 'cases.json'}.",
            advice="The metric is broken: trust none of these figures.",
            code="metric-cases",
        )


def _bench_folders(
    manifest: Manifest, config: PipelineConfig, *, mixes: bool, save: Path | None, as_json: bool, quiet: bool
) -> None:
    from rich.progress import Progress

    from automask.bench.folders import folders_table, run_folders
    from automask.bench.tables import decisions_table, figures_table
    from automask.cli.console import error_console, protected_stdout

    console = error_console()
    with protected_stdout(), Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("bench", total=None)
        run = run_folders(
            manifest, config, mixes=mixes, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    content = run.model_dump_json(indent=None)
    if save is not None:
        from automask.store.atomic import write_atomic

        write_atomic(save, content.encode())
    if as_json:
        typer.echo(content)
        return
    parts = [figures_table(run.bench, manifest), decisions_table(run.bench), folders_table(run)]
    typer.echo("\n\n".join([*parts, f"peak memory {run.bench.peak_memory_mb:.0f} MiB"]))
