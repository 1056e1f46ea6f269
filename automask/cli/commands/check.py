"""`automask check`: whether masks will work in a trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automask.cli import options

if TYPE_CHECKING:
    from automask.check import CheckReport

_EXAMPLES_SHOWN = 3


def check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the training images.", show_default=False)
    ],
    trainer_name: Annotated[
        str, typer.Option("--for", metavar="TRAINER", help="Whose rules count, such as kohya or onetrainer.")
    ],
    masks: Annotated[
        Path | None, typer.Option("--masks", metavar="DIR", help="Folder of the masks, where the trainer wants one.")
    ] = None,
    config_files: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="The trainer's configuration, TOML, YAML or JSON; repeatable."),
    ] = None,
    caches: Annotated[
        list[Path] | None,
        typer.Option(
            "--cache", metavar="DIR", help="The trainer's cache, where --config does not name it; repeatable."
        ),
    ] = None,
    training_px: Annotated[
        int | None,
        typer.Option("--training-px", min=64, help="Training resolution in px \\[from --config, else 1024]."),
    ] = None,
    cell_px: Annotated[
        int | None, typer.Option("--cell-px", min=1, help="Latent cell in training px \\[from --config, else 8].")
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="PNG", help="Where to draw what the model sees [FOLDER-check-TRAINER.png]."),
    ] = None,
    no_preview: Annotated[bool, typer.Option("--no-preview", help="Draw no preview.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings too make the exit code 8.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Look for everything that keeps masks from working in a trainer, whoever made them. Changes nothing.

    Exit code 0: nothing found (or warnings only). 8: errors.
    """
    from automask.check import check_folder
    from automask.cli.making import working
    from automask.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED
    from automask.trainers.conventions import trainer_named

    trainer = trainer_named(trainer_name)
    with working("check", quiet=quiet) as (stop, progress):
        report = check_folder(
            folder,
            trainer,
            masks_root=masks,
            config_files=config_files or (),
            cache_folders=caches or (),
            training_px=training_px,
            cell_px=cell_px,
            stop=stop,
            progress=progress,
        )
    drawn = None if no_preview or report.interrupted else _draw(report, preview)
    if as_json:
        typer.echo(json.dumps(_content(report, drawn), ensure_ascii=False))
    elif not quiet:
        for line in _lines(report, drawn):
            typer.echo(line)
    if report.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.errors or (strict and report.findings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _draw(report: CheckReport, target: Path | None) -> Path | None:
    """Write the preview; a place that nobody asked for may be read-only.

    Raises:
        OutputError: The file that was asked for cannot be written.
    """
    from automask.errors import OutputError
    from automask.files.atomic import write_atomic

    picture = report.preview()
    if picture is None:
        return None
    root = report.layout.root.resolve()
    path = target or root.with_name(f"{root.name}-check-{report.trainer.name}.png")
    try:
        write_atomic(path, picture)
    except OutputError:
        if target is not None:
            raise
        return None
    return path


def _content(report: CheckReport, preview: Path | None) -> dict[str, Any]:
    findings = [
        {
            "code": finding.code.value,
            "severity": finding.severity,
            "message": finding.message,
            "fix": finding.fix,
            "count": finding.count,
            "examples": list(finding.examples),
            "file": finding.file,
            "line": finding.line,
        }
        for finding in report.findings
    ]
    images = [
        {
            "image": image.name,
            "codes": [code.value for code in image.codes],
            "masked_share": round(image.masked_share, 4) if image.masked_share is not None else None,
            "effective_weight": round(image.effective_weight, 4),
            "regions": [
                {
                    "box_xyxy": list(region.box.xyxy),
                    "share": round(region.share, 5),
                    "intended_weight": round(region.intended, 4),
                    "effective_weight": round(region.effective, 4),
                }
                for region in image.regions
            ],
        }
        for image in report.images
    ]
    return {
        "trainer": report.trainer.name,
        "folder": str(report.layout.root),
        "masks": str(report.layout.masks_root) if report.layout.masks_root is not None else None,
        "training_px": report.lens.training_px,
        "cell_px": report.lens.cell_px,
        "counts": _counts(report),
        "errors": report.errors,
        "warnings": len(report.findings) - report.errors,
        "findings": findings,
        "images": images,
        "settings": {setting.key: setting.value for setting in report.trainer.settings},
        "preview": str(preview) if preview is not None else None,
        "interrupted": report.interrupted,
    }


def _counts(report: CheckReport) -> dict[str, int]:
    return {
        "images": len(report.layout.pairs),
        "with_mask": sum(pair.mask is not None for pair in report.layout.pairs),
        "extra_masks": len(report.layout.extra_masks),
        "with_something_masked": sum(bool(image.masked_share) for image in report.images),
        "masked_regions": sum(len(image.regions) for image in report.images),
    }


def _lines(report: CheckReport, preview: Path | None) -> list[str]:
    from automask.extras import commands_for

    counts = _counts(report)
    weights = [image.effective_weight for image in report.images if image.regions]
    left = f"; weight left on them {sum(weights) / len(weights):.2f}, at worst {max(weights):.2f}" if weights else ""
    lines = [
        f"{report.layout.root}, for {report.trainer.title}: {counts['images']} images, {counts['with_mask']} "
        "with a mask",
        f"at {report.lens.training_px} px with cells of {report.lens.cell_px} px: {counts['masked_regions']} masked "
        f"regions on {counts['with_something_masked']} images{left}. White = train.",
    ]
    for finding in report.findings:
        place = f"{finding.place}: " if finding.place else ""
        lines.append(f"{finding.severity} [{finding.code}] {place}{finding.message}")
        shown = finding.examples[:_EXAMPLES_SHOWN]
        if shown:
            more = f" and {finding.count - len(shown)} more" if finding.count > len(shown) else ""
            lines.append(f"  {'; '.join(shown)}{more}")
        lines.append(f"  {finding.fix}")
        lines += [f"  {command}" for command in commands_for(finding.fix)]
    if preview is not None:
        lines.append(f"what the model sees: {preview}")
    if not report.findings:
        needed = ", ".join(f"{setting.key} = {json.dumps(setting.value)}" for setting in report.trainer.settings)
        lines += [
            f"nothing found. Settings that it takes: {needed}",
            f"after changing masks clear: {report.trainer.cache}",
        ]
    return lines
