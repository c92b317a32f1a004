"""Partial batch normalisation: pretrained statistics are kept, but for the first layer's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from flowstream.models.layers.submodule import replace_submodule


class FrozenNorm(nn.Module):
    """A batch norm whose statistics, weight and bias are fixed, whatever the mode.

    All four are buffers under the names of `BatchNorm2d`, so that they are saved, moved and never
    trained. torchvision's `FrozenBatchNorm2d` computes the same out of separate products and sums.

    Parameters
    ----------
    norm : BatchNorm2d
        Whose values it takes.
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
        """(N, C, H, W) normalised by the fixed statistics."""
        return functional.batch_norm(
            maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def extra_repr(self) -> str:
        """Its channels."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


def freeze_norms(network: nn.Module) -> int:
    """Fix every batch norm of a network but its first; returns how many were fixed.

    Partial BN, Wang et al. 2016 (arXiv:1608.00859), section 3.2: with little data the statistics of
    a batch are poor, but the first layer must follow the new distribution of its input. Weights and
    biases are fixed with the statistics, as in the authors' code. Layer norms keep no statistics
    and are left alone.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place; first in the order of its modules.
    """
    norms = [
        (name, part) for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)
    ]
    for name, norm in norms[1:]:
        with torch.no_grad():
            replace_submodule(network, name, FrozenNorm(norm))
    return len(norms[1:])
