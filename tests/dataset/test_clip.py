"""Cutting, mirroring and resizing keep frames and flow telling the same story."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.dataset.clip import Clip, Kind, crop, mirror, resize
from flowstream.dataset.transforms import (
    TenCrop,
    Transform,
    apply,
)
from tests.dataset.noise import COLUMNS, GEOMETRIC, ROWS, noise, rng


def texture(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth pattern without symmetry; its shortest wave is 14 pixels."""
    waves = [(0.31, 0.17, 0.3), (-0.12, 0.41, 1.1), (0.22, -0.29, 2.0), (0.05, 0.09, 0.7)]
    return sum((np.sin(a * x + b * y + c) for a, b, c in waves), np.zeros_like(x))


def moving(affine: NDArray[np.float64]) -> tuple[Clip, Clip]:
    """Two frames and the affine flow (2, 3) between them: exact, for the pattern is a formula."""
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float64)
    dx, dy = (a * x + b * y + c for a, b, c in affine)
    forward = np.eye(2) + affine[:, :2]
    sources = np.linalg.solve(
        forward, np.stack([x - affine[0, 2], y - affine[1, 2]]).reshape(2, -1)
    )
    second = texture(*sources.reshape(2, ROWS, COLUMNS))
    frames = np.stack([texture(x, y), second]).astype(np.float32)
    flow = np.stack([dx, dy]).astype(np.float32)
    return Clip("rgb", np.repeat(frames[None], 3, axis=0)), Clip("flow", flow[:, None])


def disagreement(frames: Clip, flow: Clip) -> float:
    """Root mean square of second(x + flow) - first(x) where that lies well inside."""
    from scipy.ndimage import map_coordinates

    first, second = frames.values[0].astype(np.float64)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float64)
    x, y = x + flow.values[0, 0], y + flow.values[1, 0]
    inside = (x > 4) & (x < first.shape[1] - 5) & (y > 4) & (y < first.shape[0] - 5)
    assert inside.mean() > 0.3
    fetched = map_coordinates(second, [y[inside], x[inside]], order=3)
    return float(np.sqrt(np.mean((fetched - first[inside]) ** 2)))


MOTIONS = {
    "pan": np.array([[0, 0, 2.5], [0, 0, -1.5]]),
    "zoom": np.array([[0.04, 0, 1.5], [0, 0.04, -3.5]]),
    "turn": np.array([[0, -0.05, 4.0], [0.05, 0, -4.0]]),
    "shear": np.array([[0.02, 0.05, 1.0], [0, -0.03, 2.0]]),
}


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("step", GEOMETRIC, ids=lambda step: type(step).__name__)
def test_transformed_flow_is_the_motion_of_the_transformed_frames(
    step: Transform, motion: str
) -> None:
    frames, flow = moving(MOTIONS[motion])
    for seed in range(4):
        (seen,) = apply([step], frames, rng(seed))
        (told,) = apply([step], flow, rng(seed))
        longer = Clip("flow", told.values * np.float32(1.15))
        # The pattern's root mean square is 1.4. Averaging and interpolating its waves of 14 pixels
        # linearly leaves 1 % of it; vectors 15 % too long leave more than 7 %.
        assert disagreement(seen, told) < 0.02
        assert disagreement(seen, longer) > 0.1


def test_the_views_of_flow_are_the_motion_of_the_views_of_frames() -> None:
    frames, flow = moving(MOTIONS["shear"])
    ten = TenCrop((40, 50))
    for seen, told in zip(ten.views(frames), ten.views(flow), strict=True):
        # Nothing is interpolated by cropping and mirroring: only the check itself is inexact.
        assert disagreement(seen, told) < 0.01


@pytest.mark.parametrize("kind", ["rgb", "flow"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_mirroring_twice_changes_nothing(kind: Kind, axis: str) -> None:
    clip = noise(kind)
    once = mirror(clip, axis)  # type: ignore[arg-type]
    twice = mirror(once, axis)  # type: ignore[arg-type]
    assert not np.array_equal(once.values, clip.values)
    np.testing.assert_array_equal(twice.values, clip.values)


def test_a_mirror_negates_the_component_along_its_axis_only() -> None:
    clip = noise("flow")
    x, y = mirror(clip, "x").values, mirror(clip, "y").values
    for frame, row, column in [(0, 0, 0), (1, 7, 3), (2, ROWS - 1, COLUMNS - 1)]:
        dx, dy = clip.values[:, frame, row, column]
        assert tuple(x[:, frame, row, COLUMNS - 1 - column]) == (-dx, dy)
        assert tuple(y[:, frame, ROWS - 1 - row, column]) == (dx, -dy)


@pytest.mark.parametrize("kind", ["rgb", "flow"])
def test_growing_is_linear_interpolation_between_pixel_centres(kind: Kind) -> None:
    clip = noise(kind, frames=2)
    small = crop(clip, (0, 0), (6, 7))
    rows, columns = 9, 15
    expected = np.empty((*small.values.shape[:2], rows, columns))
    for row in range(rows):
        for column in range(columns):
            y = min(max((row + 0.5) * 6 / rows - 0.5, 0), 5)
            x = min(max((column + 0.5) * 7 / columns - 0.5, 0), 6)
            top, left = min(int(y), 4), min(int(x), 5)
            down, right = y - top, x - left
            corner = small.values[..., top : top + 2, left : left + 2].astype(np.float64)
            upper = corner[..., 0, 0] * (1 - right) + corner[..., 0, 1] * right
            lower = corner[..., 1, 0] * (1 - right) + corner[..., 1, 1] * right
            expected[..., row, column] = upper * (1 - down) + lower * down
    if kind == "flow":
        expected *= np.array([columns / 7, rows / 6])[:, None, None, None]
    # uint8: OpenCV's 11-bit weights and rounding are within one grey level of exact arithmetic.
    atol = 1.0 if kind == "rgb" else 1e-4
    np.testing.assert_allclose(resize(small, (rows, columns)).values, expected, atol=atol)


@pytest.mark.parametrize("kind", ["rgb", "flow"])
def test_shrinking_averages_areas(kind: Kind) -> None:
    clip = noise(kind)
    blocks = clip.values.astype(np.float64).reshape(-1, 3, ROWS // 4, 4, COLUMNS // 5, 5)
    expected = blocks.mean(axis=(3, 5))
    if kind == "flow":
        expected *= np.array([1 / 5, 1 / 4])[:, None, None, None]
    # Half a grey level of rounding; float32 sums of 20 values.
    atol = 0.51 if kind == "rgb" else 1e-5
    result = resize(clip, (ROWS // 4, COLUMNS // 5)).values
    np.testing.assert_allclose(result, expected, atol=atol)
