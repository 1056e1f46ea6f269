"""Sharded targets whose images are in a store, and what a person does there."""

import json

import numpy as np
from shard_cases import (
    image_folder,
    masks_in,
    rows_in,
    run_unsure,
)

from automask.config import PipelineConfig
from automask.files.png import read_mask
from automask.mask.rendering import CorrectionLayers
from automask.run.redraw import redraw_image, stored_config
from automask.run.shards.gathering import gather
from automask.store import Store

WIDTH_PX, HEIGHT_PX = 96, 64
CORNER = (slice(50, 64), slice(80, 96))
GROWN = PipelineConfig(dataset_detectors=(), review={"audit": 1.0}, render={"growth_cells": 3})


def painted(place=CORNER):
    """Layers with one rectangle added."""
    add = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
    add[place] = True
    return CorrectionLayers(add=add)


def act(root, image, *, layers=None, decision=None, withdraw=False, author="ann"):
    """What a person does with one image, by its name in the target."""
    with Store.open(root) as store:
        row = row_of(root, image)
        newest = store.correction(row.content_sha256)
        based_on = newest.revision if newest is not None else None
        if layers is not None:
            store.put_correction(row.content_sha256, layers, author=author, tool="review", based_on=based_on)
        if withdraw:
            store.withdraw_correction(row.content_sha256, author=author, tool="review", based_on=based_on)
        if layers is not None or withdraw:
            redraw_image(store, store.lookup(row.image_id), stored_config(root))
        if decision != "keep" and (decision is not None or not (layers or withdraw)):
            store.decide(row.content_sha256, decision, author=author)


def row_of(root, image):
    """The row of an image in a store, by its name in the target."""
    for path in (root / "gathered").glob("*.json"):
        for one in json.loads(path.read_text())["images"]:
            if one["image"] == image:
                with Store.open(root, read_only=True) as store:
                    return store.lookup(one["image_id"])
    raise KeyError(image)


def mask_in_store(root, image):
    return (root / "masks" / row_of(root, image).mask_name).read_bytes()


def mask_in_target(target, image):
    return masks_in(target)[rows_in(target)[image]["mask"]]


def is_masked(target, image, place=CORNER):
    """Whether the place is masked in the target's mask of an image."""
    return not read_mask(mask_in_target(target, image))[place].any()


def gathered_target(root):
    """A target of six images in two shards, all of them in the store beside it."""
    run_unsure(image_folder(root / "set", 6), root / "target")
    gather(str(root / "target"), root / "store", doubtful=6)
    return root / "target"
