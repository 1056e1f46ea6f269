"""What `automask models pull` writes beside files whose hash no catalogue has: which bytes they were, and whose."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from automask.config import FrozenModel
from automask.errors import WeightsError
from automask.weights.catalogue import RelativeName

SUFFIX = ".pulled.json"


class PulledFile(FrozenModel):
    """One file as it was pulled.

    Attributes:
        stated: What the hub stated of it: its sha256, or for small files the hash that git gives them.
        sha256: Of its bytes, which were checked against `stated`.
        size_bytes: Their number.
    """

    stated: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class PullRecord(FrozenModel):
    """Where a set of weights came from.

    Attributes:
        hub: ORG/NAME.
        endpoint: The hub or mirror that was asked.
        revision: The commit that its main branch was at.
        files: By name below the weights folder.
        is_whole: Whether all of them were fetched.
    """

    hub: str
    endpoint: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    files: dict[RelativeName, PulledFile]
    is_whole: bool = False


def record_path(folder: Path, entry_name: str) -> Path:
    """Where the record of a set of weights lies in a weights folder: beside its file or folder."""
    return folder / f"{entry_name}{SUFFIX}"


def read_record(folder: Path, entry_name: str) -> PullRecord | None:
    """The record of a set of weights, or None where there is none.

    Raises:
        WeightsError: It cannot be read, so that nothing can be checked against it.
    """
    path = record_path(folder, entry_name)
    try:
        return PullRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise WeightsError(
            f"{path}, which says what these weights have to be, cannot be read.",
            advice="Delete it with the weights beside it, and pull them again.",
            code="weights-mismatch",
        ) from error
