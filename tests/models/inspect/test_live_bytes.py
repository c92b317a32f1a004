"""Count of the bytes of existing tensors."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from flowstream.models.inspect.live_bytes import LiveBytes


def test_existing_tensors_count_once_with_all_their_views() -> None:
    there = torch.zeros(100)
    live = LiveBytes([there, there[10:], there.view(10, 10)])
    assert live.now == live.peak == 400


def test_results_count_until_they_are_dropped() -> None:
    there = torch.zeros(100)
    with LiveBytes([there]) as live:
        first = there + 1
        second = first * 2
        assert live.now == 1200
        del first
        assert live.now == 800
        del second
        assert (live.now, live.peak) == (400, 1200)


def test_arguments_count_while_the_result_is_computed() -> None:
    values = torch.zeros(100)
    with LiveBytes([values]) as live:
        values = values + 1
    assert (live.now, live.peak) == (400, 800)


def test_views_and_in_place_operations_need_no_memory() -> None:
    with LiveBytes() as live:
        values = torch.zeros(100)
        values.view(10, 10).t().add_(1)
        first = values.chunk(5)[0]
        del values
        # the view keeps the whole
        assert live.now == live.peak == 400
        del first
    assert live.now == 0


def test_saved_tensors_count_until_the_backward_pass_has_used_them() -> None:
    weights = torch.ones(100, requires_grad=True)
    with LiveBytes([weights]) as live:
        loss = weights.exp().sum()
        assert live.now == 400 + 400 + 4
        torch.autograd.backward(loss)
        # where the loss's gradient, a number, multiplies what was kept: both, and the result
        assert live.peak == 400 + 400 + 400 + 4 + 4
        # weights, their gradient, the loss
        assert live.now == 400 + 400 + 4


@pytest.mark.parametrize("fake", [False, True])
def test_fake_tensors_count_like_real_ones(fake: bool) -> None:
    with FakeTensorMode() if fake else nullcontext():
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        there = [torch.zeros(2, 3, 10, 10), *network.parameters(), *network.buffers()]
        before = sum(tensor.nbytes for tensor in there)
        with LiveBytes(there) as live:
            assert live.now == before
            maps = network(there[0])
            # the maps of the convolution and those of the norm, its means and deviations
            assert live.now == before + 4 * (2 * 2 * 8 * 8 * 8 + 2 * 8)
            del maps
            assert live.now == before


def test_tensors_freed_after_the_end_are_still_subtracted() -> None:
    with LiveBytes() as live:
        values = torch.zeros(100)
    del values
    assert (live.now, live.peak) == (0, 400)
