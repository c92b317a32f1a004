"""Luma and RGB of decoded frames against the equations of the standards."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import VideoError
from flowstream.types import Images
from flowstream.video.pixels import Converter, Orientation, resize

SIZE = (48, 64)
EXACT = 0x2 | 0x40000 | 0x2000  # SWS_BILINEAR, _ACCURATE_RND, _FULL_CHR_H_INT
# (kr, kb) of ITU-R BT.601, BT.709 and BT.2020, by FFmpeg's number of the colour space
WEIGHTS = {2: (0.299, 0.114), 5: (0.299, 0.114), 1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}


def colours() -> Images:
    """Smooth colours well inside the cube: what clips has no inverse."""
    planes = [synthetic.texture(SIZE, seed=seed, contrast=20, finest=24) for seed in range(3)]
    return np.stack(planes, axis=-1)


def coded(rgb: Images, *, space: int, full: bool, bits: int = 8) -> NDArray[np.float64]:
    """(3, H, W): Y, Cb, Cr as ITU-R BT.601-7, BT.709-6 and BT.2020-2 define them."""
    kr, kb = WEIGHTS[space]
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    if full:
        planes = np.stack([y, cb + 128, cr + 128])
    else:
        planes = np.stack([y * 219 / 255 + 16, cb * 224 / 255 + 128, cr * 224 / 255 + 128])
    return np.asarray(np.rint(planes * 2 ** (bits - 8)), np.float64)


def halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = plane.shape
    means = plane.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    return np.asarray(means.round(), np.float64)


def decoded(
    planes: list[NDArray[np.float64]], layout: str, *, space: int, full: bool
) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], layout)
    for target, values in zip(frame.planes, planes, strict=True):
        lines = np.zeros((target.height, target.line_size), np.uint8)
        content = values.astype("<u2" if layout.endswith("10le") else np.uint8).view(np.uint8)
        lines[:, : content.shape[1]] = content
        target.update(lines.tobytes())
    frame.colorspace = space
    frame.color_range = ColorRange.JPEG if full else ColorRange.UNSPECIFIED
    return frame


def off(seen: Images, expected: NDArray[Any]) -> float:
    return float(np.abs(seen.astype(np.float64) - expected).max())


@pytest.mark.parametrize("space", WEIGHTS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_luma_is_the_y_plane_at_full_range_and_rgb_follows_the_colour_space(
    layout: str, full: bool, space: int
) -> None:
    rgb = colours()
    planes = coded(rgb, space=space, full=full, bits=10 if layout.endswith("10le") else 8)
    chroma = [halved(plane) if "420" in layout else plane for plane in planes[1:]]
    frame = decoded([planes[0], *chroma], layout, space=space, full=full)
    converter = Converter()
    luma = coded(rgb, space=space, full=True)[0]
    # half a step of limited range is 0.58 levels; the table and the truth round half a level each,
    # and so does the way from 10 bits to 8
    assert off(converter.luma(frame), luma) <= 2
    # 1.772 x 1.14 levels a step of Cb, half a step off, and luma's own; with halved chroma, what
    # smooth colours change over two pixels
    assert off(converter.rgb(frame), rgb) <= (12 if "420" in layout else 4)
    assert np.abs(converter.rgb(frame).astype(float) - rgb).mean() < 1.5


def test_luma_is_what_opencv_makes_of_the_rgb_frame() -> None:
    rgb = colours()
    planes = coded(rgb, space=5, full=False)
    frame = decoded(list(planes), "yuv444p", space=5, full=False)
    # two roundings, of Y to 219 steps and of the result to 255
    assert off(Converter().luma(frame), cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)) <= 2


def test_overshoots_of_limited_range_clip() -> None:
    ramp = np.tile(np.arange(256, dtype=np.float64), (16, 1))
    grey = np.full((16, 256), 128.0)
    frame = decoded([ramp, grey, grey], "yuv444p", space=2, full=False)
    luma = Converter().luma(frame)[0]
    assert (luma[:17] == 0).all()
    assert (luma[235:] == 255).all()
    assert (np.diff(luma.astype(int)) >= 0).all()


# what 1, 2, 3 and 4 bits a channel lose at most, and what FFmpeg's converters round
LAYOUTS = {
    "rgb24": 1,
    "bgr0": 1,
    "gbrp": 1,
    "gbrp10le": 2,
    "nv12": 12,
    "yuv422p": 12,
    "yuyv422": 12,
    "yuvj420p": 12,
    "yuva444p": 4,
    "p010le": 12,
    "rgb565le": 12,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_pixel_formats_give_the_same_colours(layout: str) -> None:
    rgb = colours()
    source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frame = source.reformat(format=layout, interpolation=EXACT, threads=1)
    converter = Converter()
    assert off(converter.rgb(frame), rgb) <= LAYOUTS[layout]
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    assert off(converter.luma(frame), gray) <= (8 if layout == "rgb565le" else 3)


@pytest.mark.parametrize("layout", ["gray", "gray10le", "gray16be", "ya8"])
def test_grey_videos_have_full_range_and_are_unchanged(layout: str) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    source = av.VideoFrame.from_ndarray(grey, format="gray")
    frame = source.reformat(format=layout, threads=1)
    # rounding from more bits than 8
    assert off(Converter().luma(frame), grey) <= 1
    assert off(Converter().rgb(frame), Converter().luma(frame)[..., None]) == 0


def test_grey_that_says_it_is_limited_is_stretched() -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    frame = av.VideoFrame.from_ndarray(grey, format="gray")
    frame.color_range = ColorRange.MPEG
    luma = Converter().luma(frame)[0]
    assert (luma[16], luma[126], luma[235]) == (0, 128, 255)


@pytest.mark.parametrize("size", [(47, 64), (48, 61), (47, 61)])
def test_odd_sides_keep_every_row_and_column(size: tuple[int, int]) -> None:
    rgb = synthetic.texture(size, seed=1, contrast=20, finest=24)[..., None].repeat(3, axis=2)
    source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frame = source.reformat(format="yuv420p", interpolation=EXACT, threads=1)
    converter = Converter()
    # grey, so chroma adds nothing: the roundings of luma
    assert off(converter.luma(frame), rgb[..., 0]) <= 2
    assert off(converter.rgb(frame), rgb) <= 3


def test_the_caller_may_change_the_result() -> None:
    frame = decoded([*coded(colours(), space=2, full=True)], "yuv444p", space=2, full=True)
    converter = Converter()
    first = converter.luma(frame)
    first[:] = 0
    assert converter.luma(frame).any()


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_resizing_keeps_a_flat_image_flat_and_gives_the_size(
    rows: int, columns: int, height: int, width: int
) -> None:
    for shape in ((rows, columns), (rows, columns, 3)):
        image = np.full(shape, 97, np.uint8)
        resized = resize(image, (height, width))
        assert resized.shape == (height, width, *shape[2:])
        assert (resized == 97).all()


def test_shrinking_averages_areas() -> None:
    image = synthetic.texture((64, 96), seed=3)
    blocks = image.reshape(16, 4, 24, 4).mean(axis=(1, 3))
    # rounding
    assert off(resize(image, (16, 24)), blocks) <= 0.5
    # a stripe that alternates from column to column becomes grey, whatever the rows do
    stripes = np.zeros((8, 64), np.uint8)
    stripes[:, ::2] = 200
    assert (resize(stripes, (16, 16)) == 100).all()


def turned(image: Images, turns: int, *, across: bool, down: bool) -> Images:
    image = np.rot90(image, turns)
    image = image[:, ::-1] if across else image
    return image[::-1] if down else image


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_all_eight_orientations_are_applied(
    turns: int, across: bool, down: bool, channels: tuple[int, ...]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, *channels), dtype=np.uint8)
    # counter-clockwise on screen, y down: x' = x cos + y sin, y' = -x sin + y cos
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    matrix = np.array([[cosine, -sine], [sine, cosine]]) * 65536
    matrix = matrix * np.array([-1 if across else 1, -1 if down else 1])
    turn = Orientation(matrix)
    expected = turned(image, turns, across=across, down=down)
    assert np.array_equal(turn.apply(image), expected)
    assert turn.swapped == (turns % 2 == 1)


def test_a_slanted_display_matrix_is_refused() -> None:
    with pytest.raises(VideoError, match="expected quarter turns"):
        Orientation(np.array([[46341, -46341], [46341, 46341]]))
