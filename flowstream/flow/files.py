"""Flow fields in the files of the benchmarks: Middlebury `.flo`, KITTI `.png`, `.pfm`.

In memory an unknown vector is NaN in both components.
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
_LARGEST_SIDE = 99_999  # Middlebury's own sanity check

MAX_PIXELS = 2**26
"""Limit of the number of vectors, 8192 x 8192; they need 0.5 GB in memory."""

MAX_BYTES = 2**30
"""Limit of the size of a file."""

_KITTI_UNIT = 64.0  # codes a pixel
_KITTI_ZERO = 2.0**15

_PFM_HEADER = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,40})\s")


def read_flow(path: str | Path) -> Vectors:
    """Read a flow field from a `.flo`, KITTI `.png` or `.pfm` file, by suffix.

    Parameters
    ----------
    path : path
        `.flo` as Baker et al. 2011 define it; `.png` as KITTI 2012 and 2015 do, 16-bit, steps of
        1/64 pixel and a channel of validity; `.pfm` as FlyingThings3D does: dx, dy and a third
        channel that is not read, bottom row first, of either byte order.

    Returns
    -------
    (2, H, W), float32
        Pixels; NaN where the vector is unknown.

    Raises
    ------
    FlowFileError
        If the file cannot be read, or is not a whole field of this format.
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
    """Write a flow field to a `.flo`, KITTI `.png` or `.pfm` file, by suffix.

    `.flo` and `.pfm` keep float32 exactly, KITTI's format rounds to 1/64 pixel. The file appears
    whole or not at all.

    Parameters
    ----------
    path : path
        In a folder that exists; a file that is there is replaced.
    field : (2, H, W), float32
        Pixels; a vector with NaN is unknown, and both its components are NaN when read again.

    Raises
    ------
    ShapeError
        If `field` is not `(2, H, W)`.
    FlowFileError
        If a known vector is outside what the format holds (1e9 pixels; KITTI: -512 to 511.984375),
        or the file cannot be written.
    """
    path = Path(path)
    _, encode = _format(path)
    if field.ndim != 3 or field.shape[0] != 2 or 0 in field.shape:
        raise ShapeError(f"{path}: flow: got shape {field.shape}, expected (2, H, W)")
    unknown = np.isnan(field[0]) | np.isnan(field[1])
    outside = int((~known(field) & ~unknown).sum())
    if outside:
        raise FlowFileError(f"{path}: {outside} vectors have a component of {UNKNOWN:g} or more")
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
            f"{path}: not a flow file by its suffix {suffix!r}; known: {known_suffixes}."
            f"{did_you_mean(suffix, _FORMATS)}"
        )
    return _FORMATS[suffix]


def _check_size(path: Path, columns: int, rows: int) -> None:
    if not (1 <= columns <= _LARGEST_SIDE and 1 <= rows <= _LARGEST_SIDE):
        raise FlowFileError(
            f"{path}: damaged: it says {columns} columns and {rows} rows, "
            f"expected 1 to {_LARGEST_SIDE}"
        )
    if columns * rows > MAX_PIXELS:
        raise FlowFileError(
            f"{path}: {columns} columns and {rows} rows, expected at most {MAX_PIXELS} vectors"
        )


def _check_length(path: Path, seen: int, expected: int) -> None:
    if seen != expected:
        raise FlowFileError(f"{path}: damaged: got {seen} bytes, expected {expected} by its header")


def _decode_flo(content: bytes, path: Path) -> Vectors:
    if content[:4] != _FLO_TAG or len(content) < 12:
        raise FlowFileError(f"{path}: not a .flo file: it does not start with 'PIEH' and a size")
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
        raise FlowFileError(f"{path}: not a whole PNG file") from error
    if codes is None:
        raise FlowFileError(f"{path}: not a whole PNG file")
    if codes.dtype != np.uint16 or codes.ndim != 3 or codes.shape[2] != 3:
        seen = f"{codes.dtype} of shape {codes.shape}"
        raise FlowFileError(f"{path}: not KITTI flow: got {seen}, expected 16-bit RGB")
    valid, *components = np.moveaxis(codes, 2, 0)  # OpenCV's order is BGR
    field = (np.stack(components[::-1]).astype(np.float32) - _KITTI_ZERO) / _KITTI_UNIT
    field[:, valid == 0] = np.nan
    return field.astype(np.float32)


def _check_png(content: bytes, path: Path) -> None:
    """Raise `FlowFileError` unless a file is a complete 16-bit RGB PNG with correct checksums.

    OpenCV would decode a damaged image partly, and writes to stderr about it.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        raise FlowFileError(f"{path}: not a PNG file")
    place, name = 8, b""
    while place + 12 <= len(content) and name != b"IEND":
        length, name = struct.unpack(">I4s", content[place : place + 8])
        end = place + 8 + length
        if zlib.crc32(content[place + 4 : end]).to_bytes(4, "big") != content[end : end + 4]:
            raise FlowFileError(f"{path}: damaged: wrong checksum at byte {place}")
        place = end + 4
    if name != b"IEND" or place != len(content):
        raise FlowFileError(f"{path}: not a whole PNG file")
    columns, rows, depth, colours = struct.unpack(">IIBB", content[16:26])
    if (depth, colours) != (16, 2):
        seen = f"{depth} bits, colour type {colours}"
        raise FlowFileError(f"{path}: not KITTI flow: got {seen}, expected 16-bit RGB")
    _check_size(path, columns, rows)


def _encode_kitti(field: Vectors, unknown: NDArray[np.bool_], path: Path) -> bytes:
    codes = np.where(unknown, 0, np.rint(field.astype(np.float64) * _KITTI_UNIT + _KITTI_ZERO))
    outside = int(((codes < 0) | (codes > 65535)).any(axis=0).sum())
    if outside:
        raise FlowFileError(
            f"{path}: {outside} vectors have a component outside -512 to 511.984375 pixels, all "
            "that KITTI's format holds; write .flo or .pfm"
        )
    channels = np.stack([~unknown, codes[1], codes[0]], axis=2).astype(np.uint16)
    done, encoded = cv2.imencode(".png", channels)
    if not done:
        raise FlowFileError(f"{path}: OpenCV cannot encode a PNG of shape {channels.shape}")
    return encoded.tobytes()


def _decode_pfm(content: bytes, path: Path) -> Vectors:
    header = _PFM_HEADER.match(content)
    if header is None:
        raise FlowFileError(f"{path}: not a .pfm file: it does not start with 'PF' and a size")
    kind, columns, rows = header[1], int(header[2]), int(header[3])
    if kind == b"Pf":
        raise FlowFileError(f"{path}: not flow: a .pfm file of one channel, expected three")
    _check_size(path, columns, rows)
    _check_length(path, len(content), header.end() + 12 * rows * columns)
    try:
        # the sign is the byte order; the size is a unit of light, and nobody's unit of flow
        order = "<f4" if float(header[4]) < 0 else ">f4"
    except ValueError as error:
        raise FlowFileError(f"{path}: damaged: its scale is {header[4]!r}") from error
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
