"""The small SAM: features of the ink network, with prompt encoder and mask decoder of transformers' EdgeTAM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from automask_training.ink_model import CHANNELS, InkConfig, InkNet
from automask_training.ocr_backbone import LEVEL_CHANNELS

if TYPE_CHECKING:
    from transformers import EdgeTamModel

MASK_LOGIT = 6.0
_EMBEDDING_LEVEL = 2
_SHARPEST = (0, 1)


@dataclass(frozen=True, kw_only=True)
class SamConfig:
    """Shape of the small SAM. Features come at strides 4 to 16; masks have stride 4.

    A cell of which the chance is `click_answers_from` or more belongs to the answer to a prompt without a box, and
    from `box_answers_from` on to one with: the exported logits are moved so that this is 0. The loss knows nothing of
    either.
    """

    size_px: int = 256
    width: int = 128
    mlp_width: int = 512
    click_answers_from: float = 0.5
    box_answers_from: float = 0.5
    ink: InkConfig = field(default_factory=InkConfig)

    def build(self) -> EdgeTamModel:
        """Prompt encoder and mask decoder with random weights; the picture's part is not used and taken off."""
        from transformers import EdgeTamConfig, EdgeTamModel, EdgeTamVisionConfig, TimmWrapperConfig

        arguments = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
        backbone = TimmWrapperConfig(architecture="hgnetv2_b0", do_pooling=False, model_args=arguments)
        vision = EdgeTamVisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[1024, 512, 256, 64],
            backbone_feature_sizes=[[self.size_px // stride] * 2 for stride in (4, 8, 16)],
            fpn_hidden_size=self.width,
        )
        model: Any = EdgeTamModel(
            EdgeTamConfig(
                vision_config=vision,
                prompt_encoder_config={"hidden_size": self.width, "image_size": self.size_px, "patch_size": 16},
                mask_decoder_config={
                    "hidden_size": self.width,
                    "mlp_dim": self.mlp_width,
                    "iou_head_hidden_dim": self.width,
                    # One mask token: the only one that is trained, so the only one that can be asked for.
                    "num_multimask_outputs": 0,
                    "dynamic_multimask_via_stability": False,
                },
            )
        )
        del model.vision_encoder
        return model


@dataclass(frozen=True, eq=False)
class Features:
    """What the decoder sees of a crop: maps of stride 16 (B, width, ..), 8 (B, width/4, ..) and 4 (B, width/8, ..)."""

    image_embeddings: Tensor
    high_res_s1: Tensor
    high_res_s0: Tensor


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Prompts (B, P, ...) as in `prompts.Prompts`; `points` and `labels` are None for boxes only.

    points (B, P, K, 2) crop px; labels (B, P, K) 1/0/-10; boxes (B, P, 4) xyxy crop px, zeros = none;
    masks (B, P, C, C) logits; has_mask (B, P) 0/1.
    """

    points: Tensor | None
    labels: Tensor | None
    boxes: Tensor
    masks: Tensor
    has_mask: Tensor


@dataclass(frozen=True, eq=False)
class Decoded:
    """Answers: mask_logits (B, P, C, C), iou (B, P) 0..1, object_logits (B, P)."""

    mask_logits: Tensor
    iou: Tensor
    object_logits: Tensor


class SmallSam(nn.Module):  # type: ignore[misc, unused-ignore]
    """Answers prompts on crops. Its ink network is trained beforehand and kept as it is: `load_ink` fills it.

    One encoder thus serves detector, refiner and clicks, and what is learned here is only how to follow a prompt.
    """

    def __init__(self, config: SamConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.ink = InkNet(config.ink).eval().requires_grad_(requires_grad=False)
        self.sam: Any = config.build()
        _initialise(self.sam)
        self.embed = _projection(LEVEL_CHANNELS, config.width)
        self.middle = _projection(LEVEL_CHANNELS, config.width // 4)
        # The finest features also get the network's own answer: a prompt mostly picks from what is ink already.
        self.fine = _projection(LEVEL_CHANNELS + len(CHANNELS), config.width // 8)

    def load_ink(self, weights: dict[str, Tensor]) -> None:
        """Take over a trained ink network."""
        self.ink.load_state_dict(weights)

    def train(self, mode: bool = True) -> SmallSam:
        """Switch the trained parts; the ink network stays in evaluation mode."""
        super().train(mode)
        self.ink.eval()
        return self

    def encode(self, pixels: Tensor) -> Features:
        """Features of pixels (B, 3, S, S) float RGB 0..255."""
        with torch.no_grad():
            pyramid = self.ink.pyramid(pixels)
            answer = self.ink.head(pyramid.joined).sigmoid()
        fine, middle = (pyramid.levels[level] for level in _SHARPEST)
        embeddings = self.embed(pyramid.levels[_EMBEDDING_LEVEL]) + self.sam.no_memory_embedding.view(1, -1, 1, 1)
        return Features(embeddings, self.middle(middle), self.fine(torch.cat([fine, answer], 1)))

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer all prompts of all crops."""
        batch, count = prompts.boxes.shape[:2]
        flat = batch * count
        sparse = self._sparse(prompts).flatten(0, 1).unsqueeze(1)
        dense = self._dense_prompt(prompts)
        positions = self.sam.get_image_wide_positional_embeddings()
        masks, iou, _, objects = self.sam.mask_decoder(
            image_embeddings=_repeated(features.image_embeddings, count),
            image_positional_embeddings=positions.expand(flat, -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            high_resolution_features=[_repeated(features.high_res_s0, count), _repeated(features.high_res_s1, count)],
        )
        return Decoded(masks.view(batch, count, *masks.shape[-2:]), iou.view(batch, count), objects.view(batch, count))

    def _sparse(self, prompts: PromptBatch) -> Tensor:
        encoder = self.sam.prompt_encoder
        corners = prompts.boxes.unflatten(-1, (2, 2))
        has_box = (prompts.boxes[..., 2] > prompts.boxes[..., 0]).unsqueeze(-1)
        # SAM's point labels 2 and 3 are the corners of a box; broadcasting keeps the number of prompts free in ONNX.
        kinds = torch.tensor([2, 3], device=corners.device)
        labels = torch.where(has_box, kinds, torch.full_like(kinds, -10))
        if prompts.points is not None and prompts.labels is not None:
            corners = torch.cat([prompts.points, corners], dim=2)
            labels = torch.cat([prompts.labels, labels], dim=2)
        embedded: Tensor = encoder._embed_points(corners, labels, pad=True)
        return embedded

    def _dense_prompt(self, prompts: PromptBatch) -> Tensor:
        encoder = self.sam.prompt_encoder
        given = encoder.mask_embed(prompts.masks.flatten(0, 1).unsqueeze(1))
        absent = encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        chosen = prompts.has_mask.flatten().view(-1, 1, 1, 1)
        return chosen * given + (1 - chosen) * absent


def mask_prompt_logits(coverage: Tensor) -> Tensor:
    """Logits of a mask prompt from its coverage 0..1."""
    return (coverage * 2 - 1) * MASK_LOGIT


def upsampled(mask_logits: Tensor, *, size_px: int) -> Tensor:
    """Mask logits (B, P, C, C) at crop resolution (B, P, size_px, size_px)."""
    return functional.interpolate(mask_logits, size=(size_px, size_px), mode="bilinear", align_corners=False)


def _initialise(sam: EdgeTamModel) -> None:
    """Give every layer unit gain, and tokens a size that attention can tell apart.

    transformers draws all weights with deviation 0.02, which is meant for checkpoints to be loaded over it: at this
    width signals fade to a thousandth on their way to the mask, and hundreds of steps pass before anything is learned.
    """
    for part in (sam.prompt_encoder, sam.mask_decoder):
        for layer in part.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            elif isinstance(layer, nn.ConvTranspose2d):
                # Stride equals kernel here, so each output sees every input channel once.
                nn.init.normal_(layer.weight, std=layer.weight.shape[0] ** -0.5)
            elif isinstance(layer, nn.Embedding):
                nn.init.normal_(layer.weight, std=0.5)
    nn.init.zeros_(sam.prompt_encoder.no_mask_embed.weight)


def _projection(channels: int, out: int) -> nn.Sequential:
    # The backbone has no norms of its own: its channels differ in size by a hundred times.
    return nn.Sequential(nn.BatchNorm2d(channels), nn.Conv2d(channels, out, 1))


def _repeated(features: Tensor, count: int) -> Tensor:
    return features.unsqueeze(1).expand(-1, count, -1, -1, -1).flatten(0, 1)
