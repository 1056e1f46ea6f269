"""Whether a store has masks of all images of its folder; whoever trains on a part of them should know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from automask.dataset.image_file import ImageFile
from automask.dataset.walk import walk
from automask.store import LockOwner, Status, Store
from automask.store.records import RunStatus


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is known about a store whose last run did not get to its end.

    Attributes:
        status: Of the last run; `running` only where its process lives.
        owner: Who works on the store at the moment, or None.
        input_root: The folder of the images.
        without_mask: Images of the folder that no run has got to. Failed ones are not among them.
    """

    status: RunStatus
    owner: LockOwner | None
    input_root: Path
    without_mask: int


def unfinished(store: Store, *, output: Path) -> Unfinished | None:
    """Look whether the last run ended; the folder is walked only where it did not.

    Args:
        store: Opened for reading or writing.
        output: Where an export goes: its images are not those of the folder.

    Returns:
        What is missing, or None where the last run got to its end.
    """
    last = store.last_run()
    if last is None or last.status == "done":
        return None
    root = Path(last.input_root)
    owner = store.lock_owner()
    known = {stored.image_id for stored in store.images() if stored.status is not Status.MISSING}
    present = (item.id for item in walk(root, exclude=[store.root, output]) if isinstance(item, ImageFile))
    return Unfinished(
        status="interrupted" if last.status == "running" and owner is None else last.status,
        owner=owner,
        input_root=root,
        without_mask=sum(image_id not in known for image_id in present),
    )
