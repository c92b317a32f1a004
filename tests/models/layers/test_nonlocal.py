"""Nonlocal blocks against the equations of Wang et al. 2018, written out as loops."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError, RecipeError, UnknownNameError
from flowstream.models.layers.nonlocal_block import (
    NonlocalBlock,
    Pairwise,
)
from flowstream.models.nonlocal_net import Nonlocal

PAIRWISE: tuple[Pairwise, ...] = get_args(Pairwise)

every_pairwise = pytest.mark.parametrize("pairwise", PAIRWISE)


def matrix(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv3d)
    return conv.weight.flatten(1)


def bias(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv3d)
    assert conv.bias is not None
    return conv.bias


def written_out(block: NonlocalBlock, maps: Tensor) -> Tensor:
    """Equation 6 for one clip, z = W y + x, position by position; the norm left out.

    y_i = 1 / C(x) sum_j f(x_i, x_j) g(x_j), equation 1, over the positions j of the pooled maps.
    """
    channels = maps.shape[0]
    places = maps.reshape(channels, -1).T
    attended = block.thin(maps).reshape(channels, -1).T
    result = torch.empty_like(places)
    for i, x_i in enumerate(places):
        weights = torch.stack([pair(block, x_i, x_j) for x_j in attended])
        if block.pairwise in ("gaussian", "embedded_gaussian"):
            shares = weights / weights.sum()  # C(x) = sum_j f(x_i, x_j)
        else:
            shares = weights / len(attended)  # C(x) = N
        y_i = torch.zeros(matrix(block.g).shape[0], dtype=maps.dtype)
        for share, x_j in zip(shares, attended, strict=True):
            y_i += share * (matrix(block.g) @ x_j + bias(block.g))
        result[i] = matrix(block.out) @ y_i + bias(block.out) + x_i
    return result.T.reshape(maps.shape)


def pair(block: NonlocalBlock, x_i: Tensor, x_j: Tensor) -> Tensor:
    """f(x_i, x_j): equations 2 to 5."""
    if block.pairwise == "gaussian":
        return torch.exp(x_i @ x_j)
    theta = matrix(block.theta) @ x_i + bias(block.theta)
    phi = matrix(block.phi) @ x_j + bias(block.phi)
    if block.pairwise == "embedded_gaussian":
        return torch.exp(theta @ phi)
    if block.pairwise == "dot_product":
        return theta @ phi
    assert block.relate is not None
    return torch.relu(block.relate.weight[0] @ torch.cat([theta, phi]))


def alive(block: NonlocalBlock) -> NonlocalBlock:
    """The block in evaluation mode, its norm passing values on as they are."""
    nn.init.ones_(block.norm.weight)
    block.norm.eps = 0.0
    return block.double().eval()


@every_pairwise
@pytest.mark.parametrize("pool", [1, 2])
def test_a_block_computes_the_equations_of_the_paper(pairwise: Pairwise, pool: int) -> None:
    torch.manual_seed(0)
    block = alive(NonlocalBlock(6, pairwise=pairwise, pool=pool))
    maps = torch.randn(2, 6, 2, 4, 2, dtype=torch.float64)
    expected = torch.stack([written_out(block, clip) for clip in maps])
    # 1e-10: the same sums of float64 in another order
    torch.testing.assert_close(block(maps), expected, atol=1e-10, rtol=1e-10)


@every_pairwise
def test_a_new_block_is_the_identity(pairwise: Pairwise) -> None:
    maps = torch.randn(2, 5, 3, 4, 4)
    block = NonlocalBlock(5, pairwise=pairwise)
    assert torch.equal(block.eval()(maps), maps)
    assert torch.equal(block.train()(maps), maps)


@every_pairwise
def test_every_position_looks_at_every_other(pairwise: Pairwise) -> None:
    torch.manual_seed(0)
    block = alive(NonlocalBlock(4, pairwise=pairwise))
    maps = torch.randn(1, 4, 2, 3, 3, dtype=torch.float64)
    maps[0, :, 1, 2, 2] = torch.nan  # which spoils all that depends on it
    assert block(maps).isnan().all()


def test_options_without_sense_are_refused() -> None:
    with pytest.raises(ParameterError, match="pairwise: got 'cosine', expected one of: embedded"):
        NonlocalBlock(4, pairwise="cosine")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"pool: .*got 0"):
        NonlocalBlock(4, pool=0)
    with pytest.raises(ParameterError, match=r"attended_pool: .*got 0"):
        Nonlocal(attended_pool=0)
    with pytest.raises(ParameterError, match="pairwise: got 'cosine'"):
        Nonlocal(pairwise="cosine")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="behind: got no part"):
        Nonlocal(behind=())
    with pytest.raises(ParameterError, match="base: got 'two_stream', expected a model of one"):
        Nonlocal(base="two_stream")
    with pytest.raises(ParameterError, match="options: got dropout"):
        Nonlocal(options={"dropout": 0.1})
    with pytest.raises(UnknownNameError, match="Did you mean 'r3d_18'"):
        Nonlocal(base="r3d18")
    with pytest.raises(RecipeError, match="options of base 'slow_fusion': depth: unknown key"):
        Nonlocal(options={"depth": 3})
