"""How many images are right without a touch, and how many of the others nobody is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from automask.bench.manifest import Manifest
from automask.bench.run import BenchRun, ImageFigures, pipeline_names, scored_pairs
from automask.bench.tables import markdown_table
from automask.values.types import Verdict

ALL_SOURCES = "all"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Numbers of images with known truth.

    Attributes:
        images: How many there are.
        fine: Leak at most .1 and waste at most .05; an image that got no mask is not fine.
        bad_and_auto: Not fine, and no person is asked: what spoils a training unseen.
        fine_and_review: Fine, and a person is asked all the same: work for nothing.
    """

    images: int
    fine: int
    bad_and_auto: int
    fine_and_review: int

    @classmethod
    def of(cls, figures: Iterable[ImageFigures]) -> Outcomes:
        """Count some images."""
        counted = [(figure.is_fine, figure.verdict == Verdict.AUTO) for figure in figures]
        return cls(
            images=len(counted),
            fine=sum(fine for fine, _ in counted),
            bad_and_auto=sum(not fine and auto for fine, auto in counted),
            fine_and_review=sum(fine and not auto for fine, auto in counted),
        )

    @property
    def cells(self) -> list[str]:
        """Number, and the three others with their share of it, as a table shows them."""
        shares = (self.fine, self.bad_and_auto, self.fine_and_review)
        return [str(self.images), *(f"{count / self.images:.3f} ({count})" if self.images else "-" for count in shares)]


def outcomes_by_source(run: BenchRun, pipeline: str, manifest: Manifest) -> dict[str, Outcomes]:
    """Outcomes per `kind/source`, then over all images under `all`; images of unknown truth are left out."""
    groups: dict[str, list[ImageFigures]] = {}
    for entry, figure in scored_pairs(run, pipeline, manifest):
        groups.setdefault(f"{entry.kind}/{entry.source}", []).append(figure)
    found = {name: Outcomes.of(groups[name]) for name in sorted(groups)}
    found[ALL_SOURCES] = Outcomes.of(figure for group in groups.values() for figure in group)
    return found


def outcomes_table(run: BenchRun, manifest: Manifest) -> str:
    """Per pipeline and source, and over all images: share and number that are fine, bad and auto, fine and review."""
    header = ["pipeline", "kind / source", "n", "fine", "bad-and-auto", "fine-and-review"]
    rows = [
        [name, source, *outcomes.cells]
        for name in pipeline_names(run)
        for source, outcomes in outcomes_by_source(run, name, manifest).items()
    ]
    return markdown_table(header, rows)
