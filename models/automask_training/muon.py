"""Muon for matrices and kernels, AdamW for the rest: about the fewest steps that small networks can learn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

# Quintic iteration of Jordan et al. 2024 (kellerjordan.github.io/posts/muon): drives singular values towards 1.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class MuonAdamW(torch.optim.Optimizer):  # type: ignore[misc]
    """One optimizer with two rules, chosen per group by `orthogonal`.

    Orthogonal groups step along the orthogonalised momentum of each weight seen as a matrix (out, in * kernel),
    scaled to the size of a typical AdamW step (Liu et al. 2025, "Muon is scalable"), so that both rules share one
    learning rate. They keep one buffer per weight; AdamW keeps two.
    """

    def __init__(self, groups: list[dict[str, Any]], *, rate: float, betas: tuple[float, float] = (0.95, 0.98)) -> None:
        """Take groups with `params`, `weight_decay` and `orthogonal`; betas are (momentum, AdamW's second decay)."""
        super().__init__(groups, {"lr": rate, "betas": betas, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def step(self) -> None:
        """Apply the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                if group["orthogonal"]:
                    self._orthogonal_step(weight, state, group)
                else:
                    self._adam_step(weight, state, group)

    @staticmethod
    def _orthogonal_step(weight: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        decay = group["betas"][0]
        state["momentum"].lerp_(weight.grad, 1 - decay)
        ahead = weight.grad.lerp(state["momentum"], decay)
        update = orthogonalised(ahead.reshape(len(ahead), -1))
        scale = 0.2 * max(update.shape) ** 0.5
        weight.add_(update.view(weight.shape), alpha=-group["lr"] * scale)

    @staticmethod
    def _adam_step(weight: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        first, second = 0.9, group["betas"][1]
        if "square" not in state:
            state["square"] = torch.zeros_like(weight)
            state["count"] = torch.zeros((), dtype=torch.float32)
        state["count"] += 1
        count = float(state["count"])
        state["momentum"].lerp_(weight.grad, 1 - first)
        state["square"].lerp_(weight.grad.square(), 1 - second)
        size = (state["square"] / (1 - second**count)).sqrt_().add_(1e-8)
        weight.addcdiv_(state["momentum"], size, value=-group["lr"] / (1 - first**count))


def orthogonalised(matrix: Tensor) -> Tensor:
    """Roughly the nearest matrix (m, n) to `matrix` (m, n) with all singular values near 1."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # The iteration only has to come near; half precision is several times faster where processors have it.
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, b * square + c * (square @ square), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)


def parameter_groups(
    module: nn.Module, *, weight_decay: float, pretrained: str = "", pretrained_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Split parameters: matrices and dense kernels are orthogonal; depthwise kernels, norms and biases are not.

    Args:
        module: What is trained.
        weight_decay: Of the orthogonal group.
        pretrained: Name of a part that starts from trained weights. It takes AdamW steps, whose size follows the
            gradient: orthogonal ones would turn every direction of a good kernel at full speed.
        pretrained_rate: Its share of the learning rate.
    """
    kept = set() if not pretrained else set(module.get_submodule(pretrained).parameters())
    orthogonal, plain = [], []
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in kept:
                continue
            dense = isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)) and name == "weight"
            # Depthwise kernels and single outputs have no directions to make orthogonal.
            if dense and min(parameter.shape[0], parameter[0].numel()) >= 4 and getattr(layer, "groups", 1) == 1:
                orthogonal.append(parameter)
            else:
                plain.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": orthogonal, "weight_decay": weight_decay, "orthogonal": True, "rate_share": 1.0},
        {"params": plain, "weight_decay": 0.0, "orthogonal": False, "rate_share": 1.0},
    ]
    if pretrained:
        trained = [parameter for parameter in module.get_submodule(pretrained).parameters() if parameter.requires_grad]
        groups.append({"params": trained, "weight_decay": 0.0, "orthogonal": False, "rate_share": pretrained_rate})
    return groups
