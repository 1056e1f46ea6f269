"""Small fitted models that ship as JSON beside the code that weighs with them, or come from a file of the user's."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import ClassVar, Self

from automask.config import FrozenModel, read_option_file


class FittedModel(FrozenModel):
    """Numbers of a fit. Derived classes set `FILE`, the name of the shipped one in their package.

    Attributes:
        fitted_on: What the numbers come from.
    """

    FILE: ClassVar[str]

    fitted_on: str

    @classmethod
    def bundled(cls) -> Self:
        """The shipped one."""
        package = cls.__module__.rpartition(".")[0]
        return cls.model_validate_json(files(package).joinpath(cls.FILE).read_text("utf-8"))

    @classmethod
    def chosen(cls, path: str, *, option: str) -> Self:
        """The one in a file that an option names; empty = the shipped one.

        Raises:
            ConfigError: The file cannot be read, or holds no such model.
        """
        return read_option_file(cls, path, option=option) if path else cls.bundled()

    @property
    def sha256(self) -> str:
        """Hash of the numbers, for fingerprints: not of what is told about them."""
        return hashlib.sha256(self.model_dump_json(exclude={"fitted_on"}).encode()).hexdigest()
