"""Training task of the small SAM."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from automask_training.crops import Crop, CropConfig, make_crop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from automask_training.sam_loss import SamLossConfig
    from automask_training.sam_model import Decoded, SamConfig, SmallSam
    from automask_training.synth import SyntheticImage


class ImageSource(Protocol):
    """Endless training images with truth; a pure function of the index (see `synth.Synthesizer`)."""

    def sample(self, index: int) -> SyntheticImage:
        """Image number `index`."""
        ...


@dataclass(frozen=True, kw_only=True)
class SamRecipe:
    """What is trained on what, apart from how long. `ink_state`: state file of the trained ink network.

    Without one, the network starts from PP-OCR's features, which do for a test.
    """

    model: SamConfig
    loss: SamLossConfig
    crops: CropConfig = field(default_factory=CropConfig)
    crops_per_image: int = 4
    seed: int = 0
    ink_state: str = ""


@dataclass(frozen=True, eq=False)
class SamBatch:
    """Tensors of B crops; prompts as in `prompts.Prompts`, images as uint8, coverages as uint8 0..255.

    `unknown` (B, C, C) uint8 as in `crops.CutScene`.
    """

    pixels: Tensor
    classes: Tensor
    points: Tensor
    labels: Tensor
    boxes: Tensor
    masks: Tensor
    has_mask: Tensor
    targets: Tensor
    unknown: Tensor

    def pin_memory(self) -> SamBatch:
        """Return itself: batches of this size gain nothing from pinned memory."""
        return self


@dataclass(frozen=True)
class SamTask:
    """The small SAM as a `loop.Task`; one sample is one image, cut into `crops_per_image` crops."""

    source: ImageSource
    recipe: SamRecipe
    name: str = "sam"

    def build(self) -> nn.Module:
        """New model on the trained ink network, in channels-last order, which is faster on CPUs."""
        import torch

        from automask_training.checkpoint import load_state
        from automask_training.ink import pretrained_ink
        from automask_training.sam_model import SmallSam

        model = SmallSam(self.recipe.model)
        if self.recipe.ink_state:
            model.load_ink(load_state(Path(self.recipe.ink_state), task="ink").average)
        else:
            model.load_ink(pretrained_ink(self.recipe.model.ink).state_dict())
        return model.to(memory_format=torch.channels_last)

    def sample(self, index: int) -> list[Crop]:
        """Crops of image number `index`, each with its prompts."""
        image = self.source.sample(index)
        rng = np.random.default_rng([self.recipe.seed, index, 0x5A4D])
        return [make_crop(image, self.recipe.crops, rng) for _ in range(self.recipe.crops_per_image)]

    def collate(self, samples: list[list[Crop]]) -> SamBatch:
        """All crops of all samples as one batch."""
        return collate_crops([crop for crops in samples for crop in crops])

    def loss(self, module: nn.Module, batch: SamBatch, *, samples: int) -> tuple[Tensor, Mapping[str, float]]:
        """Prompted loss over all prompts."""
        from automask_training.sam_loss import answer_loss, known_cells

        recipe = self.recipe
        decoded = answer(module, batch, box_prompts=recipe.crops.prompts.box_prompts)
        coverage = batch.targets.float() / 255
        known = known_cells(coverage, batch.unknown.unsqueeze(1), recipe.loss)
        return answer_loss(decoded, coverage, recipe.loss, known=known)

    def description(self) -> dict[str, Any]:
        """The recipe as plain data, for logs and cards."""
        return asdict(self.recipe)


def collate_crops(crops: list[Crop]) -> SamBatch:
    """Stack crops into a batch."""
    import torch

    def stacked(arrays: list[np.ndarray[Any, Any]]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    return SamBatch(
        pixels=stacked([c.pixels.transpose(2, 0, 1) for c in crops]),
        classes=stacked([c.classes for c in crops]),
        points=stacked([c.prompts.points for c in crops]),
        labels=stacked([c.prompts.labels for c in crops]),
        boxes=stacked([c.prompts.boxes for c in crops]),
        masks=stacked([c.prompts.masks for c in crops]),
        has_mask=stacked([c.prompts.has_mask for c in crops]),
        targets=stacked([c.prompts.targets for c in crops]),
        unknown=stacked([c.unknown for c in crops]),
    )


def answer(module: SmallSam, batch: SamBatch, *, box_prompts: int) -> Decoded:
    """The answers to all prompts.

    The first `box_prompts` prompts are asked without click tokens, as a refiner with boxes will ask.
    """
    import torch

    from automask_training.sam_model import Decoded, PromptBatch, mask_prompt_logits

    pixels = batch.pixels.float().contiguous(memory_format=torch.channels_last)
    features = module.encode(pixels)
    masks = mask_prompt_logits(batch.masks.float() / 255)
    parts = []
    for piece, clicks in ((slice(0, box_prompts), False), (slice(box_prompts, None), True)):
        if batch.boxes[:, piece].shape[1] == 0:
            continue
        prompts = PromptBatch(
            points=batch.points[:, piece] if clicks else None,
            labels=batch.labels[:, piece] if clicks else None,
            boxes=batch.boxes[:, piece],
            masks=masks[:, piece],
            has_mask=batch.has_mask[:, piece],
        )
        parts.append(module.decode(features, prompts))
    return Decoded(
        torch.cat([p.mask_logits for p in parts], dim=1),
        torch.cat([p.iou for p in parts], dim=1),
        torch.cat([p.object_logits for p in parts], dim=1),
    )
