"""What a Hugging Face hub, or a mirror of one, says of files: their hash at the commit that its main branch is at."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from automask.errors import WeightsError
from automask_models.download import Answer, Expected, head, read_small

HUB_VARIABLE, TOKEN_VARIABLE = "HF_ENDPOINT", "HF_TOKEN"
"""Those of the Hugging Face libraries: another hub or mirror, and who asks."""
MIRROR_VARIABLE = "AUTOMASK_MIRROR"
"""Base address that stands for the host of every download."""
_PUBLIC_HUB = "https://huggingface.co"
_MOST_REDIRECTS = 5
_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Files with other names, or in folders, are left where they are."""
_PART = r"model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json"
_CONFIGURATIONS = ("config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a hub at one commit.

    Attributes:
        url: Where its bytes are.
        revision: The commit, 40 hex digits.
        expected: What the hub says of its bytes.
    """

    url: str
    revision: str
    expected: Expected


class Hub:
    """A hub, as the environment names it."""

    def __init__(self, endpoint: str | None = None) -> None:
        mirror = endpoint or os.environ.get(MIRROR_VARIABLE)
        self.endpoint = (mirror or os.environ.get(HUB_VARIABLE) or _PUBLIC_HUB).rstrip("/")
        token = None if mirror else os.environ.get(TOKEN_VARIABLE)  # a secret between its owner and the hub
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def file(self, hub_id: str, name: str, *, revision: str = "main") -> HubFile:
        """The facts of a file.

        Raises:
            WeightsError: There is no such file or no access to it, the hub does not answer, or it states no hash.
        """
        url = self._resolve(hub_id, name, revision)
        answer = self._facts(url)
        commit = answer.headers.get("X-Repo-Commit") or ""
        etag = (answer.headers.get("X-Linked-Etag") or answer.headers.get("ETag") or "").removeprefix("W/").strip('"')
        is_sha256, is_git = re.fullmatch(r"[0-9a-f]{64}", etag), re.fullmatch(r"[0-9a-f]{40}", etag)
        if not re.fullmatch(r"[0-9a-f]{40}", commit) or not (is_sha256 or is_git):
            raise WeightsError(
                f"{url} states no commit and hash of its bytes.",
                advice=f"Ask the hub itself: unset {MIRROR_VARIABLE} and {HUB_VARIABLE}.",
                code="weights-mismatch",
            )
        size = answer.headers.get("X-Linked-Size") or (answer.headers.get("Content-Length") if is_git else None)
        expected = Expected(
            sha256=etag if is_sha256 else None,
            git_sha1=etag if is_git else None,
            size_bytes=int(size) if size and size.isdigit() else None,
        )
        return HubFile(self._resolve(hub_id, name, commit), commit, expected)

    def files_of(self, hub_id: str) -> list[str]:
        """Names of the files that a stage could need: configuration, and weights in the safest format that is there.

        Raises:
            WeightsError: There is no such repository or no access to it, or it has no weights at its top.
        """
        url = f"{self.endpoint}/api/models/{quote(hub_id)}/revision/main"
        try:
            siblings = json.loads(read_small(url, headers=self.headers))["siblings"]
            names = [str(sibling["rfilename"]) for sibling in siblings]
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{url} does not answer as a hub does.", advice=f"Check {MIRROR_VARIABLE} and {HUB_VARIABLE}."
            ) from error
        weights = _weights_among(names)
        if not weights:
            raise WeightsError(
                f"{hub_id} has no .safetensors, .onnx, .pt, .pth or .bin file at its top.",
                advice="Fetch the file that you mean by other means, and name it by its path.",
                code="weights-layout",
            )
        return [name for name in _CONFIGURATIONS if name in names] + weights

    def _resolve(self, hub_id: str, name: str, revision: str) -> str:
        return f"{self.endpoint}/{quote(hub_id)}/resolve/{revision}/{quote(name)}"

    def _facts(self, url: str) -> Answer:
        """Of the repository under its name of today: a renamed one redirects on the same host, storage elsewhere."""
        for _ in range(_MOST_REDIRECTS):
            answer = head(url, headers=self.headers)
            following = urljoin(url, answer.headers.get("Location") or "")
            is_facts = answer.headers.get("X-Repo-Commit") or answer.status < 300
            if is_facts or urlsplit(following).netloc != urlsplit(url).netloc:
                return answer
            url = following
        raise WeightsError(f"{url} redirects in a circle.", advice="Report it to who runs that hub.")


def mirrored(url: str) -> str:
    """An address that is no hub's, at the mirror where there is one: its host replaced, its path kept."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    return url if not mirror else mirror.rstrip("/") + urlsplit(url).path


def _weights_among(names: Sequence[str]) -> list[str]:
    top = [name for name in names if re.fullmatch(_PLAIN, name)]
    whole = [name for name in top if name == "model.safetensors"]
    parts = [name for name in top if re.fullmatch(_PART, name)]
    for chosen in (
        whole,
        parts,
        [name for name in top if name.endswith((".onnx", ".onnx.data", ".onnx_data"))],
        [name for name in top if name.endswith((".pt", ".pth", ".bin"))],
    ):
        if chosen:
            return chosen
    return []
