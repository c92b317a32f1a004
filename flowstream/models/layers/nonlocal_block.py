"""Nonlocal blocks: self-attention between all positions and frames of a clip's maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError, did_you_mean
from flowstream.models.layers.folding import OnClips
from flowstream.models.layers.inflate import InflatedMaps
from flowstream.models.layers.submodule import evaluation_mode, replace_everywhere

Pairwise = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


def check_pairwise(pairwise: str) -> None:
    """Raise `ParameterError` unless a string names a pairwise function."""
    if pairwise not in get_args(Pairwise):
        known = ", ".join(get_args(Pairwise))
        raise ParameterError(f"pairwise: got {pairwise!r}, expected one of: {known}")


class NonlocalBlock(nn.Module):
    """Nonlocal block: x + W y, where y is a weighted mean over all positions.

    Wang, Girshick, Gupta & He, "Non-local Neural Networks", CVPR 2018, arXiv:1711.07971: equation 1
    with the pairwise functions of section 3.2 and the block of section 3.3, equation 6.

    Parameters
    ----------
    channels : int
        Number of maps D.
    pairwise : "embedded_gaussian", "gaussian", "dot_product" or "concatenation"
        Function that compares two positions, equations 2 to 5. The Gaussian ones apply a softmax
        over positions; the others divide by the number of positions.
    pool : int
        Side of a spatial max pool of the attended maps, which divides their positions by pool
        squared (section 3.3, "subsampling trick"); 1 is no pool. The pool is padded at the edges.

    Notes
    -----
    The weight of the batch norm after the last convolution starts at zero (section 4.1), so that a
    new block is the identity.
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
        self.thin = nn.MaxPool3d((1, pool, pool), ceil_mode=True) if pool > 1 else nn.Identity()
        self.out = nn.Conv3d(inner, channels, 1)
        self.norm = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute (N, D, T, H, W) maps of maps of the same shape."""
        attended = self.thin(maps)
        theta = self.theta(maps).flatten(2).transpose(1, 2)  # (N, THW, D')
        phi = self.phi(attended).flatten(2)  # (N, D', positions)
        g = self.g(attended).flatten(2).transpose(1, 2)  # (N, positions, D')
        y = self._weights(theta, phi) @ g
        y = y.transpose(1, 2).reshape(maps.shape[0], -1, *maps.shape[2:])
        mixed: Tensor = self.norm(self.out(y))
        return maps + mixed

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """Compute the weights f / C of equation 1: (N, THW, positions)."""
        positions = phi.shape[-1]
        if self.relate is not None:
            # w [theta, phi] of equation 5 is a sum of two dot products, so no pair is concatenated.
            of_theta, of_phi = self.relate.weight.squeeze(0).chunk(2)
            pairs = (theta @ of_theta).unsqueeze(2) + (of_phi @ phi).unsqueeze(1)
            return torch.relu(pairs) / positions
        similarity = theta @ phi
        if self.pairwise == "dot_product":
            return similarity / positions
        return torch.softmax(similarity, dim=-1)


class Followed(nn.Module):
    """Part of a network followed by a block; it has the inputs of the part."""

    def __init__(self, part: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.part, self.block = part, block
        self.training = part.training

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Apply the part, then the block."""
        result: Tensor = self.block(self.part(*inputs, **options))
        return result


def insert_nonlocal(
    network: nn.Module, names: Sequence[str], *, clip: Sequence[int], pairwise: Pairwise, pool: int
) -> None:
    """Insert a new nonlocal block after each of the named parts of a 3D network.

    The outputs of the network do not change until the blocks are trained. The network runs once, on
    a blank clip, to find the shapes of the maps. Networks from `inflate` are valid, too.

    Parameters
    ----------
    network : torch.nn.Module
        Input (N, C, T, H, W); changed in place.
    names : sequence of str
        Names of parts, from `named_modules`, that compute maps; none inside another.
    clip : (C, T, H, W)
        Shape of one clip that it accepts.
    pairwise, pool
        See `NonlocalBlock`.

    Raises
    ------
    ParameterError
        If there is no such part, if it does not compute maps of clips, or if a name is repeated or
        is inside another.
    """
    parts = dict(network.named_modules())
    for name in names:
        if name not in parts or not name:
            raise ParameterError(
                f"nonlocal: no part {name!r} in {type(network).__name__}."
                f"{did_you_mean(name, [*filter(None, parts)])} Its children: "
                f"{', '.join(child for child, _ in network.named_children())}"
            )
    for index, name in enumerate(names):
        for other in [*names[:index], *names[index + 1 :]]:
            if _within(name, other):
                raise ParameterError(
                    f"nonlocal: part {name!r} is inside part {other!r}; name only one of them"
                )
    folded = [name for name, part in parts.items() if isinstance(part, InflatedMaps)]
    blocks: dict[nn.Module, nn.Module] = {}
    for name, shape in _map_shapes(network, names, clip).items():
        part = parts[name]
        in_frames = len(shape) == 4 and any(_within(name, root) for root in folded)
        if not (in_frames or (len(shape) == 5 and _is_part_of(clip, shape))):
            raise ParameterError(
                f"nonlocal: part {name!r} returns {shape or 'no single tensor'}, expected maps "
                "(N, D, T, H, W) of one size at each use"
            )
        made = NonlocalBlock(shape[1], pairwise=pairwise, pool=pool)
        block: nn.Module = OnClips(made) if in_frames else made
        block.to(_some_parameter(network)).train(part.training)
        blocks[part] = Followed(part, block)
    replace_everywhere(network, blocks)


def _some_parameter(network: nn.Module) -> Tensor:
    """Return a tensor of the network's type, on its device."""
    return next(network.parameters(), torch.empty(0))


def _is_part_of(clip: Sequence[int], shape: Sequence[int]) -> bool:
    """Return true if (N, D, T, H, W) can be maps of a clip, with a margin for padding.

    This distinguishes maps from tokens (N, T, H, W, D) in most cases.
    """
    margin = 4
    return all(side <= length + margin for side, length in zip(shape[2:], clip[1:], strict=True))


def _within(name: str, other: str) -> bool:
    """Return true if a part is another one or is inside it."""
    return not other or f"{name}.".startswith(f"{other}.")


def _map_shapes(
    network: nn.Module, names: Sequence[str], clip: Sequence[int]
) -> dict[str, tuple[int, ...]]:
    """Return the shape that each part computes from one clip; do not change the network.

    The shape is () if a part is not used, returns no tensor, or has several numbers of channels.
    """
    seen: dict[str, set[tuple[int, ...]]] = {name: set() for name in names}
    parts = dict(network.named_modules())

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def look(_: nn.Module, inputs: object, output: object) -> None:
            seen[name].add(tuple(output.shape) if isinstance(output, Tensor) else ())

        return look

    handles = [parts[name].register_forward_hook(watch(name)) for name in names]
    try:
        with evaluation_mode(network), torch.no_grad():
            network(_some_parameter(network).new_zeros(1, *clip))
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: min(shapes) if len({shape[1:2] for shape in shapes}) == 1 else ()
        for name, shapes in seen.items()
    }
