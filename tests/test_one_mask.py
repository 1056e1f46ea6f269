"""The page, the file, `show` and every export are one mask, to the byte."""

import numpy as np
import pytest
from page_drawing import page_levels

from automask.config import PipelineConfig
from automask.drawing import draw
from automask.fuse import CorrectionLayers
from automask.geometry import Box
from automask.kinds import region_keys
from automask.types import Fingerprints, Kind, MaskResult, Patch, Region, Verdict

pytest.importorskip("fastapi", reason="needs the extra api")


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
        kind = KINDS[rng.integers(5)]
        region = Region(kind, box, round(float(rng.random()), 3), source, attributes=attributes)
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
        kinds={key: KINDS[rng.integers(5)] for key in keys if rng.random() < 0.3},
    )


def some_config(rng):
    policy = {
        kind.value: {
            "action": str(rng.choice(["mask", "mask", "review", "keep"])),
            "weight": float(rng.choice([0.0, 0.0, 0.1, 0.3, 0.30001, 0.5, 1.0])),
            "accept": float(rng.choice([0.3, 0.5, 0.8])),
        }
        for kind in Kind
    }
    render = {
        "training_px": int(rng.choice([128, 512, 1024])),
        "cell_px": int(rng.choice([8, 16])),
        "growth_cells": float(rng.choice([0, 0.3, 1, 2.5])),
        "fill_holes_cells": float(rng.choice([0, 1, 2, 5])),
    }
    return PipelineConfig.model_validate({"policy": policy, "render": render})


def described(source, result, layers):
    """What the page is told of a result that lies in no store."""
    from automask_api.review import documents

    config = source
    return {
        "id": result.image_id,
        "width_px": result.width_px,
        "height_px": result.height_px,
        "regions": [one.model_dump(mode="json") for one in documents.region_documents(result, config, layers)],
        "grid": documents.GridDocument.of(result.width_px, result.height_px, config).model_dump(mode="json"),
        "weights": {kind.value: weight for kind, weight in documents.kind_weights(config).items()},
        "levels": {kind.value: level for kind, level in documents.kind_levels(config).items()},
        "correction": (
            {"layers": documents.LayersDocument.of(layers).model_dump(mode="json")} if layers is not None else None
        ),
    }


def test_the_page_draws_what_python_draws(tmp_path):
    rng = np.random.default_rng(15)
    cases = []
    for _ in range(150):
        result, config = some_result(rng), some_config(rng)
        cases.append((result, config, some_layers(rng, result) if rng.random() < 0.7 else None))
    drawn = page_levels([described(config, result, layers) for result, config, layers in cases], tmp_path)
    for number, ((result, config, layers), levels) in enumerate(zip(cases, drawn, strict=True)):
        wanted = draw(result, config, layers).mask.levels
        wrong = np.argwhere(levels != wanted)
        assert not len(wrong), (number, wrong[:3], levels[tuple(wrong[0])], wanted[tuple(wrong[0])], config, layers)
