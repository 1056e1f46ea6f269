"""Natural sentences: remove the phrase, clause or sentence about a masked thing and keep the grammar of the rest.

Careful rather than complete: where a sentence says something else in the same breath ("a watermark and a cat are
visible"), it stays as it is.
"""

from __future__ import annotations

import re

from automask.captions.grammar import CLAUSE_JOINT, LAST_OF_LIST, SECOND_OF_TWO, Grammar, grammar_of
from automask.captions.words import Words

_QUOTATION = re.compile(
    r"\"[^\"\n]*\"|\u201c[^\u201d\n]*\u201d|\u2018[^\u2019\n]*\u2019|\u300c[^\u300d\n]*\u300d|\u300e[^\u300f\n]*\u300f"
    r"|(?<!\w)'[^'\n]*'(?!\w)"
)
_OUR_MARKS = re.compile("[\ue000-\ue003]")
"""Private-use characters that stand for hidden quotations while a text is worked on."""
_SENTENCE_GAP = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")


def without_phrases(text: str, words: Words) -> str:
    """Remove what a caption says about masked things.

    Args:
        text: One or more sentences.
        words: What to look for.

    Returns:
        The text with its white space between sentences kept; empty where nothing else was said.
    """
    if not words.nouns or _OUR_MARKS.search(text):
        return text
    grammar = grammar_of(words.nouns)
    quotes: list[str] = []

    def hide(match: re.Match[str]) -> str:
        quotes.append(match[0])
        ends = match[0][1:-1].rstrip()[-1:] in (".", "!", "?")
        return f"\ue000{len(quotes) - 1}\ue001" + ("\ue002" if ends else "")

    hidden = words.phrases.sub(hide, text) if words.phrases is not None else text
    hidden = _QUOTATION.sub(hide, hidden)
    hidden = re.sub("\ue002(?=\\s+[A-Z]|\\s*$)", "\ue003.", hidden).replace("\ue002", "")  # a quote may end a sentence
    pieces = _split_sentences(hidden)
    cleaned = [(_sentence(sentence, grammar), gap) for sentence, gap in pieces]
    out = "".join(sentence + gap for sentence, gap in cleaned if sentence)
    if [sentence for sentence, _ in cleaned] == [sentence for sentence, _ in pieces]:
        return text
    out = out.replace("\ue003.", "")
    while "\ue000" in out:  # a kept phrase may stand inside of a quotation
        out = re.sub("\ue000(\\d+)\ue001", lambda match: quotes[int(match[1])], out)
    return out.strip()


def _split_sentences(text: str) -> list[tuple[str, str]]:
    """Sentences, each with the white space behind it."""
    pieces, start = [], 0
    for match in _SENTENCE_GAP.finditer(text):
        pieces.append((text[start : match.start()], match[0]))
        start = match.end()
    return [*pieces, (text[start:], "")]


def _sentence(sentence: str, grammar: Grammar) -> str:
    body = sentence.strip()
    match = re.search("\ue003?[.!?]+$", body)
    end = match[0] if match is not None else ""
    core = body[: len(body) - len(end)]
    parts = CLAUSE_JOINT.split(core)
    kept: list[str] = []
    lost_an_item = False
    for at in range(0, len(parts), 2):
        clause = parts[at]
        joint = parts[at - 1] if at else ""
        if clause.strip() and _is_about(clause, grammar):
            if grammar.bare.fullmatch(clause.strip()) and kept:
                kept[-1] = LAST_OF_LIST.sub(r"\1 and \2", kept[-1])
            continue
        cleaned = _without_with(clause, grammar)
        lost_an_item = lost_an_item or (cleaned != clause and grammar.listed.search(clause) is not None)
        kept += [joint, cleaned] if kept else [cleaned]
    out = "".join(kept).strip(" ,;")
    if lost_an_item:
        out = SECOND_OF_TWO.sub(r"\1 and ", out)
    if out == core.strip():
        return sentence
    if not out:
        return ""
    if body[:1].isupper():
        out = out[:1].upper() + out[1:]
    return out + end


def _is_about(clause: str, grammar: Grammar) -> bool:
    clause = clause.strip(" ,")
    return any(pattern.fullmatch(clause) for pattern in (grammar.bare, grammar.statement, grammar.subject))


def _without_with(clause: str, grammar: Grammar) -> str:
    before = None
    out = clause
    while out != before:
        before = out
        out = grammar.with_and_more.sub(lambda match: match[1], out)
        out = grammar.with_only.sub("", out)
        last = grammar.listed.search(out)
        if last is not None:
            was_last = last.end() == len(out) and " and " in last[0][:6]
            out = out[: last.start()] + out[last.end() :]
            out = LAST_OF_LIST.sub(r"\1 and \2", out) if was_last else SECOND_OF_TWO.sub(r"\1 and ", out)
        out = grammar.leading.sub("", out)
    return out
