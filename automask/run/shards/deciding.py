"""What people decide about the templates of a sharded target: for all of its images, whatever shard they are in.

A decision is kept in the index in `templates/`, by the id of the template, and moves its files from one list of the
index to another. Files stay as they are and keep their names, so that it can be taken back: one that waited for a
decision is called `waiting-ID.template` for good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from automask.errors import StoreError, StoreLocked
from automask.run.shards.claims import Claims
from automask.run.shards.target import TRANSPORT, ShardTarget, json_or_none, target_error
from automask.run.shards.templates import INDEX_NAME, TEMPLATES_CLAIM, WAITING_PREFIX
from automask.values.templates import TemplateDecision

TemplateState = Literal["applied", "waiting", "forgotten"]
STATES: tuple[TemplateState, ...] = ("applied", "waiting", "forgotten")
"""Looked for; kept and not looked for until somebody decides; left alone, since somebody decided so."""
_DECIDED: Mapping[TemplateDecision, TemplateState] = {
    TemplateDecision.APPLY: "applied",
    TemplateDecision.FORGET: "forgotten",
}


@dataclass(frozen=True, slots=True)
class TargetTemplate:
    """A template of a target.

    Attributes:
        id: Of the template as it was found, which its file is called by.
        group: Of the images in which it is looked for; empty where that is all that are of no other group.
        state: What is done about it.
        file: Its file, relative to the target; the PNG that shows it is beside it.
    """

    id: str
    group: str
    state: TemplateState
    file: str

    @property
    def picture(self) -> str:
        """The PNG that shows it to a person, relative to the target."""
        return f"{self.file.removesuffix('.template')}.png"


def state_before(file: str) -> TemplateState:
    """What is done about a template as long as nobody decides, by the name of its file."""
    return "waiting" if file.rpartition("/")[2].startswith(WAITING_PREFIX) else "applied"


def id_of(file: str) -> str:
    """The id that a template's file is called by."""
    return file.rpartition("/")[2].removesuffix(".template").removeprefix(WAITING_PREFIX)


class TargetTemplates:
    """The templates of a target, and decisions about them.

    Args:
        address: Of the target, a folder or a URL.
    """

    def __init__(self, address: str) -> None:
        self._target = ShardTarget.at(address)

    def all(self) -> list[TargetTemplate]:
        """All of them, those that wait for a decision first.

        Raises:
            StoreError: There is no target.
            OutputError: It cannot be read.
        """
        try:
            return listed(self._index())
        except TRANSPORT as error:
            raise target_error(self._target.label, error) from None

    def find(self, prefix: str) -> list[TargetTemplate]:
        """The template whose id begins with the given characters, once for each group that shows it.

        Raises:
            StoreError: There is none, or more than one (`template-unknown`).
        """
        known = self.all()
        found = [one for one in known if prefix and one.id.startswith(prefix)]
        ids = {one.id for one in found}
        if len(ids) != 1:
            which = "no template" if not ids else f"{len(ids)} templates"
            raise StoreError(
                f"{which.capitalize()} of {self._target.label} has an id that begins with {prefix!r}.",
                advice=f"Its ids: {', '.join(dict.fromkeys(one.id for one in known)) or 'none'}.",
                code="template-unknown",
            )
        return found

    def decide(self, prefix: str, decision: TemplateDecision | None) -> tuple[list[TargetTemplate], bool]:
        """Keep a decision about a template for all groups that show it; None takes back what was decided.

        Returns:
            The template as it is now, and whether other templates are looked for than before: then the next run does
            all shards again.

        Raises:
            StoreError: As in `find`.
            StoreLocked: A driver is just about to write templates.
            OutputError: The target cannot be written.
        """
        chosen = self.find(prefix)[0].id
        try:
            with Claims(self._target.folder, None) as claims:
                other = claims.take(TEMPLATES_CLAIM)
                if other is not None:
                    raise StoreLocked(
                        f"{other} compares a sample for {self._target.label}.",
                        advice="Wait until it has, and decide again.",
                        code="shards-other-config",
                    )
                index = self._index()
                before, decided = listed(index), decisions_in(index)
                if decision is not None:
                    decided[chosen] = decision
                else:
                    decided.pop(chosen, None)
                settle(index, decided)
                after = listed(index)
                self._target.folder.write(INDEX_NAME, json.dumps(index, indent=1).encode())
        except TRANSPORT as error:
            raise target_error(self._target.label, error) from None
        changes = {one.file for one in before if one.state == "applied"} != {
            one.file for one in after if one.state == "applied"
        }
        return [one for one in after if one.id == chosen], changes

    def read(self, name: str) -> bytes:
        """A file of a template.

        Raises:
            StoreError: It is gone.
            OutputError: The target cannot be read.
        """
        try:
            return self._target.folder.read(name)
        except FileNotFoundError:
            raise StoreError(
                f"{name} in {self._target.label} is gone.",
                advice="`automask run` with --refresh-templates finds what repeats anew.",
                code="store-corrupt",
            ) from None
        except TRANSPORT as error:
            raise target_error(self._target.label, error) from None

    def _index(self) -> dict[str, Any]:
        if self._target.head() is None:
            raise StoreError(
                f"There is no sharded target in {self._target.label}.",
                advice="Give the --output of a run with --shard-images, or a store.",
                code="store-missing",
            )
        return read_index(self._target)


def read_index(target: ShardTarget) -> dict[str, Any]:
    """The index of a target's templates; without any where nothing was compared yet."""
    nothing: dict[str, Any] = {"applied": [], "waiting": []}
    try:
        index = json_or_none(target.folder.read(INDEX_NAME))
    except FileNotFoundError:
        return nothing
    return index if isinstance(index, dict) else nothing


def decisions_in(index: dict[str, Any]) -> dict[str, TemplateDecision]:
    """What people decided, by the id of a template; of templates too that a newer sample does not show."""
    try:
        return {str(id_): TemplateDecision(word) for id_, word in index.get("decisions", {}).items()}
    except (AttributeError, ValueError):
        return {}


def settle(index: dict[str, Any], decisions: Mapping[str, TemplateDecision]) -> None:
    """Make an index say what people decided, with each list in the order of names."""
    index.pop("decisions", None)
    if decisions:
        index["decisions"] = {id_: decision.value for id_, decision in sorted(decisions.items())}
    for entry in _entries(index).values():
        states: dict[str, TemplateState] = {}
        for file in (file for state in STATES for file in entry.get(state, ())):
            decision = decisions.get(id_of(file))
            states[file] = _DECIDED[decision] if decision is not None else state_before(file)
        for state in STATES:
            those = sorted(file for file, now in states.items() if now == state)
            if those or state != "forgotten":
                entry[state] = those
            else:  # an index without decisions is the one of a run that nobody touched
                entry.pop(state, None)


def _entries(index: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of an index by group; that of all other images is the index itself."""
    return {"": index, **index.get("groups", {})}


def listed(index: dict[str, Any]) -> list[TargetTemplate]:
    """The templates of an index, those that wait for a decision first."""
    found = [
        TargetTemplate(id_of(file), group, state, file)
        for group, entry in _entries(index).items()
        for state in STATES
        for file in entry.get(state, ())
    ]
    return sorted(found, key=lambda one: (one.state != "waiting", one.group, one.id))
