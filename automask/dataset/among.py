"""Masks that lie between the images of a dataset, told by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from automask.dataset.codes import Remark
from automask.dataset.names import folded, stem_of, stem_of_masked
from automask.values.types import Issue

NAMES_KEPT = 10


def masks_among(images: Sequence[str], others: Sequence[str] = ()) -> list[str]:
    """Files of one folder that are, by their names, masks of images beside them, as `a_mask.png` beside `a.jpg`.

    Args:
        images: Names of its images.
        others: Names of further files.
    """
    masked = {name: stem for name in (*images, *others) if (stem := stem_of_masked(name)) is not None}
    if not masked:
        return []
    stems = {folded(stem_of(name)) for name in images}
    return [name for name, stem in masked.items() if folded(stem) in stems]


@dataclass(slots=True)
class MasksAmong:
    """Adds up the masks between the images of a dataset; memory does not grow with their number."""

    taken: int = 0
    left_out: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, folder: str, images: Sequence[str], sidecars: Sequence[str]) -> None:
        """Look through one folder.

        Args:
            folder: Printable path with a closing slash, or empty for the root.
            images: Printable names of what is taken as images.
            sidecars: Printable names of what is left out as trainers' masks.
        """
        found = masks_among(images, sidecars)
        out = len(set(found) & set(sidecars))
        self.left_out += out
        self.taken += len(found) - out
        self.names += [folder + name for name in found[: NAMES_KEPT - len(self.names)]]

    def issue(self) -> Issue | None:
        """The notice for a run, or None without any."""
        count = self.taken + self.left_out
        if not count:
            return None
        rest = f" and {count - len(self.names)} more" if count > len(self.names) else ""
        message = f"{count} files among the images are masks by their names: {', '.join(self.names)}{rest}. "
        if self.left_out:
            message += f"{self.left_out} of them are left out as a trainer's masks. "
        if self.taken:
            message += f"{self.taken} of them are taken for images, here and by trainers: move them out. "
        message += "`automask import` reads masks from a folder of their own."
        return Issue(stage="walk", code=Remark.MASKS_AMONG_IMAGES.value, message=message)
