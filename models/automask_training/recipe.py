"""From a recipe file (TOML) to a task and a loop."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from automask_training.loop import LoopConfig, Task
from automask_training.schedule import Schedule
from automask_training.tables import VAL_SEED_OFFSET, RecipeError, table_to

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from automask_training.layout import LayoutTask
    from automask_training.sam import ImageSource
    from automask_training.scene import SceneTask
    from automask_training.synth import Synthesizer, SyntheticImage
    from automask_training.watermark import WatermarkRecipe
    from automask_training.watermark_model import HeadConfig


TASKS = ("sam", "watermark", "watermark-ultralytics", "ink", "layout", "scene")


def load_recipe(table: dict[str, Any], *, materials: Path, split: str = "train") -> tuple[Task[Any, Any], LoopConfig]:
    """Task and loop of a recipe; `split` is train or val. Of layout, scene and watermark, `materials` are samples.

    Raises:
        RecipeError: unknown task or keys.
    """
    unknown = set(table) - {
        "task",
        "image_seed",
        "size_px",
        "loop",
        "schedule",
        "model",
        "loss",
        "crops",
        "prompts",
        "recipe",
        "render",
    }
    if unknown:
        raise RecipeError(f"unknown tables or keys: {', '.join(sorted(unknown))}")
    if table.get("task") == "layout":
        return layout_task(table, materials), loop_of(table)
    if table.get("task") == "scene":
        return scene_task(table, materials), loop_of(table)
    if table.get("task") == "watermark":
        return rendered_watermark_task(table, materials), loop_of(table)
    return task_of(table, _source(table, materials, split=split), split=split), loop_of(table)


def loop_of(table: dict[str, Any]) -> LoopConfig:
    """How a recipe trains.

    Raises:
        RecipeError: unknown keys.
    """
    loop = table_to(LoopConfig, table.get("loop", {}))
    return replace(loop, schedule=table_to(Schedule, table.get("schedule", {})))


def task_of(table: dict[str, Any], source: ImageSource, *, split: str = "train") -> Task[Any, Any]:
    """Task of a recipe over images of any source.

    Raises:
        RecipeError: unknown task or keys.
    """
    name = table.get("task")
    if name == "sam":
        return _sam_task(table, source, split=split)
    if name == "watermark":
        return _watermark_task(table, source)
    if name == "watermark-ultralytics":
        return _ultralytics_task(table, source)
    if name == "ink":
        return _ink_task(table, source, split=split)
    raise RecipeError(f"task is {name!r}, known are {', '.join(TASKS)}")


def evaluate_recipe(table: dict[str, Any], *, materials: Path, out: Path, images: int) -> dict[str, Any]:
    """Figures of the moving average in `out` on the held-out split, as plain data."""
    import torch

    from automask_training.checkpoint import load_state
    from automask_training.loop import STATE_FILE

    task, loop = load_recipe(table, materials=materials, split="val")
    torch.set_num_threads(loop.threads)
    state = load_state(out / STATE_FILE, task=task.name)
    module: Any = task.build()
    module.load_state_dict(state.average)
    if task.name == "layout":
        from automask_training.evaluate_layout import evaluate_layout
        from automask_training.layout_samples import synthesizer_of

        held_out = synthesizer_of(table, materials, split="val")  # drawn, not rendered: of materials
        figures: Any = evaluate_layout(module, held_out, images=images)
    elif task.name == "scene":
        from automask_training.evaluate_scene import evaluate_scene

        figures = evaluate_scene(module, task, images=images)  # type: ignore[arg-type]
    elif task.name == "sam":
        from automask_training.evaluate import evaluate_sam

        figures = evaluate_sam(module, task, images=images)  # type: ignore[arg-type]
    else:
        from automask_training.evaluate_watermark import evaluate_task

        figures = evaluate_task(module, task, images=images)
    return {"samples": state.progress.samples, "hours": state.progress.seconds / 3600, **asdict(figures)}


def export_recipe(table: dict[str, Any], *, out: Path, weights: Path) -> dict[str, float]:
    """Write the files to ship from the moving average in `out`; needs no materials.

    Returns how far each file is from torch, relative to the largest output.
    """
    task, module = load_average(table, out=out)
    if task.name == "sam":
        from automask_training.sam_export import export_sam

        return export_sam(module, weights)
    if task.name == "ink":
        from automask_training.ink_export import export_ink

        return export_ink(module, weights)
    if task.name == "layout":
        from automask_training.layout_export import export_layout

        return export_layout(module, weights)
    if task.name == "scene":
        from automask_training.scene_export import export_scene

        return export_scene(module, weights)
    if task.name == "watermark":
        from automask_training.watermark_export import export_watermark

        return export_watermark(module, weights)
    from automask_training.ultralytics_export import export_ultralytics

    return export_ultralytics(module, weights)


def load_average(table: dict[str, Any], *, out: Path) -> tuple[Task[Any, Any], nn.Module]:
    """Task (without images) and moving average of the state in `out`, in evaluation mode."""
    from automask_training.checkpoint import load_state
    from automask_training.loop import STATE_FILE

    if table.get("task") in ("layout", "scene"):
        task, _ = load_recipe(table, materials=out)
    else:
        task = task_of(table, _NoImages(), split="train")
    module = task.build()
    module.load_state_dict(load_state(out / STATE_FILE, task=task.name).average)
    return task, module.eval()


class _NoImages:
    def sample(self, index: int) -> SyntheticImage:
        raise RecipeError(f"image {index} was asked for, but no materials were given")


def _source(table: dict[str, Any], materials: Path, *, split: str) -> Synthesizer:
    from automask_training.synth import Synthesizer
    from automask_training.synth.mark_pictures import MarkSynthesizer

    seed, size_px = table.get("image_seed", 0) + (VAL_SEED_OFFSET if split == "val" else 0), table.get("size_px", 640)
    if table.get("task") == "sam":  # marks that are no lettering are what its prompts are for
        return MarkSynthesizer(materials, seed=seed, size_px=size_px, part=split)  # type: ignore[arg-type]
    return Synthesizer(materials, seed=seed, size_px=size_px, split=split)  # type: ignore[arg-type]


def _sam_task(table: dict[str, Any], source: ImageSource, *, split: str) -> Task[Any, Any]:
    from automask_training.crops import CropConfig
    from automask_training.prompts import PromptConfig
    from automask_training.sam import SamRecipe, SamTask
    from automask_training.sam_loss import SamLossConfig
    from automask_training.sam_model import SamConfig

    recipe = table_to(
        SamRecipe,
        {
            "model": table_to(SamConfig, table.get("model", {})),
            "loss": table_to(SamLossConfig, table.get("loss", {})),
            "crops": replace(
                table_to(CropConfig, table.get("crops", {})), prompts=table_to(PromptConfig, table.get("prompts", {}))
            ),
            **table.get("recipe", {}),
        },
    )
    if split == "val":
        recipe = replace(recipe, seed=recipe.seed + VAL_SEED_OFFSET)
    return SamTask(source, recipe)


def _watermark_task(table: dict[str, Any], source: ImageSource) -> Task[Any, Any]:
    from automask_training.watermark import DrawnMarks, WatermarkTask

    recipe, head = _watermark_tables(table)
    return WatermarkTask(DrawnMarks(source, recipe), recipe, head)


def _watermark_tables(table: dict[str, Any]) -> tuple[WatermarkRecipe, HeadConfig]:
    from automask_training.watermark import WatermarkRecipe
    from automask_training.watermark_model import HeadConfig

    return table_to(WatermarkRecipe, table.get("recipe", {})), table_to(HeadConfig, table.get("model", {}))


def _ultralytics_task(table: dict[str, Any], source: ImageSource) -> Task[Any, Any]:
    from automask_training.ultralytics_task import UltralyticsRecipe, UltralyticsTask

    return UltralyticsTask(source, table_to(UltralyticsRecipe, table.get("recipe", {})))


def _ink_task(table: dict[str, Any], source: ImageSource, *, split: str) -> Task[Any, Any]:
    from automask_training.crops import CropConfig
    from automask_training.ink import InkRecipe, InkTask
    from automask_training.ink_model import InkConfig
    from automask_training.sam_loss import SamLossConfig

    recipe = table_to(
        InkRecipe,
        {
            "model": table_to(InkConfig, table.get("model", {})),
            "loss": table_to(SamLossConfig, table.get("loss", {})),
            "crops": table_to(CropConfig, table.get("crops", {})),
            **table.get("recipe", {}),
        },
    )
    if split == "val":
        recipe = replace(recipe, seed=recipe.seed + VAL_SEED_OFFSET)
    return InkTask(source, recipe)


def layout_task(table: dict[str, Any], samples: Path) -> LayoutTask:
    """The layout task of a recipe over a folder of rendered samples (`layout_samples`)."""
    from automask_training.layout import LayoutRecipe, LayoutTask
    from automask_training.layout_model import LayoutConfig
    from automask_training.layout_samples import RenderedSamples

    recipe = {"model": table_to(LayoutConfig, table.get("model", {})), **table.get("recipe", {})}
    return LayoutTask(RenderedSamples(samples), table_to(LayoutRecipe, recipe))


def scene_task(table: dict[str, Any], samples: Path) -> SceneTask:
    """The scene task of a recipe over a folder of stored samples (`scene_samples`)."""
    from automask_training.scene import SceneRecipe, SceneTask
    from automask_training.scene_model import SceneConfig
    from automask_training.scene_samples import RenderedScenes

    recipe, config = table_to(SceneRecipe, table.get("recipe", {})), table_to(SceneConfig, table.get("model", {}))
    return SceneTask(RenderedScenes(samples), recipe, config)


def rendered_watermark_task(table: dict[str, Any], samples: Path) -> Task[Any, Any]:
    """The watermark task of a recipe over a folder of rendered samples (`watermark_samples`)."""
    from automask_training.watermark import WatermarkTask
    from automask_training.watermark_samples import RenderedMarks

    return WatermarkTask(RenderedMarks(samples), *_watermark_tables(table), is_rendered=True)
