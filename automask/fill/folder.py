"""A new folder that is made from a store: never the dataset itself, never over files of somebody else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from automask.errors import ConfigError, OutputError
from automask.files.atomic import output_error, write_atomic
from automask.version import __version__

MARKER_NAME = "automask-made.json"
"""Lies in every folder of this kind, and says what made it."""


@dataclass(frozen=True, slots=True)
class MadeFolder:
    """An output folder that is ours.

    Attributes:
        root: Where it is.
    """

    root: Path

    @classmethod
    def prepare(cls, root: Path, *, maker: str, keep_out: tuple[Path, ...]) -> MadeFolder:
        """Make the folder, or take one up that the same command made.

        Args:
            root: The output.
            maker: Name of the command.
            keep_out: Folders that it must not be or lie in: the dataset, the store.

        Raises:
            ConfigError: It is or lies in one of `keep_out`, or holds one.
            OutputError: It holds files of others, or cannot be written.
        """
        root = root.resolve()
        for other in (path.resolve() for path in keep_out):
            if root == other or other in root.parents or root in other.parents:
                raise ConfigError(
                    f"The output {root} and {other} lie in each other.",
                    advice="Choose an --output beside them: nothing is changed in place.",
                )
        marker = root / MARKER_NAME
        try:
            is_used = root.exists() and any(root.iterdir())
            if is_used and (not marker.is_file() or json.loads(marker.read_bytes()).get("made_by") != maker):
                raise OutputError(
                    f"{root} holds files that `automask {maker}` did not write.",
                    advice="Choose an empty --output.",
                    code="output-not-ours",
                )
        except NotADirectoryError as error:
            raise OutputError(
                f"The output {root} is a file.", advice="Choose a folder.", code="output-not-a-folder"
            ) from error
        except OSError as error:
            raise output_error(error, root) from error
        except ValueError as error:
            raise OutputError(
                f"{marker} is damaged.", advice="Choose an empty --output.", code="output-not-ours"
            ) from error
        write_atomic(marker, json.dumps({"made_by": maker, "automask": __version__}).encode())
        return cls(root)

    def write(self, relative: str, data: bytes) -> Path:
        """Write one file at a path relative to the folder, with forward slashes.

        Raises:
            OutputError: The path leads out of the folder, or the disk is full or read-only.
        """
        path = self._inside(relative)
        write_atomic(path, data)
        return path

    def remove(self, relative: str) -> None:
        """Remove one file that was written here, if it is there.

        Raises:
            OutputError: The path leads out of the folder, or the file cannot be removed.
        """
        path = self._inside(relative)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, path) from error

    def _inside(self, relative: str) -> Path:
        path = self.root / relative
        if not path.resolve().is_relative_to(self.root):
            raise OutputError(f"{relative} leads out of {self.root}.", advice="Rename the image.")
        return path
