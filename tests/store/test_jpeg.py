"""RGB frames as JPEG bytes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError, ShapeError, StackError
from flowstream.store import decode_jpeg, encode_jpeg
from flowstream.store.jpeg import jpeg_size
from flowstream.types import Images


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_frames_of_any_size_are_decoded_to_the_same_size(rows: int, columns: int) -> None:
    encoded = encode_jpeg(np.full((rows, columns, 3), 90, np.uint8))
    assert jpeg_size(encoded) == (rows, columns)
    assert decode_jpeg(encoded).shape == (rows, columns, 3)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_channels_are_red_green_blue(colour: tuple[int, int, int]) -> None:
    image = np.full((16, 16, 3), colour, np.uint8)
    # YCbCr in 8 bits rounds each channel by up to 2
    assert np.abs(decode_jpeg(encode_jpeg(image)).astype(int) - image).max() <= 2


def test_colour_keeps_its_full_resolution() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, ::2, 0] = image[:, 1::2, 2] = 255
    # with colour at half resolution neighbouring columns would mix: a mean error of about 85
    assert np.abs(decode_jpeg(encode_jpeg(image)).astype(int) - image).mean() < 10


def test_lower_quality_takes_fewer_bytes() -> None:
    image = np.random.default_rng(5).integers(0, 255, (32, 32, 3), np.uint8)
    assert len(encode_jpeg(image, 50)) < len(encode_jpeg(image, 95)) < len(encode_jpeg(image, 100))


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ParameterError, match="expected 1 to 100"):
        encode_jpeg(np.zeros((8, 8, 3), np.uint8), quality)


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)],
)
def test_an_array_that_is_not_an_rgb_frame_is_refused(image: Images) -> None:
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) of uint8"):
        encode_jpeg(image)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_not_a_jpeg_are_refused(data: bytes) -> None:
    with pytest.raises(StackError, match="not a JPEG image"):
        decode_jpeg(data)
    with pytest.raises(StackError, match="not a complete JPEG image"):
        jpeg_size(data)


def test_the_size_of_a_progressive_and_of_a_grey_image_is_read() -> None:
    image = np.random.default_rng(5).integers(0, 255, (24, 40, 3), np.uint8)
    _, progressive = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    _, grey = cv2.imencode(".jpg", image[..., 0])
    assert jpeg_size(progressive.tobytes()) == jpeg_size(grey.tobytes()) == (24, 40)
    assert decode_jpeg(grey.tobytes()).shape == (24, 40, 3)
