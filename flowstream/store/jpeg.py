"""Conversion of RGB frames to JPEG bytes and back."""

from __future__ import annotations

import cv2
import numpy as np

from flowstream.errors import ParameterError, ShapeError, StackError
from flowstream.types import Images, Size

_START, _END = b"\xff\xd8", b"\xff\xd9"
_START_OF_SCAN = 0xDA
# SOF0 to SOF15 without DHT, JPG and DAC, whose markers are in the same range
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def encode_jpeg(rgb: Images, quality: int = 95) -> bytes:
    """Encode a frame `(H, W, 3)`, uint8 RGB, as JPEG bytes.

    Colour is stored at full resolution (4:4:4), because frames are resized before they are stored,
    and chroma subsampling loses most in small frames. For videos of 340x256 and 170x128, 4:4:4
    takes 18 % more bytes than OpenCV's 4:2:0 at quality 95, and the PSNR is 1.4 and 2.0 dB higher.
    At equal quality it takes fewer bytes.

    Raises
    ------
    ShapeError
        If `rgb` is not (H, W, 3) uint8.
    ParameterError
        If `quality` is not from 1 to 100.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"frame: expected (H, W, 3) of uint8, got {rgb.shape} of {rgb.dtype}")
    if not 1 <= quality <= 100:
        raise ParameterError(f"JPEG quality: expected 1 to 100, got {quality}")
    colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, *colour])
    return encoded.tobytes()


def decode_jpeg(encoded: bytes) -> Images:
    """Decode JPEG bytes to a frame `(H, W, 3)`, uint8 RGB.

    Raises
    ------
    StackError
        If the bytes are not a JPEG image.
    """
    # an orientation tag must not rotate the frame
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise StackError(f"{len(encoded)} bytes are not a JPEG image")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def jpeg_size(encoded: bytes) -> Size:
    """Return rows and columns from the header of JPEG bytes (ITU-T T.81, B.2.2).

    Raises
    ------
    StackError
        If the bytes are not a complete JPEG image.
    """
    if encoded.startswith(_START) and encoded.endswith(_END):
        at = 2
        while at + 9 <= len(encoded) and encoded[at] == 0xFF:
            marker = encoded[at + 1]
            if marker in _START_OF_FRAME:
                rows, columns = encoded[at + 5 : at + 7], encoded[at + 7 : at + 9]
                return int.from_bytes(rows, "big"), int.from_bytes(columns, "big")
            if marker == _START_OF_SCAN:
                break
            at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    raise StackError(f"{len(encoded)} bytes are not a complete JPEG image")
