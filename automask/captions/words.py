"""The words for masked things: our list and the user's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import Field, ValidationError

from automask.config import FrozenModel, config_error
from automask.errors import ConfigError
from automask.values.types import Kind


class KindWords(FrozenModel):
    """What one kind of thing is called."""

    tags: tuple[str, ...] = Field((), description="Whole tags, `*` for any words.")
    nouns: tuple[str, ...] = Field((), description="Heads of phrases in sentences.")
    keep: tuple[str, ...] = Field((), description="Tags and phrases that stay although one of the others covers them.")


class WordsFile(FrozenModel):
    """One file of words."""

    text: KindWords = KindWords()
    frame: KindWords = KindWords()
    watermark: KindWords = KindWords()
    overlay: KindWords = KindWords()
    custom: KindWords = KindWords()
    ground: KindWords = KindWords()

    def of(self, kind: Kind) -> KindWords:
        """The words for one kind."""
        words: KindWords = getattr(self, kind.value)
        return words


@dataclass(frozen=True, slots=True)
class Words:
    """What is looked for in the caption of one image.

    Attributes:
        tags: Matches a whole tag as `tag_key` writes it, or None where there is nothing to look for.
        kept: Tags that stay.
        nouns: Matches a head of a phrase, as the source of a regular expression; empty without any.
        phrases: Matches what is never taken for such a head, or None.
    """

    tags: re.Pattern[str] | None
    kept: frozenset[str]
    nouns: str
    phrases: re.Pattern[str] | None

    def removes_tag(self, tag: str) -> bool:
        """Whether a tag goes, however it is written."""
        key = tag_key(tag)
        return self.tags is not None and key not in self.kept and self.tags.fullmatch(key) is not None


@dataclass(frozen=True, slots=True)
class WordLists:
    """All files, ours first; a later file adds to the earlier ones."""

    files: tuple[WordsFile, ...]

    def of(self, kinds: Collection[Kind]) -> Words:
        """The words for the kinds that are masked in one image."""
        entries = [file.of(kind) for file in self.files for kind in sorted(kinds)]
        tags = sorted({tag_key(tag) for entry in entries for tag in entry.tags})
        nouns = sorted(
            {noun.casefold() for entry in entries for noun in entry.nouns}, key=lambda noun: (-len(noun), noun)
        )
        kept = {tag_key(tag) for entry in entries for tag in entry.keep}
        return Words(
            tags=re.compile("|".join(map(_tag_pattern, tags))) if tags else None,
            kept=frozenset(kept),
            nouns="|".join(map(_noun_pattern, nouns)),
            phrases=re.compile(rf"\b(?:{'|'.join(map(_noun_pattern, sorted(kept)))})\b", re.IGNORECASE)
            if kept
            else None,
        )


def load_words(paths: Sequence[Path] = ()) -> WordLists:
    """Our list, and files that add to it.

    Raises:
        ConfigError: A file cannot be read, is not TOML, or has unknown keys.
    """
    ours = (files("automask.captions") / "words.toml").read_text(encoding="utf-8")
    lists = [WordsFile.model_validate(tomllib.loads(ours))]
    for path in paths:
        try:
            lists.append(WordsFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))))
        except OSError as error:
            raise ConfigError(f"Cannot read {path}: {error.strerror}.", advice="Check --words.") from error
        except ValidationError as error:
            raise config_error(error, section=path.name) from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise ConfigError(f"{path} is not valid TOML: {error}.", advice="Correct that line.") from error
    return WordLists(tuple(lists))


def tag_key(tag: str) -> str:
    """A tag in the form that is compared: lower case, spaces for underscores, no escapes."""
    return " ".join(tag.replace("\\(", "(").replace("\\)", ")").replace("_", " ").casefold().split())


def _tag_pattern(tag: str) -> str:
    word = r"(?!(?:with|without|no|and|of|on|in)\b)\S+"
    return rf"{word}(?: {word}){{0,2}}".join(map(re.escape, tag.split("*")))


def _noun_pattern(noun: str) -> str:
    return re.escape(noun).replace(r"\ ", r"[\s-]+") + "(?:e?s)?"


def kinds_with_words(kinds: Collection[Kind], weights: Mapping[Kind, float]) -> frozenset[Kind]:
    """Kinds that are hidden well enough to leave the caption: masks of half weight still teach half of it."""
    return frozenset(kind for kind in kinds if weights[kind] < 0.5)
