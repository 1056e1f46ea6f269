"""`automask run`: masks for a folder of images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automask.cli import options
from automask.values.assignments import policy_flags

if TYPE_CHECKING:
    from automask.config import PipelineConfig
    from automask.run.pipeline import MaskPipeline


def run(
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of training images; in shards also tars, Parquet files and URLs (docs/scale.md).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Where masks, store and report go [FOLDER-masks].", show_default=False
        ),
    ] = None,
    from_list: Annotated[
        Path | None,
        typer.Option("--from", metavar="LIST", help="Take the images of a .txt or .json list instead of a folder."),
    ] = None,
    config_file: options.ConfigFile = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole configuration as TOML and stop.")
    ] = False,
    detectors: options.Detectors = None,
    dataset_detectors: options.DatasetDetectors = None,
    templates: options.Templates = None,
    refiner: options.Refiner = None,
    stage_options: options.StageOptions = None,
    no_text: options.NoText = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="Let this automask server run the models; AUTOMASK_API_KEY holds its key.",
            rich_help_panel="Detectors and refiner",
        ),
    ] = None,
    shard_images: Annotated[
        int | None,
        typer.Option(
            "--shard-images",
            metavar="N",
            min=1,
            help="Write shards of about N images instead of a store; of 2000 where FOLDER or OUT is a URL.",
            rich_help_panel="Beyond one machine",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="What works on the shards: local, ray or one of a package of yours \\[local].",
            rich_help_panel="Beyond one machine",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            help="Workers of the engine, each of --threads cores \\[as many as there is room for].",
            rich_help_panel="Beyond one machine",
        ),
    ] = None,
    gpus_per_worker: Annotated[
        float,
        typer.Option(
            "--gpus-per-worker",
            metavar="F",
            min=0.0,
            help="GPUs that each worker needs; a fraction shares one.",
            rich_help_panel="Beyond one machine",
        ),
    ] = 0.0,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="WHAT",
            help="Look for what repeats in groups: site, prefix:N (the first N folders), column:NAME or none.",
            rich_help_panel="Beyond one machine",
        ),
    ] = None,
    refresh_templates: Annotated[
        bool,
        typer.Option(
            "--refresh-templates",
            help="Compare a new sample for what repeats, and do the shards again.",
            rich_help_panel="Beyond one machine",
        ),
    ] = False,
    device: options.Device = None,
    threads: options.Threads = None,
    training_px: options.TrainingPx = None,
    cell_px: options.CellPx = None,
    growth_cells: options.GrowthCells = None,
    policies: options.Policies = None,
    weights: options.Weights = None,
    accepts: options.Accepts = None,
    review_below: options.ReviewBelow = None,
    review_budget: options.ReviewBudget = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write the report at the end.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    log_file: options.LogFile = None,
) -> None:
    """Make one mask per image: text, frames and watermarks black, the rest white (= train).

    Run it again and only what changed is done again.
    """
    config = options.load(
        config_file,
        options.stage_flags(detectors=detectors, refiner=refiner, stage_options=stage_options, keeps_text=not no_text),
        options.overlay_flags(dataset_detectors=dataset_detectors, templates=templates),
        options.runtime_flags(device=device, threads=threads),
        options.render_flags(training_px=training_px, cell_px=cell_px, growth_cells=growth_cells),
        policy_flags(policies=policies, weights=weights, accepts=accepts),
        options.review_flags(below=review_below, budget=review_budget),
        stages_elsewhere=server is not None and not print_config,
    )
    if print_config:
        from automask.cli.toml_text import config_toml

        typer.echo(config_toml(config), nl=False)
        return
    shards_asked = bool(shard_images or engine or workers or gpus_per_worker or refresh_templates or group_by)
    if _is_sharded(folder, output, shards_asked=shards_asked):
        from automask.cli.sharded import run_sharded_and_report

        _refuse_with_shards(from_list=from_list, server=server)
        if folder is None:
            raise typer.BadParameter("a folder, tars, Parquet files or a URL", param_hint="FOLDER")
        run_sharded_and_report(
            folder,
            output,
            config,
            shard_images=shard_images,
            engine=engine or "local",
            workers=workers,
            gpus_per_worker=gpus_per_worker,
            group_by=group_by,
            refresh_templates=refresh_templates,
            as_json=as_json,
            quiet=quiet,
            log_file=log_file,
        )
        return
    run_and_report(
        _source(Path(folder) if folder is not None else None, from_list),
        Path(output) if output is not None else None,
        config,
        image_list=from_list,
        server=server,
        writes_report=not no_report,
        as_json=as_json,
        quiet=quiet,
        log_file=log_file,
    )


def run_and_report(
    source: Path,
    output: Path | None,
    config: PipelineConfig,
    *,
    image_list: Path | None,
    server: str | None,
    writes_report: bool,
    as_json: bool,
    quiet: bool,
    log_file: Path | None,
) -> None:
    """Run, write the report, print the summary, and end with the run's exit code.

    Args:
        source: The folder of images, or of the list.
        output: Where to; None = beside the folder or the list.
        config: What masks look like.
        image_list: The list, or None for the whole folder.
        server: Address of the server that runs the models, or None to run them here.
        writes_report: Whether to write the report.
        as_json: The summary as JSON.
        quiet: Neither progress nor summary.
        log_file: Append a log there.
    """
    from automask.cli.running import end_of_run, narrated
    from automask.run.runner import default_output, run_dataset

    if output is None:
        output = default_output(image_list.with_suffix("") if image_list is not None else source)
    with contextlib.ExitStack() as stack:
        pipeline = stack.enter_context(_remote_pipeline(server, config)) if server is not None else None
        narrator, stop = stack.enter_context(narrated(quiet=quiet, log_file=log_file))
        summary = run_dataset(
            source,
            output,
            pipeline.config if pipeline is not None else config,
            image_list=image_list,
            events=narrator,
            stop=stop,
            pipeline=pipeline,
        )
        end = end_of_run(summary, narrator, writes_report=writes_report, stop=stop)
    end.tell(as_json=as_json, quiet=quiet)
    raise typer.Exit(end.exit_code)


@contextlib.contextmanager
def _remote_pipeline(server: str, config: PipelineConfig) -> Iterator[MaskPipeline]:
    from automask.client.pipeline import RemotePipeline
    from automask.client.sync import Client

    with Client(server) as client:
        yield RemotePipeline.connect(client, config)


def _source(folder: Path | None, from_list: Path | None) -> Path:
    if folder is not None and from_list is not None:
        raise typer.BadParameter("give a folder or --from, not both", param_hint="FOLDER")
    if from_list is not None:
        return from_list.parent
    if folder is None:
        raise typer.BadParameter("a folder of images, or --from LIST", param_hint="FOLDER")
    return folder


def _is_sharded(folder: str | None, output: str | None, *, shards_asked: bool) -> bool:
    """Whether shards are asked for: by an option, a URL, a source that only shards read, or a target that has some."""
    from automask.dataset.shards.opening import names_shards
    from automask.files.urls import is_url

    if shards_asked or any(map(is_url, filter(None, (folder, output)))):
        return True
    if folder is not None and names_shards(folder):
        return not Path(folder).is_dir()
    if output is None:
        return False
    from automask.run.shards.target import is_sharded

    return is_sharded(output)


def _refuse_with_shards(*, from_list: Path | None, server: str | None) -> None:
    for flag, given in (("--from", from_list), ("--server", server)):
        if given is not None:
            raise typer.BadParameter("does not go with shards", param_hint=flag)
