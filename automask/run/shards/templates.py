"""The templates of a sharded target: which there are, for which group of images, and where they are looked for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automask.run.pipeline import MaskPipeline
from automask.run.saved_templates import SavedTemplates
from automask.run.shards.target import ShardTarget, json_or_none
from automask.values.digests import digest

INDEX_NAME = "templates/templates.json"
TEMPLATES_CLAIM = "templates"
"""Name of the claim of whoever writes the index."""
WAITING_PREFIX = "waiting-"
"""Of the names of files of templates that only a person can decide about."""
_AWKWARD = re.compile(r"[^A-Za-z0-9.-]+")
_MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class SampledTemplates:
    """What the sample showed. It pickles.

    Attributes:
        applied: Files of templates that are looked for in every image that is of none of the groups.
        waiting: Names of files, relative to the target, of those that a person has to decide about.
        by: What makes a group, as `GroupBy` writes it; empty where all images are one.
        groups: The same as `applied` for the images of each group that was compared by itself.
    """

    applied: tuple[bytes, ...] = ()
    waiting: tuple[str, ...] = ()
    by: str = ""
    groups: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptTemplates:
    """What a target has.

    Attributes:
        found: The templates.
        detectors: Fingerprints of what found them.
    """

    found: SampledTemplates
    detectors: list[str]

    @classmethod
    def read(cls, target: ShardTarget) -> KeptTemplates | None:
        """Those of a target, or None where they were never made or that was cut short: the index is written last."""
        try:
            index: Any = json_or_none(target.folder.read(INDEX_NAME))
            groups = {name: _contents(target, one["applied"]) for name, one in index.get("groups", {}).items()}
            waiting = tuple(name for one in (index, *index.get("groups", {}).values()) for name in one["waiting"])
            applied = _contents(target, index["applied"])
            found = SampledTemplates(applied, waiting, index.get("group_by", ""), groups)
            return cls(found, list(index["detectors"]))
        except (FileNotFoundError, TypeError, KeyError, AttributeError):
            return None


class GroupedTemplates:
    """What is looked for in the images of each group: the templates of the configuration, and those of the target.

    Args:
        pipeline: Whose dataset detectors know them.
        found: Those of the target.

    Raises:
        ConfigError: No detector takes one for a template of its own (`template-file`).
    """

    def __init__(self, pipeline: MaskPipeline, found: SampledTemplates) -> None:
        self._detectors = pipeline.dataset_detectors
        self._own = SavedTemplates.read(pipeline.config.templates, self._detectors)
        self._found = found
        self._rest = self._own.joined(SavedTemplates.of_contents(found.applied, self._detectors))
        self._by_group: dict[str, SavedTemplates] = {}

    def of(self, group: str) -> SavedTemplates:
        """Those that are looked for in an image of a group."""
        contents = self._found.groups.get(group)
        if contents is None:
            return self._rest
        if group not in self._by_group:
            self._by_group[group] = self._own.joined(SavedTemplates.of_contents(contents, self._detectors))
        return self._by_group[group]

    @property
    def fingerprint(self) -> str:
        """Hash of what is looked for and where; empty for nothing at all."""
        rest = _ids(self._rest)
        groups = {group: _ids(self.of(group)) for group in sorted(self._found.groups)}
        if any(ids != rest for ids in groups.values()):
            return digest({"by": self._found.by, "rest": rest, "groups": groups})
        return digest(rest) if rest else ""


def group_folder(group: str) -> str:
    """Where the templates of a group are in a target, with a slash; empty for the images of none."""
    if not group:
        return ""
    name = _AWKWARD.sub("_", group)[:_MOST_CHARACTERS].lstrip(".")
    return f"{name}~{hashlib.sha256(group.encode()).hexdigest()[:8]}/"


def _contents(target: ShardTarget, names: list[str]) -> tuple[bytes, ...]:
    return tuple(target.folder.read(name) for name in names)


def _ids(templates: SavedTemplates) -> list[str]:
    return sorted(template.id for template in templates.templates)
