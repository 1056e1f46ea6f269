"""The page that goes with an export: what to paste, what to clear, what each setting is for."""

from __future__ import annotations

from automask.export.protocol import ExportContext, Snippet
from automask.trainers.conventions import Trainer

HOWTO_NAME = "HOWTO.txt"


def howto(trainer: Trainer, snippet: Snippet | None, context: ExportContext) -> str:
    """Text for people."""
    lines = [
        f"Masks for {trainer.title}, written by automask export --to {trainer.name}.",
        "White = train, black = not learned.",
        f"Drawn for training at {context.training_px} px with latent cells of {context.cell_px} px.",
        "Whoever trains at several resolutions exports with --training-px and the smallest of them.",
        "",
        f"Images: {context.images_root}",
        f"Masks:  {context.masks_root}",
        "",
    ]
    if snippet is not None:
        lines += [f"Paste what {snippet.name} says into the configuration of the trainer.", *snippet.command, ""]
    lines.append("Settings that decide whether masked areas count zero:")
    lines += [f"  {setting.key} = {shown(setting.value)}: {setting.why}" for setting in trainer.settings]
    lines += ["", f"Caches after masks were added or changed: {trainer.cache}.", ""]
    return "\n".join(lines)


def shown(value: str | bool | float) -> str:
    """A value as most configuration files write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
