"""Addresses of sources and targets: which are URLs, and how they are told without what opens them."""

from __future__ import annotations

import os
import re

_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
"""At least two letters, as `C:\\` is a drive; one slash is what a `Path` makes of two, and is no folder of ours."""
_USER = re.compile(r"(?<=://)[^/\s'\"]*@")
_QUERY = re.compile(r"(?<=\S)[?&;](?:[^\s'\"<>=&;/]+=[^\s'\"<>&;]*)(?:[&;][^\s'\"<>&;]*)*")
_SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|CREDENTIAL|CONNECTION_STRING|(ACCESS|ACCOUNT|API)_?KEY|_SAS)", re.I)
_LEAST_SECRET_CHARS = 6
"""Shorter values of such variables are switches such as `true`, and stand in half of all sentences."""
HIDDEN = "***"


def scheme_of(address: str) -> str | None:
    """The scheme of a URL in lower case, or None for a path of this machine."""
    match = _SCHEME.match(address)
    return match["scheme"].lower() if match is not None else None


def is_url(address: str) -> bool:
    """Whether an address is a URL and no path of this machine; `file://` is one as well."""
    return scheme_of(address) is not None


def redacted(text: str) -> str:
    """A message or URL without user, password and query of any URL in it, and without secrets of the environment.

    Whatever is logged, printed or written beside masks goes through here: drivers put signed URLs into their errors.
    """
    text = _QUERY.sub("", _USER.sub("", text))
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET_CHARS and value in text and _SECRET_NAME.search(name):
            text = text.replace(value, HIDDEN)
    return text
