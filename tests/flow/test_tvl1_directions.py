"""Flow there and back by `tvl1`: what it shares between pairs and directions changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.flow.kernels.tvl1_parameters import PRESETS
from flowstream.flow.tvl1 import TVL1
from flowstream.types import Images


@pytest.fixture(scope="module")
def video() -> Images:
    """Four frames of a pan, odd sides."""
    frames = [synthetic.pan(dx=1.5 * t, dy=-t, size=(45, 59), seed=6)[1] for t in range(4)]
    return np.concatenate(frames)


def alone(method: TVL1, first: Images, second: Images) -> NDArray[np.float32]:
    """Each pair by a method that has seen nothing of it before."""
    fields = []
    for k in range(len(first)):
        method(np.zeros_like(first[:1]), np.full_like(first[:1], 9))
        fields.append(method(first[k : k + 1], second[k : k + 1])[0])
    return np.stack(fields)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("threads", [1, 2])
def test_both_directions_are_exactly_what_each_pair_gives_alone(
    video: Images, preset: str, threads: int
) -> None:
    method = TVL1(preset=preset, threads=threads)  # type: ignore[arg-type]
    forward, backward = method.both_directions(video[:-1], video[1:])
    np.testing.assert_array_equal(forward, alone(method, video[:-1], video[1:]))
    np.testing.assert_array_equal(backward, alone(method, video[1:], video[:-1]))


def test_frames_that_come_again_in_any_order_change_nothing(video: Images) -> None:
    method = TVL1(preset="fast")
    order = [0, 1, 0, 2, 2, 1, 3, 3, 0]
    first, second = video[order[:-1]], video[order[1:]]
    np.testing.assert_array_equal(method(first, second), alone(method, first, second))


@pytest.mark.parametrize("preset", ["default", "fast"])
def test_torch_gives_both_directions_as_two_calls(video: Images, preset: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    method = TVL1(preset=preset, engine="torch", device="cpu")  # type: ignore[arg-type]
    forward, backward = method.both_directions(video[:-1], video[1:])
    # 1e-4 px: sums may be ordered by batch
    np.testing.assert_allclose(forward, method(video[:-1], video[1:]), rtol=0, atol=1e-4)
    np.testing.assert_allclose(backward, method(video[1:], video[:-1]), rtol=0, atol=1e-4)
