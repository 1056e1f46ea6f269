r"""Regular expressions for the little of English grammar that captions about masked things use.

`\ue000<number>\ue001` in a text stands for a quotation or a kept phrase, see `automask.captions.sentences`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

QUOTE = "\ue000\\d+\ue001"


def any_of(*alternatives: str) -> str:
    """Source that matches any of the given ones; a space stands for white space."""
    return "(?:" + "|".join(text.replace(" ", r"\s+") for line in alternatives for text in line.split("; ")) + ")"


DETERMINER = any_of(
    "a; an; the; some; any; no; his; her; its; their; this; that; these; those; one; two; three; four; five",
    "several; multiple; many; various; few; another; additional; more",
)
STOP = any_of(
    "with; without; and; or; of; in; on; at; by; is; are; was; were; has; have; had; that; which; who; while; to; from",
    "for; but; as; over; under; near; behind; above; below; against; into; onto; like; than; not; be; wearing; holding",
    "standing; sitting; looking; reads; says; shows; features; contains; includes; displays; sits; stands; holds",
    "wears; looks; walks; runs; lies",
)
"""Words that end a noun phrase: none of them is a modifier."""

_MODIFIER = rf"(?!{STOP}\b)(?!{DETERMINER}\b)[\w'\u2019/&-]+"
_ADJECTIVE = any_of(
    "large; small; big; tiny; thin; thick; bold; wide; narrow; faint; subtle; ornate; decorative; stylized; elegant",
    "simple; white; black; red; blue; green; yellow; gold; golden; silver; grey; gray; brown; orange; pink; purple",
    "dark; light; bright; transparent",
)
_PLACE_WORD = any_of(
    "top; bottom; upper; lower; left; right; left-hand; right-hand; center; centre; middle; far; very; corner; corners",
    "edge; edges; side; sides; half; third; part; portion; area; border; background; foreground; image; picture; photo",
    "photograph; artwork; illustration; painting; drawing; frame; scene; page; cover; panel; card; poster; screen; it",
    "him; her; them; above; below",
)
_PICTURE = any_of(
    "image; picture; photo; photograph; artwork; illustration; drawing; painting; scene; card; poster; page; cover",
    "composition; screenshot; comic; panel; render; sketch",
)
_HAS = any_of("has; have; had; contains?; includes?; features?; shows?; displays?; bears?; carries")
_WITH = any_of(
    "with; featuring; including; containing; bearing; showing; displaying; surrounded by; framed by; bordered by",
    "enclosed in; overlaid with; along with; together with; as well as",
    r"(?:and|that|which) (?:has|have|contains?|includes?|features?|bears?)",
)
_SURROUNDED = any_of("surrounded; framed; bordered; enclosed; covered; marked; overlaid")
_VERB = any_of(
    "is; are; was; were; reads?; says?; appears?; can be; could be; runs?; covers?; surrounds?; spells?; states?",
    "identifies; overlays?; fills?; sits?; occup(?:y|ies); frames; borders; lies?; stretch(?:es)?; obscures?",
    "encloses?; displays?; floats?",
)
_SAYING = any_of(
    "reads?; reading; saying; says; stating; states; spelling; that is; written; visible; overlaid; superimposed",
    "displayed; placed; located; printed; shown; seen; positioned; running; spelled; is; are",
)
_LETTERS = any_of("letters; lettering; fonts?; script; characters; ink; type; typeface; colou?rs?; style")
_MAKER = any_of("artist; photographer; creator; author; website; site; company; brand; agency; studio; publisher")
_GOES_ON = any_of(
    "and; but; while; as; is; are; stands?; sits?; shows?; depicts?; features?; portrays?; showing; depicting",
    "featuring; portraying",
)
_ALSO = any_of(r"\s*,\s*(?:and\s+|or\s+)?", r"\s+and\s+", r"\s+or\s+", r"\s+as\s+well\s+as\s+")

CLAUSE_JOINT = re.compile(
    rf"(\s*;\s*(?:and\s+)?|,\s+{any_of('and; but; while; whereas')}\s+|\s+{any_of('while; whereas')}\s+)", re.IGNORECASE
)
SECOND_OF_TWO = re.compile(rf"^([^,]*), and (?={DETERMINER}\b)", re.IGNORECASE)
"""What is left of a list of three: `a cat, and a dog`."""

LAST_OF_LIST = re.compile(rf"^(.*[^\s,]), ((?!{STOP}\b)(?!\w+ing\b)\S+(?:\s+(?!{STOP}\b)\S+){{0,3}})$", re.IGNORECASE)
"""A list that has lost its end: `a dog, a cat`."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Patterns for one set of nouns.

    Attributes:
        bare: Nothing but masked things, with or without `with`.
        statement: `There is a watermark`, `The image has a border and a logo`.
        subject: `The text reads ...`, `A signature is visible ...`.
        with_and_more: `with a watermark and` in front of something else; group 1 is what stays.
        with_only: `with a watermark in the corner` where nothing else follows that it could govern.
        listed: `, a logo` or `and a logo` at the end of something.
        leading: `Text over` in front of `a photo of ...`.
    """

    bare: re.Pattern[str]
    statement: re.Pattern[str]
    subject: re.Pattern[str]
    with_and_more: re.Pattern[str]
    with_only: re.Pattern[str]
    listed: re.Pattern[str]
    leading: re.Pattern[str]


@functools.lru_cache(maxsize=64)
def grammar_of(nouns: str) -> Grammar:
    """Patterns for phrases whose head matches the given source."""
    place = _place()
    item = (
        rf"(?:{DETERMINER}\s+)*(?:{_MODIFIER}\s+|{_ADJECTIVE},\s+){{0,4}}?(?:{nouns})\b(?!['\u2019]s?\s+\w)"
        rf"{_attributes(place)}"
    )
    inside = rf"\s+{any_of('with; in; inside; within; on; above; below; under; around; over')}\s+"
    items = rf"{item}(?:(?:{_ALSO}|{inside}){item})*"
    first = (
        rf"(?:{any_of('also; additionally; finally; moreover; furthermore')},?\s+)?"
        rf"(?:{any_of('in; at; on; along; around; across; near')}\s+{place}(?:\s+of\s+{place})*\s*,?\s+)?"
    )
    there = r"there(?:\s+(?:is|are|appears?\s+to\s+be)|['\u2019]s)(?:\s+also)?"
    picture = rf"(?:{any_of('the; this; entire; whole')}\s+)*{_PICTURE}\s+(?:also\s+)?"
    surrounded = rf"is\s+(?:also\s+)?{_SURROUNDED}\s+{any_of('by; with; in')}"
    owner = rf"{there}|{picture}(?:{_HAS}|{surrounded})|it\s+(?:also\s+)?{_HAS}|{place}\s+{_HAS}"
    is_alone = (
        rf"(?=\s*(?:$|[,;:)]|\s{_GOES_ON}\b"
        rf"|\s{any_of('in; on; at; against; near; behind; under; over; beside')}\s+{DETERMINER}\b))"
    )
    not_passive = r"(?<!\sis)(?<!\sare)(?<!\swas)(?<!\swere)"
    of_picture = rf"{DETERMINER}\s+(?:[\w-]+\s+)?{_PICTURE}\b"
    return Grammar(
        bare=_compiled(rf"(?:with\s+)?{items}"),
        statement=_compiled(rf"{first}(?:{owner})\s+{items}"),
        subject=_compiled(rf"{first}{items}\s+{_VERB}\b(?!.*\b(?:and|while|but)\s+{DETERMINER}\b).*"),
        with_and_more=_compiled(rf"(\b{_WITH}\s+){items}{_ALSO}(?={DETERMINER}\s)"),
        with_only=_compiled(rf"{not_passive}\s*,?\s+{_WITH}\s+{items}{is_alone}"),
        listed=_compiled(rf"{_ALSO}{item}(?=\s*(?:$|[,;]))"),
        leading=_compiled(rf"^{items}\s+{any_of('on; over; across; above; below; in')}\s+(?={of_picture})"),
    )


def _place() -> str:
    """`the lower right corner`, `both sides`."""
    return rf"(?:(?:{DETERMINER}|all|both|each|every|of)\s+)*{_PLACE_WORD}(?:[\s-]+{_PLACE_WORD})*"


def _attributes(place: str) -> str:
    """What may follow a noun and belongs to it: a quotation, a place, `in white letters`, `of the artist`."""
    where = any_of(
        "in; at; on; along; around; across; near; over; under; above; below; from; towards?; within; throughout"
    )
    places = rf"\s+{where}\s+{place}(?:\s+{any_of('of; in; and')}\s+{place})*"
    worn = rf"\s+{any_of('on; across')}\s+{any_of('his; her; its; their')}\s+[\w-]+"
    says = rf",?\s+(?:that\s+|which\s+)?{_SAYING}(?:\s+{any_of('out; clearly; faintly')})?"
    look = rf"\s+{any_of('in; of')}\s+(?:[\w-]+\s+){{0,3}}{_LETTERS}"
    maker = rf"\s+{any_of('for; of; from; by')}\s+(?:the\s+)?(?:{QUOTE}|(?:[\w-]+\s+)?{_MAKER})"
    return rf"(?:,?\s*:?\s*{QUOTE}|{places}|{worn}|{says}|{look}|{maker}|\s+and\s+{QUOTE})*"


def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE)
