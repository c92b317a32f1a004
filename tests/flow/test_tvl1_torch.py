"""The torch engine of `tvl1`: block matching on the device, shared frames, mixed precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError
from flowstream.flow.kernels.tvl1_numba import find_matches
from flowstream.flow.tensor_method import share_frames
from flowstream.flow.tvl1 import TVL1
from flowstream.types import Images

torch = pytest.importorskip("torch", reason="torch is not installed")

from flowstream.flow.kernels import matching_torch, tvl1_torch  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = (192, 256)
MOTION = (44, -12)


def fast_squares() -> Images:
    """Return three frames; in the last two a square moves by its own width, then back."""
    frames = np.concatenate(synthetic.pan(dx=1, dy=0, size=SIZE, seed=1))
    square = synthetic.pan(dx=0, dy=0, size=SIZE, seed=2)[0][0, 70:130, 60:120]
    frames = np.stack([frames[0], frames[1], frames[0]])
    for frame, (x, y) in zip(
        frames, ((60, 70), (60 + MOTION[0], 70 + MOTION[1]), (60, 70)), strict=True
    ):
        frame[y : y + 60, x : x + 60] = square
    return frames


def solve(frames: Images, pairs: list[list[int]], **choices: Any) -> NDArray[np.float32]:
    method = TVL1(inner_iterations=8)
    fields = tvl1_torch.solve_pairs(
        torch.from_numpy(frames).to(DEVICE),
        torch.tensor(pairs, device=DEVICE),
        numbers=method.numbers(),
        grids=method.grids(SIZE),
        directions=2,
        options=tvl1_torch.Options(**choices),
    )
    return np.asarray(fields.cpu().numpy())


@pytest.fixture(scope="module")
def by_torch() -> NDArray[np.float32]:
    return solve(fast_squares(), [[0, 1], [1, 2]], match_by_torch=True)


def test_matches_of_the_device_are_those_of_the_cpu() -> None:
    frames = fast_squares()
    method = TVL1()
    numbers, grids = method.numbers(), method.grids(SIZE)
    loops = tvl1_torch._choose_loops(tvl1_torch.Options())
    pyramids = tvl1_torch._pyramids(torch.from_numpy(frames), numbers, grids, loops)
    coarse, fine = (
        matching_torch.Ends(pyramids.matched[k][:1], pyramids.matched[k][1:2])
        for k in (grids.coarse, grids.fine)
    )
    guides = [pyramids.guides[grids.fine][:1], pyramids.guides[grids.fine][1:2]]
    found = matching_torch.find_matches(coarse, fine, guides)
    for ends, ours in zip(((0, 1), (1, 0)), found, strict=True):
        images = (frames[k : k + 1] for k in ends)
        expected = find_matches(*images, numbers=numbers, grids=grids, threads=1)
        same = (np.abs(ours.numpy() - expected) < 0.5).all(1)
        # equal costs, and pixels that are equally far from two matches, are decided by rounding
        assert same.mean() > 0.97
        assert np.abs(expected).max() > 10


def test_flow_with_matches_of_the_device_is_that_of_the_cpu(by_torch: NDArray[np.float32]) -> None:
    by_numba = solve(fast_squares(), [[0, 1], [1, 2]], match_by_torch=False)
    # px; the fields of the two engines differ by as much
    assert np.abs(by_torch - by_numba).mean() < 0.02
    inner = by_torch[0, 0, :, 80:120, 70:110]
    assert np.hypot(inner[0] - MOTION[0], inner[1] - MOTION[1]).mean() < 1


def test_both_directions_are_those_of_two_pairs(by_torch: NDArray[np.float32]) -> None:
    swapped = solve(fast_squares(), [[1, 0], [2, 1]], match_by_torch=True)
    # px; of two matches with equal costs another one may be the first
    assert np.abs(by_torch - swapped[::-1]).mean() < 0.02


def test_pairs_of_other_videos_in_the_batch_change_nothing(by_torch: NDArray[np.float32]) -> None:
    other = np.random.default_rng(1).integers(0, 256, (2, *SIZE), dtype=np.uint8)
    frames = np.concatenate([other, fast_squares()])
    mixed = solve(frames, [[2, 3], [0, 1], [3, 4]], match_by_torch=True)
    # float32 sums of another batch size may be added in another order
    assert np.abs(mixed[:, [0, 2]] - by_torch).mean() < 1e-3


def test_mixed_precision_changes_the_flow_by_less_than_the_engine(
    by_torch: NDArray[np.float32],
) -> None:
    mixed = solve(fast_squares(), [[0, 1], [1, 2]], match_by_torch=True, mixed=True)
    assert 0 < np.abs(mixed - by_torch).mean() < 0.02
    method = TVL1(engine="torch", precision="mixed")
    assert method == TVL1(engine="torch")
    with pytest.raises(ParameterError, match="precision: expected one of: float32, mixed"):
        TVL1(precision="double")


def test_spread_labels_take_the_nearest_along_edges() -> None:
    guide = torch.zeros(1, 5, 9)
    guide[:, :, 5:] = 100  # an edge is longer than any way around it would be
    labels = torch.full((1, 5, 9), -1)
    labels[0, 2, 1], labels[0, 2, 8] = 7, 9
    found = matching_torch.spread_labels(labels, guide)[0]
    assert (found[:, :5] == 7).all()
    assert (found[:, 5:] == 9).all()
    assert (matching_torch.spread_labels(torch.full((1, 5, 9), -1), guide) == -1).all()


def test_small_groups_are_dropped_however_they_wind() -> None:
    agreed = torch.zeros(1, 24, 24, dtype=torch.bool)
    agreed[0, 1, 1:20] = True  # 19 pixels: one too few
    agreed[0, 4:23, 3] = agreed[0, 22, 3:15] = True  # a corner of 30
    agreed[0, 10:16, 10:16] = True  # 36 pixels, half of them with another displacement
    x = torch.zeros(1, 24, 24, dtype=torch.int64)
    x[0, 10:13, 10:16] = 5
    best = matching_torch.Best(torch.zeros(1, 24, 24), x, torch.zeros_like(x))
    kept = matching_torch._large_groups(best, agreed)
    expected = torch.zeros_like(agreed)
    expected[0, 4:23, 3] = expected[0, 22, 3:15] = True
    assert torch.equal(kept, expected)


def test_frames_that_pairs_share_are_held_once() -> None:
    frames = np.arange(5, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    first, second = frames[[0, 1, 3, 1]], frames[[1, 2, 4, 0]]
    kept, pairs = share_frames(first, second)
    assert kept[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 1, 0]
    np.testing.assert_array_equal(kept[pairs[:, 0]], first)
    np.testing.assert_array_equal(kept[pairs[:, 1]], second)


def test_the_batch_of_a_gpu_shrinks_with_the_frames() -> None:
    method = TVL1(engine="torch", device="cpu")
    object.__setattr__(method, "device", "cuda")
    sizes = [(256, 340), (480, 640), (720, 1280), (4320, 7680)]
    assert [method.pairs_at_once(size) for size in sizes] == [64, 16, 4, 1]
