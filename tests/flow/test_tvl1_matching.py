"""Block matching of `tvl1`: fast objects, and agreement with a direct computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError
from flowstream.flow.kernels.planes import as_image
from flowstream.flow.kernels.tvl1_numba import Solver
from flowstream.flow.kernels.tvl1_parameters import LIMIT, REACH_FINE, WINDOW_FINE
from flowstream.flow.tvl1 import TVL1
from flowstream.types import Images

SIZE = (192, 256)
SQUARE = slice(70, 130), slice(60, 120)
MOTION = (52, -12)

Floats = NDArray[np.float32]


def fast_square(seed: int = 1) -> tuple[Images, Images]:
    """Return a square of 60 pixels that moves by MOTION over a slow background."""
    behind = synthetic.pan(dx=1, dy=0, size=SIZE, seed=seed)
    before, _ = synthetic.pan(dx=0, dy=0, size=SIZE, seed=seed + 1)
    first, second = behind[0].copy(), behind[1].copy()
    dx, dy = MOTION
    rows, columns = SQUARE
    first[:, rows, columns] = before[:, rows, columns]
    second[:, rows.start + dy : rows.stop + dy, columns.start + dx : columns.stop + dx] = before[
        :, rows, columns
    ]
    return first, second


@pytest.mark.parametrize("preset", ["default", "fast", "accurate"])
def test_an_object_that_moves_by_its_own_width_is_found(preset: Any) -> None:
    pair = fast_square()
    error = {}
    for matching in ("none", "blocks"):
        vectors = TVL1(preset=preset, matching=matching)(*pair)[0, :, 78:122, 68:112]
        error[matching] = np.hypot(vectors[0] - MOTION[0], vectors[1] - MOTION[1]).mean()
    # pixels of 53: total variation rounds the corners, most of all where there are many levels
    assert error["blocks"] < (4 if preset == "accurate" else 1)
    assert error["none"] > 20


def flat_middle(seed: int = 1) -> tuple[Images, Images]:
    """Return the pair of `fast_square` with a grey middle, without detail."""
    first, second = fast_square(seed)
    dx, dy = MOTION
    first[:, 78:122, 68:112] = 128
    second[:, 78 + dy : 122 + dy, 68 + dx : 112 + dx] = 128
    return first, second


@pytest.mark.parametrize("preset", ["default", "accurate"])
def test_regions_find_more_of_an_object_without_detail(preset: Any) -> None:
    pair = flat_middle()
    error = {}
    for matching in ("blocks", "regions"):
        vectors = TVL1(preset=preset, matching=matching)(*pair)[0, :, 70:130, 60:120]
        error[matching] = np.hypot(vectors[0] - MOTION[0], vectors[1] - MOTION[1]).mean()
    assert error["regions"] < error["blocks"]


def test_small_motion_is_not_changed_by_block_matches() -> None:
    first, second = synthetic.pan(dx=1.5, dy=-0.5, size=SIZE, seed=4)
    with_blocks, without = (TVL1(matching=kind)(first, second) for kind in ("blocks", "none"))
    # an eighth of a step of the 8-bit codec at bound 20
    assert np.abs(with_blocks - without).mean() < 0.02


def test_frames_too_small_for_two_levels_of_matching_have_none() -> None:
    first, second = synthetic.pan(dx=2, dy=1, size=(100, 120), seed=3)
    with_blocks, without = (TVL1(matching=kind)(first, second) for kind in ("blocks", "none"))
    np.testing.assert_array_equal(with_blocks, without)


def solved(pair: tuple[Images, Images]) -> Solver:
    method = TVL1()
    solver = Solver(method.grids(SIZE), method.numbers())
    solver(pair[0][0], pair[1][0], np.empty((2, *SIZE), np.float32))
    return solver


def level_images(solver: Solver) -> tuple[Floats, Floats]:
    """Return what is matched on the finer level, first the image of the forward direction."""
    start = 0
    sizes = [tuple(map(int, size)) for size in solver.grids.sizes]
    for rows, columns in sizes[: solver.grids.fine]:
        start += as_size(rows, columns)
    frames = solver.workspace.frames
    place = int((frames[0] != frames[1]).argmax())
    first = int(frames[0].flat[place] > frames[1].flat[place])
    pyramids = solver.workspace.matched[first], solver.workspace.matched[1 - first]
    images = [as_image(plane[start:], *sizes[solver.grids.fine]).copy() for plane in pyramids]
    return images[0], images[1]


def as_size(rows: int, columns: int) -> int:
    return (rows + 6) * ((columns + 15) // 16 * 16 + 32)


def slow_cost(first: Floats, second: Floats, dx: int, dy: int) -> Floats:
    """Return the cost of one displacement for each pixel of the first image; inf outside."""
    rows, columns = first.shape
    height, width = rows - abs(dy), columns
    cost = np.full(first.shape, np.inf, np.float32)
    if height <= 0:
        return cost
    top = max(0, -dy)
    shifted = np.full((height, width), 1e6, np.float32)
    left, right = max(0, -dx), min(columns, columns - dx)
    shifted[:, left:right] = second[top + dy : top + dy + height, left + dx : right + dx]
    difference = np.minimum(np.abs(first[top : top + height] - shifted), LIMIT)
    wide = np.pad(difference, WINDOW_FINE, mode="edge")
    side = 2 * WINDOW_FINE + 1
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side))
    cost[top : top + height] = windows.sum((2, 3))
    return cost


def test_each_match_has_the_lowest_cost_of_the_displacements_tried() -> None:
    solver = solved(fast_square())
    search, size = solver.search, tuple(map(int, solver.grids.sizes[solver.grids.fine]))
    assert search is not None
    first, second = level_images(solver)
    # entries after the last one are those of no earlier pair: the memory was new
    chosen = {(0, 0), *(map(tuple, search.chosen.tolist()))}
    costs = {(dx, dy): slow_cost(first, second, dx, dy) for dx, dy in chosen}
    lowest = np.min(list(costs.values()), axis=0)
    found = [as_image(plane, size[0], size[1]) for plane in search.forward]
    # sums of 49 numbers up to 30 in float32, in another order
    np.testing.assert_allclose(found[0], lowest, rtol=0, atol=0.02)
    assert max(np.abs(found[1]).max(), np.abs(found[2]).max()) <= REACH_FINE
    y, x = np.mgrid[: size[0], : size[1]]
    picked = np.array(
        [costs[int(dx), int(dy)][i, j] for i, j, dx, dy in
         zip(y.flat, x.flat, found[1].flat, found[2].flat, strict=True)]
    )  # fmt: skip
    np.testing.assert_allclose(picked, lowest.ravel(), rtol=0, atol=0.02)


@pytest.fixture(scope="module")
def video() -> Images:
    """Three frames with a fast square, so that matches matter."""
    first, second = fast_square(seed=5)
    third, _ = fast_square(seed=7)
    return np.concatenate([first, second, third])


def test_matches_shared_by_both_directions_are_those_of_each_alone(video: Images) -> None:
    method = TVL1(preset="fast")
    forward, backward = method.both_directions(video[:-1], video[1:])
    for k in range(2):
        for field, ends in ((forward, (k, k + 1)), (backward, (k + 1, k))):
            TVL1(preset="fast")(video[2:] * 0, video[2:])  # forget the frames
            alone = method(video[ends[0], None], video[ends[1], None])
            np.testing.assert_array_equal(field[k], alone[0])


def test_threads_and_batches_do_not_change_matches(video: Images) -> None:
    together = TVL1(preset="fast", threads=2)(video[:-1], video[1:])
    alone = [TVL1(preset="fast")(video[k, None], video[k + 1, None])[0] for k in range(2)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_torch_and_numba_agree_where_matches_matter(video: Images) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    by_torch = TVL1(preset="fast", engine="torch", device="cpu")
    forward, backward = by_torch.both_directions(video[:-1], video[1:])
    expected = TVL1(preset="fast").both_directions(video[:-1], video[1:])
    # where the costs of both candidates are about equal, the engines may choose differently
    assert np.abs(forward - expected[0]).mean() < 0.02
    assert np.abs(backward - expected[1]).mean() < 0.02


def test_torch_and_numba_accept_the_same_regions() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pair = flat_middle()
    by_torch = TVL1(matching="regions", engine="torch", device="cpu")(*pair)
    # where the costs of both candidates are about equal, the engines may choose differently
    assert np.abs(by_torch - TVL1(matching="regions")(*pair)).mean() < 0.02


def test_an_unknown_kind_of_matching_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"matching.*none, blocks, regions.*'block'"):
        TVL1(matching="block")
