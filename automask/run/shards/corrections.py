"""What people said about images of a sharded target: kept in the target, and part of every mask that is drawn there.

`corrections/SHARD.jsonl` has one JSON object for each time that somebody changed an image, oldest first; the last one
of an image's content counts. Lines are only ever added. Like in a store, a correction is bound to the content of the
image file, and accepting to what the person saw: it lapses where a later run finds other pixels, and is back when they
are.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from automask.dataset.shards.samples import Shard, ShardDamaged
from automask.files.folders import Folder
from automask.mask.rendering import CorrectionLayers
from automask.store.corrections import PackedLayers, brings_whole_mask
from automask.store.records import STALE_CORRECTION_CODE, STALE_CORRECTION_MESSAGE, Decision
from automask.values.types import Found, Issue, Kind, Verdict

_FORMAT = 1
_BLOBS = ("add", "remove", "weight_set", "weight_levels")


@dataclass(frozen=True, slots=True)
class PersonSaid:
    """What a person said about one image.

    Attributes:
        content_sha256: Hash of the image file that the person saw.
        key: Of the image in its shard.
        image: Its id there.
        layers: What was changed about its mask, or None.
        tool: With what; empty where nothing was.
        author: Who.
        decision: About the image as a whole, or None.
        seen_sha256: What was seen when it was accepted, see `seen_sha256`; else empty.
        made_s: When the last of that was done, in seconds since the epoch.
    """

    content_sha256: str
    key: str
    image: str
    layers: PackedLayers | None = None
    tool: str = ""
    author: str = ""
    decision: Decision | None = None
    seen_sha256: str = ""
    made_s: float = 0.0

    @property
    def digest(self) -> str:
        """Hash of what was said, whoever said it and when; empty where it is nothing."""
        layers = _layers_digest(self.layers.unpacked()) if self.layers is not None else ""
        if not layers and self.decision is None:
            return ""
        return hashlib.sha256(f"{layers} {self.decision} {self.seen_sha256}".encode()).hexdigest()

    @property
    def correction(self) -> CorrectionLayers | None:
        """The layers that masks are drawn with."""
        return self.layers.unpacked() if self.layers is not None else None

    def standing(self, found: Found) -> Decision | None:
        """The decision that holds for what was found; see `Store.decide_all`."""
        if self.decision is Decision.ACCEPTED and self.seen_sha256 != seen_sha256(found, self.correction):
            return None
        return self.decision

    def holding(self, found: Found) -> Self:
        """The same without a decision that does not hold for what was found."""
        decision = self.standing(found)
        return dataclasses.replace(self, decision=decision, seen_sha256=self.seen_sha256 if decision else "")

    def verdict(self, decision: Decision | None, automatic: Verdict) -> Verdict:
        """The verdict of an image, by the rules of a store: only who saw all of a mask settles it.

        Args:
            decision: The standing one.
            automatic: The pipeline's verdict.
        """
        is_whole = self.layers is not None and brings_whole_mask(self.tool)
        return Verdict.AUTO if decision in (Decision.ACCEPTED, Decision.EXCLUDED) or is_whole else automatic

    def to_line(self) -> bytes:
        """Its line."""
        values = dataclasses.asdict(self)
        if self.layers is not None:
            values["layers"] |= {name: _packed(getattr(self.layers, name)) for name in _BLOBS}
        return json.dumps({"format": _FORMAT, **values}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """What a line says.

        Raises:
            ValueError: It is damaged, or of a newer automask.
        """
        try:
            values: dict[str, Any] = json.loads(line)
            if values.pop("format") > _FORMAT:
                raise ValueError("a newer automask wrote it")
            layers, decision = values["layers"], values["decision"]
            if layers is not None:
                shape = layers["shape"]
                kinds = {name: Kind(kind) for name, kind in layers["kinds"].items()}
                blobs = {name: _unpacked(layers[name]) for name in _BLOBS}
                layers = PackedLayers(
                    **{**layers, **blobs, "shape": tuple(shape) if shape is not None else None, "kinds": kinds}
                )
            return cls(**{**values, "layers": layers, "decision": Decision(decision) if decision is not None else None})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks something: {error}") from error


@dataclass(frozen=True, slots=True)
class ShardCorrections:
    """What people said about the images of one shard.

    Attributes:
        lines: All of it, oldest first.
        digest: Hash of the file; empty where there is none.
    """

    lines: tuple[PersonSaid, ...] = ()
    digest: str = ""
    _newest: dict[str, PersonSaid] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._newest.update({one.content_sha256: one for one in self.lines})

    @classmethod
    def read(cls, folder: Folder, shard: Shard) -> Self:
        """Those of a shard of a target.

        Raises:
            ShardDamaged: The file is damaged: drawing without it would lose what people did.
        """
        name = corrections_name(shard)
        try:
            data = folder.read(name)
        except FileNotFoundError:
            return cls()
        try:
            return cls(tuple(map(PersonSaid.from_line, data.splitlines())), digest_of(data))
        except ValueError as error:
            raise ShardDamaged(
                f"{name} cannot be used: {error}.",
                advice="Put back a copy of it; without it the corrections of that shard would be lost.",
                code="shard-corrections",
            ) from error

    def of(self, content_sha256: str | None) -> PersonSaid | None:
        """What counts for an image, by its content."""
        return self._newest.get(content_sha256) if content_sha256 is not None else None

    def holds(self, content_sha256: str, digest: str, made_s: float | None) -> bool:
        """Whether something was said about an image once, whatever was said since.

        Args:
            content_sha256: Of the image.
            digest: Of what was said.
            made_s: When; None = whenever.
        """
        return any(
            (one.content_sha256, one.digest) == (content_sha256, digest) and made_s in (None, one.made_s)
            for one in self.lines
        )

    def waits(self, key: str, content_sha256: str | None) -> bool:
        """Whether somebody corrected other pixels under the key of an image, and nobody these."""
        if content_sha256 is None or self.of(content_sha256) is not None:
            return False
        return any(one.key == key and one.layers is not None for one in self._newest.values())

    def fitting(self, content_sha256: str | None, shape: tuple[int, int]) -> PersonSaid | None:
        """What counts for an image that is decoded to (H, W) px: the same file may come out in another size."""
        said = self.of(content_sha256)
        if said is None or said.layers is None or said.layers.shape in (None, shape):
            return said
        return None

    def with_lines(self, lines: Iterable[PersonSaid]) -> ShardCorrections:
        """These and others, which count."""
        joined = (*self.lines, *lines)
        return ShardCorrections(joined, digest_of(b"".join(one.to_line() for one in joined)))

    def write(self, folder: Folder, shard: Shard) -> None:
        """Keep them in a target."""
        folder.write(corrections_name(shard), b"".join(one.to_line() for one in self.lines))


NOTHING_SAID = ShardCorrections()


def corrections_name(shard: Shard) -> str:
    """What people said about the images of a shard."""
    return f"corrections/{shard.name}.jsonl"


def digests_in(folder: Folder, shards: Iterable[Shard]) -> dict[str, str]:
    """`ShardCorrections.digest` of those shards that have any, by name."""
    there = {entry.name for entry in folder.files("corrections")}
    having = [shard for shard in shards if corrections_name(shard) in there] if there else []
    contents = folder.read_many([corrections_name(shard) for shard in having])
    return {shard.name: digest_of(data) for shard, data in zip(having, contents, strict=True) if data is not None}


def newest_digest(folder: Folder, shard: Shard) -> str:
    """The same of one shard, empty where it has none."""
    (data,) = folder.read_many([corrections_name(shard)])
    return digest_of(data) if data is not None else ""


def digest_of(data: bytes) -> str:
    """Hash of the file of corrections of a shard."""
    return hashlib.sha256(data).hexdigest()


def seen_sha256(found: Found, layers: CorrectionLayers | None) -> str:
    """Hash of what a person sees of an image: kinds and pixels of what was found, and the correction.

    As the store's, it leaves growth and policy out. Of pixels, since two machines may pack the same ones differently.
    """
    seen = hashlib.sha256()
    for region, patch in zip(found.regions, found.patches, strict=True):
        seen.update(f"{region.kind.value} {patch.box.xyxy} ".encode() + np.packbits(patch.artefact).tobytes())
    seen.update(_layers_digest(layers).encode() if layers is not None else b"")
    return seen.hexdigest()


def stale_issue() -> Issue:
    """What an image is told to have whose pixels changed after it was corrected."""
    return Issue("write", STALE_CORRECTION_CODE, STALE_CORRECTION_MESSAGE)


def _layers_digest(layers: CorrectionLayers) -> str:
    """Hash of what layers say; empty where that is nothing."""
    said = [
        _of_pixels(layer) if layer is not None and layer.any() else b""
        for layer in (layers.add, layers.remove, layers.weight_set)
    ]
    if layers.weight_levels is not None and layers.weight_set is not None and said[2]:
        said.append(layers.weight_levels[layers.weight_set].tobytes())
    if layers.kinds:
        said.append(json.dumps({key: kind.value for key, kind in sorted(layers.kinds.items())}).encode())
    if not any(said) and not layers.replaces:
        return ""
    whole = hashlib.sha256(f"{layers.replaces} {layers.already_grown}".encode())
    for part in said:
        whole.update(f" {len(part)} ".encode() + part)
    return whole.hexdigest()


def _of_pixels(layer: NDArray[np.bool_]) -> bytes:
    return f"{layer.shape} ".encode() + np.packbits(layer).tobytes()


def _packed(blob: bytes | None) -> str | None:
    return base64.b64encode(blob).decode() if blob is not None else None


def _unpacked(text: str | None) -> bytes | None:
    return base64.b64decode(text, validate=True) if text is not None else None
