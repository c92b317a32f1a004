"""Conversion of decoded frames to luma and RGB arrays: range, colour space, orientation, size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from flowstream.errors import VideoError
from flowstream.types import Images, Size
from flowstream.video.depth import Codes, DepthRange

# ITU-R BT.601-7, 2.5.3: luma is coded as 16 + 219 Y; beyond that lie overshoots, which clip.
FULL_RANGE: Images = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)

# AVCOL_SPC_UNSPECIFIED, _BT470BG and _SMPTE170M: the last two are BT.601, and FFmpeg and OpenCV
# both take the first for it.
_BT601 = frozenset({2, 5, 6})
# Without these flags swscale takes a shortcut that darkens RGB by 0.9 levels in the mean.
_EXACT = 0x2 | 0x40000 | 0x2000  # SWS_BILINEAR, _ACCURATE_RND, _FULL_CHR_H_INT
# Formats whose first plane holds the values in the lower bits of 16, in this machine's byte order.
_DIRECT = re.compile(r"(gray|yuva?4\d\dp)(9|10|12|14|16)le")


class Converter:
    """Converter of the decoded frames of one video to full-range arrays in their own memory."""

    def __init__(self) -> None:
        # swscale keeps its tables in it from frame to frame
        self._reformatter = VideoReformatter()

    def luma(self, frame: av.VideoFrame, depth: DepthRange | None = None) -> Images:
        """Return the (H, W) luma: the Y plane, stretched to full range if its range is limited.

        Grey formats are full range unless the file says otherwise; RGB formats are weighted as in
        BT.601. With `depth`, stored values are mapped by it instead.
        """
        layout = frame.format
        codes = self.codes(frame) if depth is not None else None
        if _is_rgb(layout) or layout.has_palette:
            return np.asarray(cv2.cvtColor(self.rgb(frame, depth), cv2.COLOR_RGB2GRAY), np.uint8)
        if depth is not None and codes is not None:
            return depth.apply(codes.values)
        coloured = _has_chroma(frame)
        alone = layout.is_planar if coloured else len(layout.components) == 1
        direct = alone and layout.components[0].bits == 8
        plain = frame if direct else self._to(frame, "yuv444p" if coloured else "gray")
        values = _plane(plain, 0)
        if _is_limited(frame):
            return np.asarray(cv2.LUT(values, FULL_RANGE), np.uint8)
        return np.array(values, np.uint8)

    def rgb(self, frame: av.VideoFrame, depth: DepthRange | None = None) -> Images:
        """Return the (H, W, 3) colours by the colour space and range of the file, else BT.601."""
        codes = self.codes(frame) if depth is not None else None
        if depth is not None and codes is not None and codes.values.ndim == 3:
            return depth.apply(codes.values)
        if not _has_chroma(frame) and not frame.format.has_palette:
            return np.asarray(cv2.cvtColor(self.luma(frame, depth), cv2.COLOR_GRAY2RGB), np.uint8)
        if depth is not None and codes is not None:
            # Colours in RGB, where black and white are 0 and 65535 whatever they are in luma.
            values = _plane(self._to(frame, "rgb48le"), 0, channels=3, kind=np.uint16)
            step = (codes.white - codes.black) / 0xFFFF
            return depth.apply(values * np.float32(step) + np.float32(codes.black))
        even = frame.width % 2 == 0 and frame.height % 2 == 0
        usual = frame.colorspace in _BT601 and frame.color_range != ColorRange.JPEG
        if frame.format.name == "yuv420p" and even and usual:
            # 0.08 ms a 320x240 frame where exact swscale takes 0.5, and nearer to the equations
            # than its 0.09 ms shortcut
            chroma = cv2.merge([_plane(frame, 1), _plane(frame, 2)])
            colours = cv2.cvtColorTwoPlane(_plane(frame, 0), chroma, cv2.COLOR_YUV2RGB_NV12)
            return np.asarray(colours, np.uint8)
        return np.array(_plane(self._to(frame, "rgb24"), 0, channels=3), np.uint8)

    def codes(self, frame: av.VideoFrame) -> Codes | None:
        """Return the stored sample values if they have more than 8 bits, else None.

        Grey and planar YUV formats give the values themselves; other formats give 16-bit values,
        RGB formats three for each pixel.
        """
        layout = frame.format
        bits = max(part.bits for part in layout.components)
        if bits <= 8 or layout.has_palette:
            return None
        if _is_rgb(layout):
            colours = _plane(self._to(frame, "rgb48le"), 0, channels=3, kind=np.uint16)
            return Codes(np.array(colours), black=0, white=0xFFFF)
        plain = frame
        if not _DIRECT.fullmatch(layout.name):
            plain = self._to(frame, "yuv444p16le" if _has_chroma(frame) else "gray16le")
            bits = 16
        black, white = (16, 235) if _is_limited(frame) else (0, 255)
        scale = 1 << (bits - 8) if _is_limited(frame) else ((1 << bits) - 1) / 255
        values = np.array(_plane(plain, 0, kind=np.uint16))
        return Codes(values, black=black * scale, white=white * scale)

    def _to(self, frame: av.VideoFrame, layout: str) -> av.VideoFrame:
        return self._reformatter.reformat(frame, format=layout, interpolation=_EXACT, threads=1)


def _plane(
    frame: av.VideoFrame, index: int, *, channels: int = 1, kind: type[Any] = np.uint8
) -> NDArray[Any]:
    """Return a view of a plane without the padding at the end of its lines."""
    plane = frame.planes[index]
    lines = np.frombuffer(cast(bytes, plane), kind).reshape(plane.height, -1)
    view = lines[:, : plane.width * channels]
    if plane.line_size < 0:
        view = view[::-1]
    return view if channels == 1 else view.reshape(plane.height, plane.width, channels)


def _has_chroma(frame: av.VideoFrame) -> bool:
    return sum(not part.is_alpha for part in frame.format.components) > 1


def _is_rgb(layout: av.VideoFormat) -> bool:
    return layout.is_rgb or layout.name.startswith("xyz")


def _is_limited(frame: av.VideoFrame) -> bool:
    """Return whether luma has limited range: YUV unless the file says full, grey if it says so."""
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return (_has_chroma(frame) and not full) or frame.color_range == ColorRange.MPEG


def resize(image: Images, size: Size) -> Images:
    """Resample a `(H, W)` or `(H, W, 3)` image to `size` (rows, columns).

    Areas are averaged along a side that shrinks, which keeps what flow would alias out; a side that
    grows is interpolated linearly, without the overshoot of cubic kernels.
    """
    rows, columns = image.shape[:2]
    smaller = min(rows, size[0]), min(columns, size[1])
    if smaller != (rows, columns):
        image = _resample(image, smaller, cv2.INTER_AREA)
    return image if smaller == size else _resample(image, size, cv2.INTER_LINEAR)


def _resample(image: Images, size: Size, kernel: int) -> Images:
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=kernel), np.uint8)


class Orientation:
    """Turn and mirroring of decoded pixels for display: one of eight.

    Parameters
    ----------
    matrix : (2, 2) of int, rows a b and c d
        The linear part of a display matrix: x' = a x + c y, y' = b x + d y, with x right, y down.

    Raises
    ------
    VideoError
        If it is not made of quarter turns and mirrorings.
    """

    def __init__(self, matrix: NDArray[Any]) -> None:
        unit = matrix / np.abs(matrix).max()
        (a, b), (c, d) = turns = np.rint(unit)
        self.swapped = bool(b and c)
        # 0.02: about a degree, as far as players ignore
        if np.abs(unit - turns).max() > 0.02 or np.abs(turns).sum() != 2 or bool(a) == self.swapped:
            raise VideoError(f"got display matrix {matrix.tolist()}, expected quarter turns")
        self._mirror_x, self._mirror_y = (c < 0, b < 0) if self.swapped else (a < 0, d < 0)

    def apply(self, image: Images) -> Images:
        """Return the image as displayed; itself if nothing has to be done."""
        if self.swapped:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self._mirror_x or self._mirror_y:
            axis = -1 if self._mirror_x and self._mirror_y else int(self._mirror_x)
            image = np.asarray(cv2.flip(image, axis), np.uint8)
        return image


UPRIGHT = Orientation(np.eye(2))


def find_orientation(frame: av.VideoFrame) -> Orientation:
    """Return the orientation in which a decoded frame is to be displayed.

    Raises
    ------
    VideoError
        If its display matrix is not made of quarter turns and mirrorings.
    """
    try:
        matrix = cast(Mapping[Type, bytes], frame.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:
        # PyAV refuses all side data of a frame if it does not know the type of one item, such as
        # the EXIF data of an image. The angle can be read, a mirroring cannot.
        return _turned(frame.rotation)
    if matrix is None:
        return UPRIGHT
    # nine 16.16 numbers, the last column projective: libavutil/display.h
    linear = np.frombuffer(matrix, np.int32)[:9].reshape(3, 3)[:2, :2]
    return Orientation(linear) if linear.any() else UPRIGHT


def _turned(degrees: int) -> Orientation:
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][round(degrees / 90) % 4]
    return Orientation(np.array([[cosine, -sine], [sine, cosine]]))
