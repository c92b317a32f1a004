"""Backward and forward warping, compared with slow oracles and with geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion
from flowstream.flow.files import read_flow
from flowstream.flow.measure import known

SIDES = st.integers(1, 12)


@st.composite
def fields(draw: st.DrawFn) -> NDArray[np.float32]:
    """Draw a small field with typical speeds."""
    elements = st.floats(-6, 6, width=32)
    drawn: NDArray[np.float32] = draw(
        hnp.arrays(np.float32, (2, draw(SIDES), draw(SIDES)), elements=elements)
    )
    return drawn


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@given(image=hnp.arrays(st.sampled_from([np.uint8, np.float32]), st.tuples(SIDES, SIDES, SIDES)))
def test_warping_by_zero_flow_changes_nothing(
    image: NDArray[Any], interpolation: motion.Interpolation
) -> None:
    image = np.nan_to_num(image, nan=0, posinf=1, neginf=-1).clip(-1e6, 1e6).astype(image.dtype)
    still = np.zeros((2, *image.shape[:2]), np.float32)
    for picture in (image, image[..., 0]):
        warped, valid = motion.warp(picture, still, interpolation=interpolation)
        np.testing.assert_array_equal(warped, picture)
        assert warped.dtype == picture.dtype
        assert valid.all()


@given(fields(), st.integers(0, 99))
def test_warping_equals_a_slow_interpolation(vectors: NDArray[np.float32], seed: int) -> None:
    _, rows, columns = vectors.shape
    image = np.random.default_rng(seed).random((rows, columns)).astype(np.float32)
    warped, valid = motion.warp(image, vectors)
    for y, x in np.ndindex(rows, columns):
        to_x, to_y = np.float32(x) + vectors[0, y, x], np.float32(y) + vectors[1, y, x]
        assert valid[y, x] == (0 <= to_x <= columns - 1 and 0 <= to_y <= rows - 1)
        expected = 0.0
        for j, i in np.ndindex(rows, columns) if valid[y, x] else ():
            weight = max(0, 1 - abs(to_x - i)) * max(0, 1 - abs(to_y - j))
            expected += weight * image[j, i]
        assert warped[y, x] == pytest.approx(expected, abs=1e-5)  # float32 sums


def test_bicubic_warping_is_exact_on_quadratics_inside() -> None:
    y, x = np.mgrid[:12, :14].astype(np.float32)
    image = 0.5 * x * x - 0.3 * x * y + 0.2 * y * y + x - 2 * y + 3
    vectors = np.full((2, 12, 14), 0.37, np.float32)
    warped, valid = motion.warp(image, vectors, interpolation="bicubic")
    to_x, to_y = x + 0.37, y + 0.37
    expected = 0.5 * to_x**2 - 0.3 * to_x * to_y + 0.2 * to_y**2 + to_x - 2 * to_y + 3
    inside = (slice(1, -3), slice(1, -3))
    np.testing.assert_allclose(warped[inside], expected[inside], atol=2e-4)  # float32 of 100
    assert not valid[-1].any()
    assert not valid[:, -1].any()
    assert valid[:-1, :-1].all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_second_frame_warped_by_the_truth_is_the_first(
    interpolation: motion.Interpolation,
) -> None:
    first, second, truth = synthetic.rotation(degrees=4, size=(96, 128), seed=3)
    warped, valid = motion.warp(second[0], truth[0], interpolation=interpolation)
    error = np.abs(warped.astype(float) - first[0])[valid].mean()
    unmoved = np.abs(second[0].astype(float) - first[0])[valid].mean()
    # 1.5 levels: rounding both frames costs 0.5 on average, the rest is interpolation
    assert error < 1.5
    assert unmoved > 10 * error
    assert valid.mean() > 0.9


def test_unknown_vectors_and_vectors_out_of_the_frame_are_not_valid_and_zero() -> None:
    image = np.full((3, 4, 2), 200, np.uint8)
    vectors = np.zeros((2, 3, 4), np.float32)
    vectors[0, 0, 0] = np.nan
    vectors[1, 0, 1] = np.inf
    vectors[0, 0, 2] = 1.5
    vectors[1, 0, 3] = -0.01
    warped, valid = motion.warp(image, vectors)
    assert valid.sum() == 8
    assert not valid[0].any()
    assert not warped[0].any()
    assert (warped[1:] == 200).all()


def test_bicubic_overshoot_does_not_wrap_around() -> None:
    image = np.zeros((4, 8), np.uint8)
    image[:, 4:] = 255
    vectors = np.full((2, 4, 8), 0.5, np.float32)
    warped, _ = motion.warp(image, vectors, interpolation="bicubic")
    assert warped[0, 2] == 0  # -16 without clipping
    assert warped[0, 4] == 255  # 271


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5), np.uint8), r"expected shape \(4, 4\).* got \(4, 5\)"),
        (np.zeros((5, 4), np.uint8), r"expected shape \(4, 4\).* got \(5, 4\)"),
        (np.zeros((1, 4, 4), np.uint8), r"expected shape \(4, 4\).* got \(1, 4, 4\)"),
        (np.zeros((4, 4), np.float64), "expected uint8 or float32, got float64"),
    ],
)
def test_images_that_do_not_fit_the_field_are_an_error(image: NDArray[Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        motion.warp(image, np.zeros((2, 4, 4), np.float32))


def test_an_unknown_value_affects_only_its_neighbours() -> None:
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    image[1, 2] = np.nan
    still = np.zeros((2, 4, 5), np.float32)
    warped, valid = motion.warp(image, still)
    np.testing.assert_array_equal(valid, np.isfinite(image))
    assert warped[1, 2] == 0
    still[0] = 0.3
    warped, valid = motion.warp(image, still)
    assert valid.sum() == 4 * 4 - 2
    assert not valid[1, 1:3].any()
    assert np.isfinite(warped).all()


def slow_splat(
    image: NDArray[np.float32], vectors: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weighted mean and the received bilinear weight, pixel by pixel."""
    _, rows, columns = vectors.shape
    total, counted, landed = np.zeros((3, rows, columns))
    for y, x in np.ndindex(rows, columns):
        to_x, to_y = np.float32(x) + vectors[0, y, x], np.float32(y) + vectors[1, y, x]
        for j, i in np.ndindex(rows, columns):
            part = max(0, 1 - abs(float(to_x) - i)) * max(0, 1 - abs(float(to_y) - j))
            landed[j, i] += part
            counted[j, i] += part * weights[y, x]
            total[j, i] += part * weights[y, x] * image[y, x]
    return total / np.where(counted > 0, counted, 1), np.where(counted > 0, landed, 0)


@given(fields(), st.integers(0, 99))
def test_splatting_equals_a_slow_sum(vectors: NDArray[np.float32], seed: int) -> None:
    generator = np.random.default_rng(seed)
    image = generator.random(vectors.shape[1:]).astype(np.float32)
    drawn = generator.integers(0, 4, vectors.shape[1:]).astype(np.float32)
    for weights in (None, drawn):
        carried, filled = motion.splat(image, vectors, weights=weights)
        means, landed = slow_splat(
            image, vectors, np.ones_like(image) if weights is None else weights
        )
        clear = np.abs(landed - 0.1) > 1e-5  # rounding decides the other pixels
        np.testing.assert_array_equal(filled[clear], (landed >= 0.1)[clear])
        np.testing.assert_allclose(carried[filled], means[filled], atol=1e-5)  # float32
        assert not carried[~filled].any()


@given(hnp.arrays(np.uint8, st.tuples(SIDES, SIDES, SIDES)), st.integers(-3, 3), st.integers(-3, 3))
def test_a_splat_by_integers_shifts_the_image(image: NDArray[np.uint8], dx: int, dy: int) -> None:
    rows, columns = image.shape[:2]
    vectors = np.empty((2, rows, columns), np.float32)
    vectors[0], vectors[1] = dx, dy
    carried, filled = motion.splat(image, vectors)
    assert carried.dtype == np.uint8
    for y, x in np.ndindex(rows, columns):
        inside = 0 <= y - dy < rows and 0 <= x - dx < columns
        assert filled[y, x] == inside
        expected = image[y - dy, x - dx] if inside else 0
        np.testing.assert_array_equal(carried[y, x], expected)


def test_a_splat_by_the_ground_truth_is_the_second_frame_with_holes() -> None:
    first, second, truth = synthetic.layers(
        size=(96, 128), background=(0, 0), foreground=(8, 0), seed=3
    )
    carried, filled = motion.splat(first[0], truth[0], weights=1 + truth[0, 0])
    # uncovered area of a disc of radius 24: its area minus the overlap of two discs 8 px apart
    angle = np.arccos(4 / 24)
    shared = 24**2 * (2 * angle - np.sin(2 * angle))
    uncovered = np.pi * 24**2 - shared
    # one pixel along the half circle at the border of the crescent
    assert abs((~filled).sum() - uncovered) < np.pi * 24
    error = np.abs(carried.astype(float) - second[0])
    # the disc has nine times the weight: mixed pixels have an error of one tenth, others none
    assert np.median(error[filled]) <= 1
    assert error[filled].mean() < 2


def test_unknown_vectors_and_values_are_ignored() -> None:
    image = np.full((3, 4), 7, np.float32)
    image[0, 0] = np.nan
    vectors = np.zeros((2, 3, 4), np.float32)
    vectors[0, 1, 1] = np.nan
    vectors[1, 2, 2] = np.inf
    carried, filled = motion.splat(image, vectors)
    expected = np.ones((3, 4), bool)
    expected[[0, 1, 2], [0, 1, 2]] = False
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(carried, 7 * expected)


def test_errors_name_the_invalid_argument() -> None:
    field = np.zeros((2, 4, 4), np.float32)
    for shape in ((4, 4), (3, 4, 4), (1, 2, 4, 4)):
        wrong = np.zeros(shape, np.float32)
        with pytest.raises(ShapeError, match="vectors: expected shape"):
            motion.warp(field[0], wrong)
        with pytest.raises(ShapeError, match="vectors: expected shape"):
            motion.splat(field[0], wrong)
    with pytest.raises(ShapeError, match=r"weights: .* got \(4, 5\)"):
        motion.splat(field[0], field, weights=np.ones((4, 5), np.float32))
    with pytest.raises(ParameterError, match=r"weights: .* got a negative"):
        motion.splat(field[0], field, weights=np.full((4, 4), -1, np.float32))
    with pytest.raises(ShapeError, match=r"image: .* got \(4, 5\)"):
        motion.splat(np.zeros((4, 5), np.uint8), field)
    with pytest.raises(ParameterError, match="Did you mean 'bilinear'"):
        motion.warp(field[0], field, interpolation="bilinaer")  # type: ignore[arg-type]


def test_kittis_sparse_ground_truth_warps_the_second_frame_to_the_first(shared_data: Path) -> None:
    folder = shared_data / "kitti2015"
    truth = read_flow(folder / "kitti_noc_000010_10.png")
    first, second = (
        cv2.imread(str(folder / f"kitti_000010_{frame}.png"), cv2.IMREAD_GRAYSCALE)
        for frame in (10, 11)
    )
    assert first is not None
    assert second is not None
    warped, valid = motion.warp(second.astype(np.uint8), truth)
    assert not (valid & ~known(truth)).any()
    assert (
        valid.sum() > 0.95 * known(truth).sum()
    )  # pixels that are not occluded are in the second frame
    error = np.abs(warped.astype(float) - first)[valid].mean()
    unmoved = np.abs(second.astype(float) - first)[valid].mean()
    assert error < unmoved / 2
