"""What a trainer's configuration says about masks, and which of its lines are wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from automask.check.config_base import ConfigFacts, ConfigRules, area_side, is_as_needed, is_true, least_side
from automask.check.findings import Code
from automask.check.settings import Document, Node, read_document, shown
from automask.trainers.conventions import Trainer

_CELLS_OF_MODELS = ((re.compile(r"hunyuan[-_ ]?image|(?:^|[^a-z])sana(?:[^a-z]|$)", re.IGNORECASE), 32),)
"""Models with other cells than 8 px (sd-scripts strategy_hunyuan_image.py:192, OneTrainer SanaBaseDataLoader.py:37)."""

_KEEPS_COLOURS = ("bicubic", "bilinear", "linear", "cubic", "area", "nearest")
"""Ways of resizing in sd-scripts that do not multiply colours with alpha: those of OpenCV."""

_MODEL_KEYS = (
    "model_type",
    "model_family",
    "arch",
    "type",
    "model",
    "name_or_path",
    "pretrained_model_name_or_path",
    "base_model_name",
    "network_module",
    "dit",
    "diffusers_path",
    "transformer_path",
)


def read_config(paths: Sequence[Path], trainer: Trainer, root: Path) -> ConfigFacts:
    """Read a trainer's configuration files and hold them against what masks need.

    Args:
        paths: The files; files that they name are read too where the trainer keeps the dataset in one of its own.
        trainer: Whose.
        root: The dataset that is checked.

    Raises:
        ConfigError: A file cannot be read or parsed.
    """
    documents = [read_document(path) for path in paths]
    for document in list(documents):
        for key in ("dataset_config", "dataset", "data_backend_config", "--data_backend_config"):
            named = document.root.text(key)
            if named and Path(named).suffix.lower() in (".toml", ".json") and document.resolve(named).is_file():
                documents.append(read_document(document.resolve(named)))
    facts = ConfigFacts()
    rules = ConfigRules(trainer, root, facts)
    for document in documents:
        if document.path.suffix.lower() not in trainer.configs:
            rules.wrong(
                document,
                None,
                f"{trainer.title} does not read {document.path.suffix} files: it stops at the first line.",
                f"Write it as {' or '.join(trainer.configs)}; automask export prints what it has to say.",
                code=Code.CONFIG_FORMAT,
            )
        RULES[trainer.name](rules, document)
        _model(rules, document)
    return facts


def _kohya(rules: ConfigRules, document: Document) -> None:
    root = document.root
    datasets = root.list_at("datasets")
    if not datasets:
        _kohya_arguments(rules, document)
        return
    general = root.get("general")
    is_alpha = rules.trainer.name == "kohya-alpha"
    subsets = [subset for dataset in datasets for subset in dataset.list_at("subsets")]
    own = rules.chosen(document, subsets, "image_dir")
    for dataset in datasets:
        rules.resolution(area_side(dataset.get("resolution") or (general.get("resolution") if general else None)))
        levels = [level for level in (general, dataset) if level is not None]
        for level in levels:
            rules.key(document, level, "random_crop")
        inside = dataset.list_at("subsets")
        for subset in inside:
            rules.key(document, subset, "random_crop")
            if is_alpha:
                if not any(is_true(level.get("alpha_mask")) for level in (*levels, subset)):
                    rules.key(document, subset, "alpha_mask", required=True)
                _kohya_resize(rules, document, [subset, *reversed(levels)])
                if subset.get("conditioning_data_dir") is not None:
                    line = subset.mapping["conditioning_data_dir"].line
                    rules.wrong(document, line, "conditioning_data_dir wins over the alpha channel.", "Remove it.")
            elif any(other in own for other in inside):
                why = "every subset of a dataset needs one"
                rules.masks(document, subset, "conditioning_data_dir", images_key="image_dir", why_needed=why)
            if subset.get("metadata_file") is not None and not is_alpha:
                line = subset.mapping["metadata_file"].line
                rules.wrong(
                    document,
                    line,
                    "metadata_file makes this a fine-tuning subset, which takes no mask folder.",
                    "Use image_dir with caption files instead.",
                    code=Code.MODEL_UNSUPPORTED,
                )


def _kohya_resize(rules: ConfigRules, document: Document, levels: list[Node]) -> None:
    """Of the subset, its dataset and the file, the first that says how images are resized counts."""
    said = next((level for level in levels if level.get("resize_interpolation") is not None), levels[0])
    node = said.get("resize_interpolation")
    if node is None or node.scalar not in _KEEPS_COLOURS:
        rules.key(document, said, "resize_interpolation", required=True, severity="warning")


def _kohya_arguments(rules: ConfigRules, document: Document) -> None:
    key = "alpha_mask" if rules.trainer.name == "kohya-alpha" else "masked_loss"
    found = list(document.root.find(key))
    if not found:
        rules.wrong(document, None, f"{key} is not set: {rules.setting(key).why}.", f"Set {key} to true.")
    for name in (key, "random_crop"):
        for node in document.root.find(name):
            if not is_as_needed(node, rules.setting(name)):
                why = rules.setting(name).why
                fix = f"Set {name} to {shown(rules.setting(name).value)}."
                rules.wrong(document, node.line, f"{name} is {shown(node.scalar)}: {why}.", fix)
    for name in ("resolution", "max_resolution"):
        for node in document.root.find(name):
            rules.resolution(area_side(node))


def _onetrainer(rules: ConfigRules, document: Document) -> None:
    root = document.root
    for key in ("masked_training", "unmasked_probability", "unmasked_weight"):
        rules.key(document, root, key, required=True)
    floor = root.get("unmasked_weight")
    if floor is not None and isinstance(floor.scalar, (int, float)):
        rules.facts.floor = float(floor.scalar)
    model = root.get("model_type")
    if model is not None and re.search(r"INPAINT|FILL|DEPTH", str(model.scalar)):
        rules.wrong(
            document,
            model.line,
            f"{model.scalar} is an inpainting-type model, for which OneTrainer switches masked loss off.",
            "Train another model type, or without masks.",
            code=Code.MODEL_UNSUPPORTED,
        )
    rules.resolution(least_side(root.get("resolution")))
    rules.cache(document, root, "cache_dir")


def _ai_toolkit(rules: ConfigRules, document: Document) -> None:
    datasets = [dataset for group in document.root.find("datasets") for dataset in group.items]
    if not datasets:
        rules.wrong(document, None, "There is no dataset in it.", "Give the configuration of the job.")
    for dataset in rules.chosen(document, datasets, "folder_path"):
        alpha = dataset.get("alpha_mask")
        rules.facts.uses_alpha = rules.facts.uses_alpha or is_true(alpha)
        for key in ("mask_min_value", "invert_mask", "alpha_mask", "buckets"):
            rules.key(document, dataset, key)
        if not is_true(alpha):
            why = rules.setting("mask_path").why
            rules.masks(document, dataset, "mask_path", images_key="folder_path", why_needed=why)
        rules.facts.inverted = rules.facts.inverted or is_true(dataset.get("invert_mask"))
        floor = dataset.get("mask_min_value")
        if floor is not None and isinstance(floor.scalar, (int, float)):
            rules.facts.floor = float(floor.scalar)
        rules.resolution(least_side(dataset.get("resolution")))


def _simpletuner(rules: ConfigRules, document: Document) -> None:
    backends = document.root.items
    if not backends:  # the arguments of the trainer: everything else about masks stands in the list of backends
        family = document.root.get("model_family") or document.root.get("--model_family")
        if family is not None and str(family.scalar).lower() == "omnigen":
            rules.wrong(
                document,
                family.line,
                "The loss of OmniGen never uses the mask.",
                "Train another model family, or without masks.",
                code=Code.MODEL_UNSUPPORTED,
            )
        return
    by_id = {backend.text("id"): backend for backend in backends}
    images = [b for b in backends if b.text("dataset_type") in (None, "image") and b.get("instance_data_dir")]
    for image in rules.chosen(document, images, "instance_data_dir"):
        _simpletuner_resolution(rules, image)
        rules.cache(document, image, "cache_dir_vae")
        rules.facts.caches.append(document.resolve(image.text("instance_data_dir") or "."))
        named = image.text("conditioning_data")
        mask = by_id.get(named) if named else None
        if mask is None:
            line = image.mapping["conditioning_data"].line if image.get("conditioning_data") else image.line
            problem = f"names {named!r}, which is not there" if named else "is missing"
            fix = "Write the id of the mask dataset."
            rules.wrong(document, line, f"conditioning_data {problem}: no mask is read.", fix)
            continue
        for entry in (image, mask):
            rules.key(document, entry, "crop_style", required=True)
        rules.key(document, mask, "dataset_type", required=True)
        rules.key(document, mask, "conditioning_type", required=True)
        rules.masks(document, mask, "instance_data_dir", why_needed="it is the folder of the masks")
        rules.cache(document, mask, "cache_dir_vae")


def _simpletuner_resolution(rules: ConfigRules, image: Node) -> None:
    node = image.get("resolution")
    value = node.scalar if node is not None else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        is_area = value < 16  # megapixels; nobody trains at 16 px
        rules.facts.training_px = round(math.sqrt(value) * 1024) if is_area else round(value)


def _diffusion_pipe(rules: ConfigRules, document: Document) -> None:
    directories = document.root.list_at("directory")
    if not directories:
        return  # the main file; its `dataset` is read as well
    for directory in rules.chosen(document, directories, "path"):
        why = rules.setting("mask_path").why
        rules.masks(document, directory, "mask_path", images_key="path", why_needed=why)
        rules.resolution(least_side(directory.get("resolutions")))
        path = directory.text("path")
        if path:
            rules.facts.caches.append(document.resolve(path) / "cache")
    rules.resolution(least_side(document.root.get("resolutions")))


def _invoke(rules: ConfigRules, document: Document) -> None:
    root = document.root
    rules.key(document, root, "use_masks", required=True)
    kind = root.get("type")
    if kind is not None and "FLUX" in str(kind.scalar).upper():
        rules.wrong(
            document,
            kind.line,
            f"{kind.scalar} accepts use_masks and never applies the mask.",
            "Train with another trainer, or without masks.",
            code=Code.MODEL_UNSUPPORTED,
        )
    for node in root.find("jsonl_path"):
        if isinstance(node.scalar, str):
            rules.facts.listing = document.resolve(node.scalar)
    for node in root.find("resolution"):
        rules.resolution(area_side(node))


def _musubi(rules: ConfigRules, document: Document) -> None:
    general = document.root.get("general")
    for dataset in rules.chosen(document, document.root.list_at("datasets"), "image_directory"):
        levels = [level for level in (general, dataset) if level is not None]
        if not any(level.get("watermark_mask_suffix") is not None for level in levels):
            rules.key(document, dataset, "watermark_mask_suffix", required=True)
        for level in reversed(levels):
            rules.key(document, level, "watermark_mask_suffix")
            rules.resolution(area_side(level.get("resolution")))
            rules.cache(document, level, "cache_directory")


def _musubi_fork(rules: ConfigRules, document: Document) -> None:
    general = document.root.get("general")
    for dataset in rules.chosen(document, document.root.list_at("datasets"), "image_directory"):
        levels = [level for level in (dataset, general) if level is not None]
        why = rules.setting("loss_mask_directory").why
        rules.masks(document, dataset, "loss_mask_directory", images_key="image_directory", why_needed=why)
        for level in levels:
            for key in ("loss_mask_invert", "loss_mask_use_alpha"):
                rules.key(document, level, key)
            rules.facts.inverted = rules.facts.inverted or is_true(level.get("loss_mask_invert"))
            rules.resolution(area_side(level.get("resolution")))
            rules.cache(document, level, "cache_directory")


def _animalora(rules: ConfigRules, document: Document) -> None:
    found = list(document.root.find("masked_loss"))
    if not found:
        rules.key(document, document.root, "masked_loss", required=True)
    for node in found:
        if not is_true(node):
            rules.wrong(
                document, node.line, f"masked_loss is {shown(node.scalar)}: masks are not used.", "Set it true."
            )
    for node in document.root.find("resolution"):
        rules.resolution(area_side(node))


RULES: dict[str, Callable[[ConfigRules, Document], None]] = {
    "kohya": _kohya,
    "kohya-alpha": _kohya,
    "onetrainer": _onetrainer,
    "ai-toolkit": _ai_toolkit,
    "simpletuner": _simpletuner,
    "diffusion-pipe": _diffusion_pipe,
    "invoke": _invoke,
    "musubi": _musubi,
    "musubi-fork": _musubi_fork,
    "animalora": _animalora,
}
"""By name of the trainer."""


def _model(rules: ConfigRules, document: Document) -> None:
    for key in _MODEL_KEYS:
        for node in document.root.find(key):
            for pattern, cell_px in _CELLS_OF_MODELS:
                if isinstance(node.scalar, str) and pattern.search(node.scalar):
                    rules.facts.cell_px = cell_px
