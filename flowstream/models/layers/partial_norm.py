"""Partial batch normalisation: keep pretrained statistics of all norms but the first."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from flowstream.models.layers.submodule import replace_submodule


class FrozenNorm(nn.Module):
    """Batch norm with fixed statistics, weight and bias, in training and in evaluation.

    All four are buffers under the names of `BatchNorm2d`: they are saved and moved, but not
    trained. torchvision's `FrozenBatchNorm2d` computes the same with separate operations.

    Parameters
    ----------
    norm : BatchNorm2d
        Source of the values.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name).detach().clone())

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (N, C, H, W) maps by the fixed statistics."""
        return functional.batch_norm(
            maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def extra_repr(self) -> str:
        """Return the number of channels and epsilon."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


def freeze_norms(network: nn.Module) -> int:
    """Fix every batch norm of a network except the first; return the number fixed.

    Partial BN, Wang et al. 2016 (arXiv:1608.00859), section 3.2: on small datasets the statistics
    of a batch are poor, but the first layer must adapt to the new distribution of its input.
    Weights and biases are fixed with the statistics, as in the authors' code. Layer norms have no
    statistics and are not changed.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place. The first norm is the first in the order of its modules.
    """
    norms = [
        (name, part) for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)
    ]
    for name, norm in norms[1:]:
        with torch.no_grad():
            # subclasses, such as timm's with an activation, keep their own forward pass
            plain = type(norm) is nn.BatchNorm2d
            replace_submodule(network, name, FrozenNorm(norm) if plain else KeptNorm(norm))
    return len(norms[1:])


class KeptNorm(nn.Module):
    """Wrapper of a batch norm that stays in evaluation mode and is not trained."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> KeptNorm:
        """Set the mode of the wrapper; the norm stays in evaluation mode."""
        self.training = mode
        return self

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (N, C, H, W) maps by the fixed statistics."""
        result: Tensor = self.norm(maps)
        return result
