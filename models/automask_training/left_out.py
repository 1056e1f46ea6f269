"""Every source judged by fits without it: `python -m automask_training.left_out RECIPE MANIFEST --work DIR ...`.

Runs the default pipeline over each source of a manifest as one folder twice: with the shipped fits, and with all that
is fitted on images with truth fitted again without that source. Prints how many images are fine and who is asked, side
by side. A source that is in no fit has the same figures twice. Stores, fits and what they are fitted on stay in DIR:
the same command goes on where it was stopped, and does again only what other code, weights or fits change.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from automask.bench.folders import judged_image
from automask.bench.manifest import Manifest, ManifestEntry, read_manifest
from automask.bench.outcomes import ALL_SOURCES, Outcomes
from automask.bench.run import ImageFigures, machine, package_versions
from automask.bench.tables import markdown_table
from automask.config import FrozenModel, PipelineConfig, RuntimeConfig
from automask.errors import AutomaskError, InputError
from automask.files.atomic import write_atomic
from automask.run.pipeline import MaskPipeline
from automask.run.runner import run_dataset
from automask.store import Store
from automask.version import __version__
from automask.weights import file_sha256
from automask_training.confidence_data import entries_by_source, fill_stores
from automask_training.left_out_fits import differences, gather, read_recipe
from automask_training.starting import start

LOGGER = logging.getLogger("automask.training")
IN_SAMPLE, LEFT_OUT = "in sample", "left out"
_IN_A_FIT, _IN_NONE = "of those, in a fit", "of those, in no fit"


class SourceOutcome(FrozenModel):
    """One source with the shipped fits and with fits without it.

    Attributes:
        kind: Its kind in the manifest.
        source: Its name.
        refitted: Which fits it takes part in, and were made anew without it.
        in_sample: Figures of each image with the shipped fits.
        left_out: The same with the fits without it.
    """

    kind: str
    source: str
    refitted: tuple[str, ...]
    in_sample: tuple[ImageFigures, ...]
    left_out: tuple[ImageFigures, ...]


class LeftOutRun(FrozenModel):
    """All figures of a run.

    Attributes:
        shipped: Largest difference of a coefficient between each shipped fit and one made now on all sources.
    """

    automask: str
    started: str
    machine: str
    packages: dict[str, str]
    shipped: dict[str, float]
    sources: tuple[SourceOutcome, ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    """One source that is measured.

    Attributes:
        manifest: Where it is from.
        folder: Of this manifest in the work folder, as `fill_stores` makes it.
        entries: All of it with known truth.
    """

    manifest: Manifest
    folder: Path
    entries: Sequence[ManifestEntry]

    @property
    def kind(self) -> str:
        """Its kind in the manifest."""
        return self.entries[0].kind

    @property
    def source(self) -> str:
        """Its name."""
        return self.entries[0].source

    @property
    def key(self) -> str:
        """Its name in `entries_by_source`."""
        return f"{self.kind}-{self.source}"

    def figures(self, name: str, output: Path, config: PipelineConfig) -> tuple[ImageFigures, ...]:
        """Of the masks in a store that a run over its folder made."""
        with Store.open(output, read_only=True) as store:
            return tuple(
                judged_image(name, store, self.manifest, entry, Path(entry.image).name, config).figures
                for entry in self.entries
            )


def outcomes_table(run: LeftOutRun) -> str:
    """Per source, over all, and over those in a fit and in none: fine, and who is asked, in sample and left out."""
    header = ["source", "n", "in the fits of"]
    header += [
        f"{figure}, {fits}" for figure in ("fine", "bad-and-auto", "fine-and-review") for fits in (IN_SAMPLE, LEFT_OUT)
    ]
    rows = [_row(f"{each.kind}/{each.source}", [each], ", ".join(each.refitted) or "none") for each in run.sources]
    rows.append(_row(ALL_SOURCES, run.sources, ""))
    for name, is_refitted in ((_IN_A_FIT, True), (_IN_NONE, False)):
        group = [each for each in run.sources if bool(each.refitted) == is_refitted]
        rows += [_row(name, group, "")] if group else []
    return markdown_table(header, rows)


def _row(name: str, sources: Iterable[SourceOutcome], fits: str) -> list[str]:
    found = list(sources)
    one = Outcomes.of(figures for each in found for figures in each.in_sample)
    two = Outcomes.of(figures for each in found for figures in each.left_out)
    return [
        name,
        one.cells[0],
        fits,
        *(cell for pair in zip(one.cells[1:], two.cells[1:], strict=True) for cell in pair),
    ]


def shared_sources(manifests: Iterable[Manifest]) -> dict[str, frozenset[str]]:
    """Each source with all that have an image of it, itself among them: who leaves one out has to leave out those."""
    by_content: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for manifest in manifests:
        for entry in manifest.entries:
            found.setdefault(entry.source, {entry.source})
            by_content.setdefault(file_sha256(manifest.root / entry.image), set()).add(entry.source)
    for sources in by_content.values():
        for source in sources:
            found[source] |= sources
    return {source: frozenset(others) for source, others in found.items()}


def measure(
    recipe_path: Path,
    measured: Sequence[Path],
    others: Sequence[Path],
    *,
    materials: Path,
    work: Path,
    only: Sequence[str],
    config: PipelineConfig,
) -> LeftOutRun:
    """Run all that is not there yet, and gather the figures.

    Args:
        recipe_path: How the shipped fits were made: `models/training/left_out.toml`.
        measured: Manifests whose sources are measured.
        others: Manifests that are in the fits as well.
        materials: Free pictures, made by `synth.materials`.
        work: Folder for all that is kept.
        only: Names of the sources to measure; none = all.
        config: The pipeline.

    Raises:
        InputError: There is no such source, a file cannot be read, or without a source nothing is left to fit on.
        ConfigError: The recipe is wrong.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    recipe = read_recipe(recipe_path)
    manifests = {path: read_manifest(path) for path in (*measured, *others)}
    chosen = _chosen({work / path.stem: manifests[path] for path in measured}, only)
    shared = shared_sources(manifests.values())
    for path, manifest in manifests.items():
        most = sys.maxsize if path in measured else recipe.confidence.per_source
        fill_stores(entries_by_source(manifest, most=most), work / path.stem, config)
    layout_recipe = recipe_path.parent / recipe.frames.recipe
    data = gather(recipe, manifests, layout_recipe=layout_recipe, materials=materials, work=work, config=config)
    sources = []
    for each in chosen:
        in_sample = each.figures(IN_SAMPLE, each.folder / "stores" / each.key, config)
        left_out = tuple(figures.model_copy(update={"pipeline": LEFT_OUT}) for figures in in_sample)
        fits = data.fits(without=shared[each.source])
        if fits.names:
            output = each.folder / "left-out" / each.key
            own = fits.written(output.with_name(f"{each.key}.fits"), config)
            pipeline = MaskPipeline.from_config(own)
            summary = run_dataset(each.folder / "images" / each.key, output, own, pipeline=pipeline)
            LOGGER.info("%s without it: %s, %.0f s", each.key, summary.written, summary.seconds)
            left_out = each.figures(LEFT_OUT, output, own)
        sources.append(
            SourceOutcome(
                kind=each.kind, source=each.source, refitted=fits.names, in_sample=in_sample, left_out=left_out
            )
        )
    return LeftOutRun(
        automask=__version__,
        started=started,
        machine=machine(),
        packages=package_versions(),
        shipped=differences(data.fits()),
        sources=tuple(sources),
    )


def _chosen(manifests: Mapping[Path, Manifest], only: Sequence[str]) -> list[_Measured]:
    found = []
    for folder, manifest in manifests.items():
        groups: dict[tuple[str, str], list[ManifestEntry]] = {}
        for entry in manifest.entries:
            if entry.truth != "unknown":
                groups.setdefault((entry.kind, entry.source), []).append(entry)
        found += [_Measured(manifest, folder, groups[key]) for key in sorted(groups)]
    names = {each.source for each in found}
    unknown = sorted(set(only) - names)
    if unknown or not found:
        raise InputError(
            f"No images of {', '.join(unknown) or 'known truth'}.", advice=f"There are {', '.join(sorted(names))}."
        )
    return [each for each in found if not only or each.source in only]


def told(run: LeftOutRun) -> str:
    """The table, and whether the shipped fits are what would be fitted today."""
    lines = [
        f"{name}: {'as fitted now on all sources' if value == 0 else f'differs from one fitted now by up to {value:g}'}"
        for name, value in run.shipped.items()
    ]
    return (
        f"{outcomes_table(run)}\n\nThe shipped fits (largest difference of a coefficient):\n" + "\n".join(lines) + "\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code as for `automask`."""
    parser = argparse.ArgumentParser(prog="automask_training.left_out", description=__doc__)
    parser.add_argument("recipe", type=Path, help="models/training/left_out.toml")
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="its sources are measured")
    parser.add_argument("--with", dest="others", type=Path, action="append", default=[], metavar="MANIFEST",
                        help="in the fits too, and not measured; repeatable")  # fmt: skip
    parser.add_argument("--materials", type=Path, required=True, help="folder made by synth.materials")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for all that is kept")
    parser.add_argument("--source", action="append", default=[], metavar="NAME", help="measure only it; repeatable")
    parser.add_argument("--save", type=Path, metavar="JSON", help="file for the figures of every image")
    parser.add_argument("--threads", type=int, default=0, help="threads of the networks, 0 for the usable cores [0]")
    given = parser.parse_args(arguments)
    if len({path.stem for path in (*given.manifests, *given.others)}) < len(given.manifests) + len(given.others):
        parser.error("the manifests need names of their own: each has a folder of its name in --work")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        run = measure(
            given.recipe,
            given.manifests,
            given.others,
            materials=given.materials,
            work=given.work,
            only=given.source,
            config=PipelineConfig(runtime=RuntimeConfig(threads=given.threads)),
        )
    except AutomaskError as error:
        LOGGER.error("%s", error)  # a sentence with advice; the trace would say less
        return error.exit_code
    sys.stdout.write(told(run))
    if given.save is not None:
        write_atomic(given.save, (run.model_dump_json(indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    start(main)
