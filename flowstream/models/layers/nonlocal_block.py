"""Nonlocal blocks: self-attention between all places and moments of a clip's maps."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule

Pairwise = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


def check_pairwise(pairwise: str) -> None:
    """Refuse what is not the name of a pairwise function."""
    if pairwise not in get_args(Pairwise):
        known = ", ".join(get_args(Pairwise))
        raise ParameterError(f"pairwise: got {pairwise!r}, expected one of: {known}")


class NonlocalBlock(nn.Module):
    """x + W y, where y at each position is a weighted mean over all positions (Wang et al. 2018).

    Wang, Girshick, Gupta & He, "Non-local Neural Networks", CVPR 2018, arXiv:1711.07971: equation 1
    with the pairwise functions of section 3.2 and the block of section 3.3, equation 6.

    Parameters
    ----------
    channels : int
        D of the maps.
    pairwise : "embedded_gaussian", "gaussian", "dot_product" or "concatenation"
        How two positions are compared, equations 2 to 5; the Gaussian ones are a softmax over
        positions, the others are divided by the number of positions.
    pool : int
        Spatial max pool of what is attended to, which divides its positions by pool squared
        (section 3.3, "subsampling trick"); 1 is none.

    Notes
    -----
    The last convolution is followed by a batch norm whose weight starts at zero (section 4.1), so
    that a new block is the identity wherever it is inserted.
    """

    def __init__(
        self, channels: int, *, pairwise: Pairwise = "embedded_gaussian", pool: int = 1
    ) -> None:
        super().__init__()
        check_pairwise(pairwise)
        if pool < 1:
            raise ParameterError(f"pool: got {pool}, expected at least 1")
        inner = max(1, channels // 2)  # the bottleneck of section 3.3
        self.pairwise = pairwise
        self.g = nn.Conv3d(channels, inner, 1)
        embedded = pairwise != "gaussian"
        self.theta = nn.Conv3d(channels, inner, 1) if embedded else nn.Identity()
        self.phi = nn.Conv3d(channels, inner, 1) if embedded else nn.Identity()
        self.relate = nn.Linear(2 * inner, 1, bias=False) if pairwise == "concatenation" else None
        self.thin = nn.MaxPool3d((1, pool, pool)) if pool > 1 else nn.Identity()
        self.out = nn.Conv3d(inner, channels, 1)
        self.norm = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, D, T, H, W) maps of the same shape."""
        attended = self.thin(maps)
        theta = self.theta(maps).flatten(2).transpose(1, 2)  # (N, THW, D')
        phi = self.phi(attended).flatten(2)  # (N, D', positions)
        g = self.g(attended).flatten(2).transpose(1, 2)  # (N, positions, D')
        y = self._weights(theta, phi) @ g
        y = y.transpose(1, 2).reshape(maps.shape[0], -1, *maps.shape[2:])
        mixed: Tensor = self.norm(self.out(y))
        return maps + mixed

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """Shares of the mean, f / C of equation 1: (N, THW, positions)."""
        positions = phi.shape[-1]
        if self.relate is not None:
            # w [theta, phi] of equation 5 is a sum of two dot products: no pair is ever joined.
            of_theta, of_phi = self.relate.weight.squeeze(0).chunk(2)
            pairs = (theta @ of_theta).unsqueeze(2) + (of_phi @ phi).unsqueeze(1)
            return torch.relu(pairs) / positions
        similarity = theta @ phi
        if self.pairwise == "dot_product":
            return similarity / positions
        return torch.softmax(similarity, dim=-1)


def insert_nonlocal(network: nn.Module, names: list[str], *, pairwise: Pairwise, pool: int) -> None:
    """Put a new nonlocal block behind each of the named parts of any 3D network.

    The outputs of the network stay what they were until the blocks are trained.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    names : list of str
        Parts whose output is (N, D, T, H, W) maps and which end in a convolution, norm or sequence
        of D channels, as `named_modules` calls them; none inside another.
    pairwise, pool
        See `NonlocalBlock`.

    Raises
    ------
    ParameterError
        If there is no such part, its channels cannot be told, or a name stands twice or lies inside
        another.
    """
    parts = dict(network.named_modules())
    for index, name in enumerate(names):
        for other in names[:index] + names[index + 1 :]:
            if f"{name}.".startswith(f"{other}."):
                raise ParameterError(f"nonlocal: part {name!r} is in part {other!r}; name one only")
    for name in names:
        if name not in parts:
            raise ParameterError(
                f"nonlocal: no part {name!r}; known: {', '.join(filter(None, parts))}"
            )
        block = NonlocalBlock(_channels(parts[name], name), pairwise=pairwise, pool=pool)
        replace_submodule(network, name, nn.Sequential(parts[name], block))


def _channels(part: nn.Module, name: str) -> int:
    """D of what a part ends in: its last convolution or norm."""
    for leaf in reversed(list(part.modules())):
        if isinstance(leaf, nn.BatchNorm3d):
            return leaf.num_features
        if isinstance(leaf, nn.Conv3d):
            return leaf.out_channels
    raise ParameterError(f"nonlocal: part {name!r} has no 3D convolution or norm to tell its maps")
