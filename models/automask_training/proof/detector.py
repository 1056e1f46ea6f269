"""Two small networks that judge samples and never saw a mask: one finds marks, one knows the clean pictures.

The finder of marks is trained on pairs, each picture to train on with and without its mark, so that nothing but the
mark tells them apart; blurred and with noise too, as samples of a small model are. Its error is measured on pictures of
files that no arm trains on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from automask_training.synth.raster import Bytes

_BATCH = 64
_RATE = 2e-3
_SEED = 7
_FALSE_ALARMS = 0.005
"""Share of clean pictures to train on, spoiled, that the finder's threshold lets through: claims of a few per cent need
an error well below them."""


class SmallNet(nn.Module):  # type: ignore[misc]
    """Four plain convolutions over pictures of 64 px; `features` are the means and highest values of the last."""

    def __init__(self, outputs: int, widths: tuple[int, int, int, int] = (24, 48, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            before = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * before, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """(B, 2 * width) of pictures (B, 3, 64, 64) in -1..1."""
        maps = self.body(pixels)
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, outputs) of pictures (B, 3, 64, 64) in -1..1."""
        result: Tensor = self.head(self.features(pixels))
        return result


@dataclass(frozen=True, eq=False)
class Finder:
    """Says which pictures carry a mark: where the network's output is above `threshold`."""

    network: SmallNet
    threshold: float

    def found(self, pixels: Bytes) -> NDArray[np.bool_]:
        """(N,) bool of uint8 (N, 64, 64, 3)."""
        return scores_of(self.network, pixels) > self.threshold


def trained_finder(clean: Bytes, marked: Bytes, *, epochs: int) -> Finder:
    """A finder of the marks that make `marked` of `clean`, both uint8 (N, 64, 64, 3), pair by pair."""
    pixels = np.concatenate([clean, marked])
    labels = np.repeat(np.array([0.0, 1.0], dtype=np.float32), len(clean))

    def loss(network: SmallNet, batch: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        return functional.binary_cross_entropy_with_logits(network(batch)[:, 0], torch.from_numpy(labels[chosen]))

    network = _trained(SmallNet(1), pixels, loss, epochs=epochs)
    rng = np.random.default_rng(_SEED)
    with torch.no_grad():
        spoiled = torch.cat([network(batch)[:, 0] for batch, _ in _spoiled_batches(rng, clean, epochs=1)])
    return Finder(network, max(0.0, float(spoiled.quantile(1.0 - _FALSE_ALARMS))))


def trained_features(clean: Bytes, subject: NDArray[np.int64], *, epochs: int) -> SmallNet:
    """A network that tells subjects and single pictures apart ("exemplars", Dosovitskiy et al. 2014)."""
    subjects = int(subject.max()) + 1
    targets = torch.from_numpy(subject)

    def loss(network: SmallNet, batch: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        told, one = network(batch), torch.from_numpy(chosen)
        return functional.cross_entropy(told[:, :subjects], targets[one]) + functional.cross_entropy(
            told[:, subjects:], one
        )

    return _trained(SmallNet(subjects + len(clean)), clean, loss, epochs=epochs)


def scores_of(network: SmallNet, pixels: Bytes) -> NDArray[np.float32]:
    """First output, float32 (N,), of uint8 (N, 64, 64, 3)."""
    return _over(lambda batch: network(batch)[:, 0], pixels)


def features_of(network: SmallNet, pixels: Bytes) -> NDArray[np.float32]:
    """Features, float32 (N, D), of uint8 (N, 64, 64, 3)."""
    return _over(network.features, pixels)


def save_finder(finder: Finder, path: Path) -> None:
    """Write network and threshold."""
    torch.save({"network": finder.network.state_dict(), "threshold": finder.threshold}, path)


def load_finder(path: Path) -> Finder:
    """Read what `save_finder` wrote."""
    held = torch.load(path, map_location="cpu", weights_only=True)
    network = SmallNet(1)
    network.load_state_dict(held["network"])
    return Finder(network.eval(), float(held["threshold"]))


def as_tensor(pixels: Bytes) -> Tensor:
    """Pictures uint8 (N, H, W, 3) as (N, 3, H, W) in -1..1."""
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1.0).permute(0, 3, 1, 2).contiguous()


def _over(tells: Callable[[Tensor], Tensor], pixels: Bytes) -> NDArray[np.float32]:
    with torch.no_grad():
        parts = [tells(as_tensor(pixels[at : at + 256])) for at in range(0, len(pixels), 256)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _trained(
    network: SmallNet,
    pixels: Bytes,
    loss_of: Callable[[SmallNet, Tensor, NDArray[np.int64]], Tensor],
    *,
    epochs: int,
) -> SmallNet:
    # Weights that do not depend on what else drew random numbers in this process.
    torch.manual_seed(_SEED)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
    steps = epochs * -(-len(pixels) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    network.train()
    for batch, chosen in _spoiled_batches(np.random.default_rng(_SEED), pixels, epochs=epochs):
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, batch, chosen).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    return network


def _spoiled_batches(
    rng: np.random.Generator, pixels: Bytes, *, epochs: int
) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
    for _ in range(epochs):
        order = rng.permutation(len(pixels))
        for at in range(0, len(order), _BATCH):
            chosen = order[at : at + _BATCH]
            yield _spoiled(rng, as_tensor(pixels[chosen])), chosen


def _spoiled(rng: np.random.Generator, batch: Tensor) -> Tensor:
    """Half of the pictures blurred, a shift of up to 2 px, other contrast and brightness, and noise."""
    shape = (len(batch), 1, 1, 1)
    soft = functional.avg_pool2d(functional.pad(batch, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    share = torch.from_numpy((rng.uniform(0, 1, shape) * (rng.random(shape) < 0.5)).astype(np.float32))
    batch = batch + share * (soft - batch)
    down, right = (int(each) for each in rng.integers(-2, 3, 2))
    padded = functional.pad(batch, (2, 2, 2, 2), mode="replicate")
    batch = padded[:, :, 2 + down : 66 + down, 2 + right : 66 + right]
    contrast = torch.from_numpy(rng.uniform(0.8, 1.15, shape).astype(np.float32))
    brightness = torch.from_numpy(rng.uniform(-0.15, 0.15, shape).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(tuple(batch.shape), dtype=np.float32))
    strength = torch.from_numpy(rng.uniform(0, 0.05, shape).astype(np.float32))
    return (batch * contrast + brightness + noise * strength).clamp(-1.0, 1.0)
