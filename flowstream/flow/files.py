"""Flow files: Middlebury `.flo`, KITTI `.png` and FlyingThings3D `.pfm`.

In memory, both components of an unknown vector are NaN.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.disk import read_small, whole_file
from flowstream.errors import FlowFileError, ShapeError, did_you_mean
from flowstream.flow.measure import UNKNOWN, known
from flowstream.types import Vectors

_FLO_TAG = b"PIEH"  # the float32 202021.25, little-endian
_FLO_UNKNOWN = 1e10
_LARGEST_SIDE = 99_999  # limit of Middlebury's own reader

MAX_PIXELS = 2**26
"""Maximum number of vectors, 8192 x 8192; they need 0.5 GB of memory."""

MAX_BYTES = 2**30
"""Maximum size of a file."""

_KITTI_UNIT = 64.0  # codes per pixel
_KITTI_ZERO = 2.0**15

_PFM_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,40})\s")


def read_flow(path: str | Path) -> Vectors:
    """Read a flow field from a `.flo`, KITTI `.png` or `.pfm` file.

    Parameters
    ----------
    path : path
        The suffix selects the format. `.flo` is the format of Baker et al. 2011. `.png` is that of
        KITTI 2012 and 2015: 16-bit, steps of 1/64 pixel, and a channel that marks valid vectors.
        `.pfm` is that of FlyingThings3D: dx, dy and an ignored third channel, bottom row first, in
        either byte order.

    Returns
    -------
    (2, H, W), float32
        Vectors in pixels; NaN where the vector is unknown.

    Raises
    ------
    FlowFileError
        If the file cannot be read, is truncated or corrupted, or has another format.
    """
    path = Path(path)
    decode, _ = _format(path)
    try:
        content = read_small(path, limit=MAX_BYTES)
    except OSError as error:
        raise FlowFileError(f"{path}: cannot read the flow: {error.strerror}") from error
    field = decode(content, path)
    field[:, ~known(field)] = np.nan
    return field


def write_flow(path: str | Path, field: Vectors) -> None:
    """Write a flow field to a `.flo`, KITTI `.png` or `.pfm` file.

    `.flo` and `.pfm` keep float32 exactly; KITTI's format rounds to 1/64 pixel. The write is
    atomic: it never leaves an incomplete file.

    Parameters
    ----------
    path : path
        The suffix selects the format. The directory must exist; an existing file is replaced.
    field : (2, H, W), float32
        Vectors in pixels. A vector with one NaN component is unknown; both its components are NaN
        when the file is read.

    Raises
    ------
    ShapeError
        If `field` is not `(2, H, W)`.
    FlowFileError
        If a known vector is outside the range of the format (below 1e9 pixels; KITTI: -512 to
        511.984375), or the file cannot be written.
    """
    path = Path(path)
    _, encode = _format(path)
    if field.ndim != 3 or field.shape[0] != 2 or 0 in field.shape:
        raise ShapeError(f"{path}: flow: expected shape (2, H, W), got {field.shape}")
    unknown = np.isnan(field[0]) | np.isnan(field[1])
    outside = int((~known(field) & ~unknown).sum())
    if outside:
        raise FlowFileError(
            f"{path}: {outside} vectors have a component of {UNKNOWN:g} or more, which marks "
            "unknown vectors; set them to NaN"
        )
    content = encode(field.astype(np.float32), unknown, path)
    try:
        with whole_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise FlowFileError(f"{path}: cannot write the flow: {error.strerror}") from error


_Decode = Callable[[bytes, Path], Vectors]
_Encode = Callable[[Vectors, NDArray[np.bool_], Path], bytes]


def _format(path: Path) -> tuple[_Decode, _Encode]:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        known_suffixes = ", ".join(_FORMATS)
        raise FlowFileError(
            f"{path}: not a flow file: unknown suffix {suffix!r}; known: {known_suffixes}."
            f"{did_you_mean(suffix, _FORMATS)}"
        )
    return _FORMATS[suffix]


def _check_size(path: Path, columns: int, rows: int) -> None:
    if not (1 <= columns <= _LARGEST_SIDE and 1 <= rows <= _LARGEST_SIDE):
        raise FlowFileError(
            f"{path}: corrupted header; expected sides from 1 to {_LARGEST_SIDE}, got {columns} "
            f"columns and {rows} rows"
        )
    if columns * rows > MAX_PIXELS:
        raise FlowFileError(
            f"{path}: too large; expected at most {MAX_PIXELS} vectors, got {columns} columns and "
            f"{rows} rows"
        )


def _check_length(path: Path, seen: int, expected: int) -> None:
    if seen != expected:
        raise FlowFileError(
            f"{path}: truncated or corrupted; expected {expected} bytes by its header, got {seen}"
        )


def _decode_flo(content: bytes, path: Path) -> Vectors:
    if content[:4] != _FLO_TAG or len(content) < 12:
        raise FlowFileError(f"{path}: not a .flo file; expected 'PIEH' and a size at its start")
    columns, rows = np.frombuffer(content, "<i4", count=2, offset=4).tolist()
    _check_size(path, columns, rows)
    _check_length(path, len(content), 12 + 8 * rows * columns)
    values = np.frombuffer(content, "<f4", offset=12).reshape(rows, columns, 2)
    return np.moveaxis(values, 2, 0).astype(np.float32, order="C")


def _encode_flo(field: Vectors, unknown: NDArray[np.bool_], path: Path) -> bytes:
    _, rows, columns = field.shape
    _check_size(path, columns, rows)
    filled = np.where(unknown, np.float32(_FLO_UNKNOWN), field)
    size = np.array([columns, rows], "<i4").tobytes()
    return _FLO_TAG + size + np.moveaxis(filled, 0, 2).astype("<f4").tobytes()


def _decode_kitti(content: bytes, path: Path) -> Vectors:
    _check_png(content, path)
    try:
        codes = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FlowFileError(f"{path}: not a complete PNG file") from error
    if codes is None:
        raise FlowFileError(f"{path}: not a complete PNG file")
    if codes.dtype != np.uint16 or codes.ndim != 3 or codes.shape[2] != 3:
        seen = f"{codes.dtype} of shape {codes.shape}"
        raise FlowFileError(f"{path}: not KITTI flow; expected 16-bit RGB, got {seen}")
    valid, *components = np.moveaxis(codes, 2, 0)  # OpenCV's order is BGR
    field = (np.stack(components[::-1]).astype(np.float32) - _KITTI_ZERO) / _KITTI_UNIT
    field[:, valid == 0] = np.nan
    return field.astype(np.float32)


def _check_png(content: bytes, path: Path) -> None:
    """Raise `FlowFileError` unless a file is a complete and valid 16-bit RGB PNG.

    OpenCV would decode a part of a corrupted image, and print a warning to stderr.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        raise FlowFileError(f"{path}: not a PNG file")
    position, name = 8, b""
    while position + 12 <= len(content) and name != b"IEND":
        length, name = struct.unpack(">I4s", content[position : position + 8])
        end = position + 8 + length
        if zlib.crc32(content[position + 4 : end]).to_bytes(4, "big") != content[end : end + 4]:
            raise FlowFileError(f"{path}: corrupted: wrong checksum at byte {position}")
        position = end + 4
    if name != b"IEND" or position != len(content):
        raise FlowFileError(f"{path}: not a complete PNG file")
    columns, rows, depth, colours = struct.unpack(">IIBB", content[16:26])
    if (depth, colours) != (16, 2):
        seen = f"{depth} bits, colour type {colours}"
        raise FlowFileError(f"{path}: not KITTI flow; expected 16-bit RGB, got {seen}")
    _check_size(path, columns, rows)


def _encode_kitti(field: Vectors, unknown: NDArray[np.bool_], path: Path) -> bytes:
    codes = np.where(unknown, 0, np.rint(field.astype(np.float64) * _KITTI_UNIT + _KITTI_ZERO))
    outside = int(((codes < 0) | (codes > 65535)).any(axis=0).sum())
    if outside:
        raise FlowFileError(
            f"{path}: {outside} vectors have a component outside -512 to 511.984375 pixels, the "
            "range of KITTI's format; write .flo or .pfm instead"
        )
    channels = np.stack([~unknown, codes[1], codes[0]], axis=2).astype(np.uint16)
    done, encoded = cv2.imencode(".png", channels)
    if not done:
        raise FlowFileError(f"{path}: OpenCV cannot encode a PNG of shape {channels.shape}")
    return encoded.tobytes()


def _decode_pfm(content: bytes, path: Path) -> Vectors:
    header = _PFM_HEADER.match(content)
    if header is None:
        raise FlowFileError(f"{path}: not a .pfm file; expected 'PF' and a size at its start")
    kind, columns, rows = header[1], int(header[2]), int(header[3])
    if kind == b"Pf":
        raise FlowFileError(
            f"{path}: not a flow file; expected a .pfm file with three channels, got one"
        )
    _check_size(path, columns, rows)
    _check_length(path, len(content), header.end() + 12 * rows * columns)
    try:
        # the sign gives the byte order; the magnitude is a unit of light, which flow does not use
        order = "<f4" if float(header[4]) < 0 else ">f4"
    except ValueError as error:
        raise FlowFileError(
            f"{path}: corrupted header; expected a number as its scale, got {header[4]!r}"
        ) from error
    values = np.frombuffer(content, order, offset=header.end()).reshape(rows, columns, 3)
    return np.moveaxis(values[::-1, :, :2], 2, 0).astype(np.float32, order="C")


def _encode_pfm(field: Vectors, unknown: NDArray[np.bool_], path: Path) -> bytes:
    _, rows, columns = field.shape
    _check_size(path, columns, rows)
    values = np.zeros((rows, columns, 3), "<f4")
    values[..., :2] = np.moveaxis(np.where(unknown, np.float32(np.nan), field), 0, 2)
    return b"PF\n%d %d\n-1.0\n" % (columns, rows) + values[::-1].tobytes()


_FORMATS: dict[str, tuple[_Decode, _Encode]] = {
    ".flo": (_decode_flo, _encode_flo),
    ".png": (_decode_kitti, _encode_kitti),
    ".pfm": (_decode_pfm, _encode_pfm),
}
