"""All kinds of framed and unframed pictures, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from automask_training.synth.layout.borders import BORDERS
from automask_training.synth.layout.card_layouts import grammar_card
from automask_training.synth.layout.cards import CARD_KINDS
from automask_training.synth.layout.framed import Framed
from automask_training.synth.layout.isolated import ISOLATED
from automask_training.synth.layout.laid import LAID
from automask_training.synth.layout.mounts import MOUNTS
from automask_training.synth.layout.ovals import OVALS
from automask_training.synth.layout.pages import comic_page, drawn_page
from automask_training.synth.layout.paints import Pixels, Rng
from automask_training.synth.layout.pictures import PictureShelf
from automask_training.synth.layout.plain_pictures import PLAIN, as_it_is, unframed
from automask_training.synth.layout.prints import PRINTS, sheet_on_table
from automask_training.synth.layout.scenes import UNFRAMED
from automask_training.synth.layout.screens import SCREENS
from automask_training.synth.layout.shop import SHOP
from automask_training.synth.layout.strips import STRIPS

SIMPLE_KINDS: dict[str, Callable[[Pixels, Rng], Framed]] = {**BORDERS, **STRIPS, "comic_page": comic_page}
"""Frames of one idea each; what `edges` is tested on."""


@dataclass(frozen=True, kw_only=True)
class LayoutShares:
    """How often each family is drawn; weights, half of them of pictures without a frame.

    Attributes:
        border: Borders, bars, mats and windows.
        strip: Captions, veils and rows of buttons along one edge.
        card: The cards that `edges` is tested on.
        grammar: Cards of a random layout.
        mount: Framed originals, slides, posters, screens.
        print: Prints and drawings with the margins of their sheets.
        laid: Slides, windows of programs, panels of shops, title plates, lone corners.
        oval: Oval, round and arched windows, portraits that melt into paper.
        isolated: Things on a plain ground.
        shop: Telephones, screens and banners of shops.
        screen: Screens that are things in a scene, handheld players.
        table: Maps and letters that lie on a table.
        page: Pages of panels.
        scene: Rooms, horizons, walls.
        plain: Drawings, charts, maps, skies, stills.
        picture: Pictures as they are.
    """

    border: float = 0.13
    strip: float = 0.03
    card: float = 0.06
    grammar: float = 0.2
    mount: float = 0.1
    print: float = 0.08
    laid: float = 0.08
    oval: float = 0.03
    isolated: float = 0.12
    shop: float = 0.08
    screen: float = 0.08
    table: float = 0.03
    page: float = 0.06
    scene: float = 0.05
    plain: float = 0.11
    picture: float = 0.1


_FRAMED_FAMILIES = {
    "border": BORDERS,
    "strip": STRIPS,
    "card": CARD_KINDS,
    "mount": MOUNTS,
    "print": PRINTS,
    "laid": LAID,
    "oval": OVALS,
}
_SHELF_FAMILIES: dict[str, dict[str, Callable[[PictureShelf, Rng], Framed]]] = {
    "isolated": ISOLATED,
    "shop": SHOP,
    "screen": SCREENS,
    "page": {"drawn_page": drawn_page},
    "plain": PLAIN,
}


def draw(shelf: PictureShelf, rng: Rng, shares: LayoutShares) -> tuple[str, Framed]:
    """A picture of any kind, and the name of the kind."""
    names = [each.name for each in fields(shares)]
    weights = np.array([getattr(shares, name) for name in names])
    family = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    if family == "picture":
        return family, as_it_is(shelf, rng)
    if family == "grammar":
        return family, grammar_card(_content(shelf, rng), rng)
    if family == "table":
        return family, sheet_on_table(_content(shelf, rng), rng)
    if family == "scene":
        name = _one_of(list(UNFRAMED), rng)
        return name, unframed(UNFRAMED[name](rng))
    if family in _SHELF_FAMILIES:
        kinds = _SHELF_FAMILIES[family]
        name = "isolated" if family == "isolated" and rng.random() < 0.5 else _one_of(list(kinds), rng)
        return name, kinds[name](shelf, rng)
    name = _one_of(list(_FRAMED_FAMILIES[family]), rng)
    return name, _FRAMED_FAMILIES[family][name](_content(shelf, rng), rng)


def _one_of(names: list[str], rng: Rng) -> str:
    return names[int(rng.integers(len(names)))]


def _content(shelf: PictureShelf, rng: Rng) -> Pixels:
    """What a frame is put around: a picture, sometimes something alone on a ground, a drawing or a page."""
    which = rng.random()
    if which < 0.14:
        return ISOLATED["isolated"](shelf, rng).pixels
    if which < 0.24:
        return PLAIN[_one_of(["faded_drawing", "flat_drawing", "natural_frame", "night_sky", "dark_rim"], rng)](
            shelf, rng
        ).pixels
    return as_it_is(shelf, rng).pixels
