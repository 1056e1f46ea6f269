"""Groups of a source: images of one site, one folder, or one value of a column, on which the same marks repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from automask.dataset.names import printable_name
from automask.errors import ConfigError

URL_COLUMNS = ("url", "image_url", "img_url", "source_url")
"""Where datasets keep the address of an image, whatever the case; img2dataset calls it `url`."""
MOST_METADATA_BYTES = 1_000_000
_MOST_CHARACTERS = 200
_ADVICE = "Write site, prefix, prefix:2, column:NAME or none."


@dataclass(frozen=True, slots=True)
class GroupBy:
    """What makes two images of one group.

    Attributes:
        by: `site`, the host of the address that an image was fetched from; `prefix`, its first folders; `column`.
        folders: How many, for `prefix`.
        column: Its name.
    """

    by: Literal["site", "prefix", "column"]
    folders: int = 1
    column: str = ""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What a user asks for; None for `none`.

        Raises:
            ConfigError: It is none of them.
        """
        by, colon, rest = text.strip().partition(":")
        if (by, colon) == ("none", ""):
            return None
        if (by, colon) == ("site", ""):
            return cls("site")
        if by == "prefix" and (not colon or (rest.isascii() and rest.isdecimal() and int(rest) > 0)):
            return cls("prefix", folders=int(rest or 1))
        if by == "column" and rest:
            return cls("column", column=rest)
        raise ConfigError(f"{text!r} is no way to group images.", advice=_ADVICE)

    def __str__(self) -> str:
        match self.by:
            case "site":
                return "site"
            case "prefix":
                return f"prefix:{self.folders}"
            case "column":
                return f"column:{self.column}"

    def of_path(self, path: str) -> str:
        """The group of an image by its path with forward slashes; empty where its path says nothing of it."""
        return _named("/".join(path.split("/")[:-1][: self.folders])) if self.by == "prefix" else ""

    def column_in(self, names: Mapping[str, Any] | list[str]) -> str | None:
        """The column or key that tells the group, of those that there are."""
        if self.by == "column":
            return self.column if self.column in names else None
        folded = {name.lower(): name for name in names}
        return next((folded[name] for name in URL_COLUMNS if name in folded), None) if self.by == "site" else None

    def of_value(self, value: object) -> str:
        """The group of an image by the value of that column; empty for none."""
        if value is None:
            return ""
        if self.by == "column":
            return _named(str(value))
        try:
            host = urlsplit(str(value)).hostname or ""
        except ValueError:
            return ""
        return _named(host.removeprefix("www."))

    def of_metadata(self, data: bytes | None) -> str:
        """The group of an image by the JSON that stands beside it in a tar; empty where that says nothing of it."""
        try:
            values = json.loads(data) if data else None
        except ValueError:
            return ""
        if not isinstance(values, dict):
            return ""
        column = self.column_in(values)
        return self.of_value(values[column]) if column is not None else ""


def _named(name: str) -> str:
    return printable_name(name)[:_MOST_CHARACTERS]
