"""Results and corrections of every kind, and a set in which a mark repeats."""

import dataclasses

import numpy as np
from PIL import Image
from review_cases import CONFIG, EXAMPLES, begun, put_image
from store_cases import make_template

from automask.config import PipelineConfig
from automask.mask.rendering import CorrectionLayers
from automask.run.redraw import redraw_store
from automask.values.geometry import Box
from automask.values.kinds import region_keys
from automask.values.templates import TemplateOrigin
from automask.values.types import Fingerprints, Kind, MaskResult, Patch, Region, Verdict

KINDS = tuple(Kind)
SOURCES = ("rapidocr", "edges", "ink", "tiling", "overlay")


def some_artefact(rng, box):
    """Full, strokes, a ring with a hole, or specks."""
    rows, columns = np.indices(box.shape)
    shapes = (
        np.ones(box.shape, bool),
        (rows + columns) % int(rng.integers(2, 30)) == 0,
        (np.minimum(rows, rows[::-1]) < 2) | (np.minimum(columns, columns[:, ::-1]) < 2),
        rng.random(box.shape) < rng.choice([0.003, 0.02, 0.5]),
    )
    artefact = shapes[rng.integers(len(shapes))]
    artefact[0, 0] = True
    return artefact


def some_box(rng, width_px, height_px):
    x0, y0 = int(rng.integers(0, width_px - 1)), int(rng.integers(0, height_px - 1))
    return Box(x0, y0, int(rng.integers(x0 + 1, width_px + 1)), int(rng.integers(y0 + 1, height_px + 1)))


def some_result(rng, name="a.png"):
    width_px, height_px = (int(side) for side in rng.integers(2, 400, 2))
    boxes = [some_box(rng, width_px, height_px) for _ in range(3)]
    pairs = []
    for _ in range(rng.integers(0, 9)):
        box = boxes[rng.integers(3)] if rng.random() < 0.6 else some_box(rng, width_px, height_px)
        source = str(rng.choice(SOURCES))
        is_template = source == "overlay"
        attributes = {"template": "t", "score": float(rng.random())} if is_template else {}
        kind = KINDS[rng.integers(len(KINDS))]
        confidence, proposed = round(float(rng.random()), 3), bool(rng.random() < 0.3)
        region = Region(kind, box, confidence, source, attributes=attributes, proposed=proposed)
        pairs.append((region, Patch(box, some_artefact(rng, box), 1.0, "polygon")))
    return MaskResult(
        image_id=name,
        width_px=width_px,
        height_px=height_px,
        regions=tuple(region for region, _ in pairs),
        patches=tuple(patch for _, patch in pairs),
        confidence=1.0,
        verdict=Verdict.AUTO,
        issues=(),
        fingerprints=Fingerprints("d", "r", "f"),
    )


def some_layers(rng, result):
    """What a person may have done, pixels of several layers at once included."""
    shape = (result.height_px, result.width_px)

    def pixels():
        whole = np.zeros(shape, bool)
        for _ in range(rng.integers(1, 4)):
            box = some_box(rng, result.width_px, result.height_px)
            whole[box.slices] |= some_artefact(rng, box)
        return whole

    weight_set = pixels() if rng.random() < 0.4 else None
    levels = rng.integers(0, 256, shape).astype(np.uint8)
    keys = region_keys(result.regions)
    return CorrectionLayers(
        replaces=bool(rng.random() < 0.2),
        add=pixels() if rng.random() < 0.6 else None,
        remove=pixels() if rng.random() < 0.6 else None,
        weight_set=weight_set,
        weight_levels=np.where(weight_set, levels, 0).astype(np.uint8) if weight_set is not None else None,
        already_grown=bool(rng.random() < 0.3),
        kinds={key: KINDS[rng.integers(len(KINDS))] for key in keys if rng.random() < 0.3},
    )


WIDTH_PX, HEIGHT_PX = 420, 300
POLICY = {"watermark": {"weight": 0.3}, "overlay": {"weight": 0.0}, "custom": {"action": "keep"}}
SETTINGS = CONFIG.model_copy(update={"policy": PipelineConfig.model_validate({"policy": POLICY}).policy})


def found(source, kind, box, confidence, *, artefact=None, **attributes):
    box = Box(*box)
    region = Region(kind, box, confidence, source, attributes=attributes)
    return region, Patch(box, np.ones(box.shape, bool) if artefact is None else artefact, 1.0, "polygon")


def ring(height_px, width_px):
    artefact = np.ones((height_px, width_px), bool)
    artefact[8:-8, 8:-8] = False
    artefact[height_px // 2, :] = True
    return artefact


def pairs_of(name):
    """A text that a mark cuts; two proposals that are one thing; a hole; kinds of several weights on each other."""
    text = found("rapidocr", "text", (40, 200, 260, 260), 0.9, text="SAMPLE")
    if name == "cut.png":
        return [text, found("rapidocr", "text", (300, 20, 400, 50), 0.8, text="above")]
    if name == "proposed.png":
        return [
            found("rapidocr", "text", (30, 30, 150, 80), 0.4),
            found("ink", "watermark", (32, 28, 152, 82), 0.4),
            found("edges", "frame", (300, 100, 400, 280), 0.3),
        ]
    if name == "holes.png":
        return [
            found("edges", "frame", (100, 60, 144, 100), 0.9, artefact=ring(40, 44)),
            found(
                "ink",
                "watermark",
                (120, 70, 330, 190),
                0.8,
                artefact=some_artefact(np.random.default_rng(4), Box(120, 70, 330, 190)),
            ),
        ]
    return [text, found("ink", "watermark", (150, 180, 380, 240), 0.9), found("tiling", "custom", (0, 0, 60, 60), 0.9)]


NAMES = ("cut.png", "holes.png", "kinds.png", "proposed.png")
CUTS = {"cut.png": (60, 190, 330, 290), "kinds.png": (300, 220, 420, 300)}


def make_set(folder):
    """A set in which a mark repeats; every image has a correction, too, but the one that a proposal is on."""
    images, root = folder / "images", folder / "store"
    images.mkdir()
    template = dataclasses.replace(make_template(), needs_review=False, confidence=0.95)
    with Image.open(EXAMPLES / "photos" / "coffee.jpg") as opened:
        picture = opened.convert("RGB").resize((WIDTH_PX, HEIGHT_PX))
    with begun(root, images, SETTINGS) as store:
        for number, name in enumerate(NAMES):
            picture.putpixel((0, 0), (number, 0, 0))
            picture.save(images / name)
            put_image(store, images, name, pairs_of(name), confidence=0.5, config=SETTINGS)
        store.templates.replace([template], origin=TemplateOrigin.ESTIMATED, sample_fingerprint="sample")
        for name, cut in CUTS.items():
            box = Box(*cut)
            strokes = some_artefact(np.random.default_rng(9), box)
            region = Region(Kind.OVERLAY, box, 0.95, "overlay", artefact=strokes, attributes={"template": template.id})
            content = store.lookup(name).content_sha256
            store.templates.put_matches(name, [region], content_sha256=content, fingerprint="search")
        rng = np.random.default_rng(2)
        for name in NAMES:
            row = store.lookup(name)
            if name != "proposed.png":
                layers = dataclasses.replace(some_layers(rng, store.result(name)), replaces=False)
                store.put_correction(row.content_sha256, layers, author="ann", tool="review", based_on=None)
    redraw_store(root, SETTINGS)
    return root
