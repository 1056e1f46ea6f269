"""A small class-conditional U-Net and the straight paths it learns (flow matching, Lipman et al. 2023).

Pictures of 64 px are folded into 12 channels of 32 x 32 cells by the Haar transform of 2 x 2 pixels. A cell is exactly
2 px wide and knows nothing of its neighbours: what a masked loss leaks is the mask's doing, not an autoencoder's.
At time t the network sees (1 - t) x + t noise and tells noise - x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CELLS = 32
CHANNELS = 12
_EMBEDDING = 192
_HEADS = 4
_SPREADS = (1.13, 0.16, 0.17, 0.08)
"""Standard deviations of a cell's sum, across, down and diagonal over the pictures here, pixels in -1..1, measured.
What goes in and out is scaled by them (Karras et al. 2022): of three pilots the error after 2,400 samples is .39;
.49 without, and .46 with one scale for all pixels."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Size of the network: channels at 32 x 32, 16 x 16 and 8 x 8 cells; `subjects` without the empty one."""

    subjects: int = 6
    widths: tuple[int, int, int] = (32, 96, 160)


def folded(pixels: Tensor) -> Tensor:
    """(B, 3, 64, 64) as (B, 12, 32, 32): the Haar transform of 2 x 2 pixels.

    Of each colour the sum, then across, down and diagonal; orthonormal, so that errors are those of pixels.
    """
    return _turned(functional.pixel_unshuffle(pixels, 2))


def unfolded(latents: Tensor) -> Tensor:
    """Back to (B, 3, 64, 64); the transform is its own inverse."""
    return functional.pixel_shuffle(_turned(latents), 2)


def _turned(cells: Tensor) -> Tensor:
    haar = cells.new_tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    parts = cells.reshape(len(cells), 3, 4, *cells.shape[2:])
    return torch.einsum("kj,bcjhw->bckhw", haar, parts).reshape(cells.shape)


class _Block(nn.Module):  # type: ignore[misc]
    """Two plain 3 x 3 convolutions; time, subject and tag scale and shift between them."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.before = nn.GroupNorm(8, width_in) if width_in % 8 == 0 else nn.Identity()
        self.first = nn.Conv2d(width_in, width, 3, padding=1)
        self.between = nn.GroupNorm(8, width)
        self.modulation = nn.Linear(_EMBEDDING, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self.between(self.first(functional.silu(self.before(x)))) * (1 + scale) + shift
        result: Tensor = self.shortcut(x) + self.second(functional.silu(h))
        return result


class _Attention(nn.Module):  # type: ignore[misc]
    """Every cell looks at every other one; only where there are 64 of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, columns = x.shape
        parts = self.project(self.norm(x)).view(batch, 3, _HEADS, width // _HEADS, height * columns)
        query, key, value = (each.transpose(-1, -2) for each in parts.unbind(1))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = x + self.out(mixed.transpose(-1, -2).reshape(batch, width, height, columns))
        return result


class _UNet(nn.Module):  # type: ignore[misc]
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        top, middle, low = config.widths
        self.subject = nn.Embedding(config.subjects + 1, _EMBEDDING)
        self.tag = nn.Embedding(2, _EMBEDDING)
        self.time = nn.Sequential(nn.Linear(64, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING))
        self.stem = nn.Conv2d(CHANNELS, top, 3, padding=1)
        self.down_top = _Block(top, top)
        self.to_middle = nn.Conv2d(top, middle, 3, stride=2, padding=1)
        self.down_middle = _Block(middle, middle)
        self.to_low = nn.Conv2d(middle, low, 3, stride=2, padding=1)
        self.down_low = _Block(low, low)
        self.attention = _Attention(low)
        self.lowest = _Block(low, low)
        self.attention_up = _Attention(low)
        self.up_low = _Block(low, low)
        self.from_low = nn.Conv2d(low, middle, 1)
        self.up_middle = _Block(middle, middle)
        self.from_middle = nn.Conv2d(middle, top, 1)
        self.up_top = _Block(top, top)
        self.norm = nn.GroupNorm(8, top)
        self.head = nn.Conv2d(top, CHANNELS, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, time: Tensor, subject: Tensor, tag: Tensor) -> Tensor:
        embedding = functional.silu(self.time(_waves(time)) + self.subject(subject) + self.tag(tag))
        top = self.down_top(self.stem(x), embedding)
        middle = self.down_middle(self.to_middle(top), embedding)
        low = self.attention(self.down_low(self.to_low(middle), embedding))
        low = self.up_low(self.attention_up(self.lowest(low, embedding)), embedding)
        # Sums in place of joined channels: half the arithmetic on the way up.
        middle = self.up_middle(middle + _doubled(self.from_low(low)), embedding)
        top = self.up_top(top + _doubled(self.from_middle(middle)), embedding)
        result: Tensor = self.head(functional.silu(self.norm(top)))
        return result


class Denoiser(nn.Module):  # type: ignore[misc]
    """Tells noise - x.

    Its one part is named so that the training loop gives it AdamW steps (`LoopConfig.pretrained`): Muon's iteration in
    half precision takes .28 s for one 160 x 1440 kernel on a processor without it, more than half of a whole step.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.net = _UNet(config)
        self.empty = config.subjects

    def forward(self, x: Tensor, time: Tensor, subject: Tensor, tag: Tensor) -> Tensor:
        """One step.

        Args:
            x: (B, 12, 32, 32) picture and noise, mixed.
            time: (B,) share of noise, 0..1.
            subject: (B,) int, `empty` for none.
            tag: (B,) int, 1 where the caption says that there is a mark.

        Returns:
            (B, 12, 32, 32).
        """
        share, mix = time[:, None, None, None], 1 - time[:, None, None, None]
        spread = x.new_tensor(_SPREADS * 3)[None, :, None, None]
        variance = share**2 + (mix * spread) ** 2
        # What is told of each value by itself alone; the network adds what is missing, which has spread 1 at all times.
        straight = (share - mix * spread**2) / variance
        within = (x / variance.sqrt()).contiguous(memory_format=torch.channels_last)
        result: Tensor = straight * x + spread / variance.sqrt() * self.net(within, time, subject, tag)
        return result


def _waves(time: Tensor) -> Tensor:
    rates = torch.exp(torch.linspace(0.0, math.log(1000.0), 32, dtype=time.dtype, device=time.device))
    angles = time[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How samples are drawn.

    Attributes:
        steps: Equal Euler steps from noise to picture.
        guidance: 1 = none; beyond it, away from what stands for "nothing asked for" (Ho and Salimans 2022).
        guided_times: Share of noise between which there is guidance; outside it costs twice the time and does little
            but harm (Kynkaanniemi et al. 2024).
        tag: Tag that is asked for.
        negative: The other side of the guidance is the same subject with the tag "marked", in place of no subject: what
            a negative prompt does.
        start_time: Share of noise that sampling from a picture starts with.
    """

    steps: int = 16
    guidance: float = 2.0
    guided_times: tuple[float, float] = (0.2, 0.8)
    tag: int = 0
    negative: bool = False
    start_time: float = 1.0


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def drawn_samples(
    model: Denoiser, subject: Tensor, noise: Tensor, sampling: Sampling, *, start: Tensor | None = None
) -> Tensor:
    """Samples (B, 3, 64, 64) in -1..1.

    Args:
        model: The network, in eval mode.
        subject: (B,) int.
        noise: (B, 12, 32, 32).
        sampling: How.
        start: (B, 3, 64, 64) pictures to start from, -1..1, for a `start_time` below 1.
    """
    first = sampling.start_time
    x = noise if start is None else (1 - first) * folded(start) + first * noise
    times = torch.linspace(first, 0.0, max(2, round(sampling.steps * first) + 1))
    tag = torch.full_like(subject, sampling.tag)
    away = (subject, torch.ones_like(tag)) if sampling.negative else (torch.full_like(subject, model.empty), tag * 0)
    subjects, tags = torch.cat([subject, away[0]]), torch.cat([tag, away[1]])
    for now, after in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        if sampling.guided_times[0] <= now <= sampling.guided_times[1]:
            told = model(torch.cat([x, x]), torch.full((2 * len(x),), now), subjects, tags)
            wanted, other = told.chunk(2)
            told = other + sampling.guidance * (wanted - other)
        else:
            told = model(x, torch.full((len(x),), now), subject, tag)
        x = x + (after - now) * told
    result: Tensor = unfolded(x).clamp(-1.0, 1.0)
    return result
