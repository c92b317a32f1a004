"""From what a decoder gives to luma and RGB arrays: ranges, colour spaces, orientation, size."""

from __future__ import annotations

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

# ITU-R BT.601-7, 2.5.3: luma is coded as 16 + 219 Y; beyond that lie overshoots, which clip.
FULL_RANGE: Images = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)

# AVCOL_SPC_UNSPECIFIED, _BT470BG and _SMPTE170M: the last two are BT.601, and FFmpeg and OpenCV
# both take the first for it.
_BT601 = frozenset({2, 5, 6})
# Without these flags swscale takes a shortcut that darkens RGB by 0.9 levels in the mean.
_EXACT = 0x2 | 0x40000 | 0x2000  # SWS_BILINEAR, _ACCURATE_RND, _FULL_CHR_H_INT


class Converter:
    """Luma and RGB of the decoded frames of one video, upright, full range, in their own memory."""

    def __init__(self) -> None:
        # swscale keeps its tables in it from frame to frame
        self._reformatter = VideoReformatter()

    def luma(self, frame: av.VideoFrame) -> Images:
        """(H, W): the Y plane itself, stretched to full range where it is coded in limited range.

        Grey formats are full range unless the file says otherwise; RGB formats are weighed as
        BT.601 does.
        """
        layout = frame.format
        if layout.is_rgb or layout.has_palette or layout.name.startswith("xyz"):
            return np.asarray(cv2.cvtColor(self.rgb(frame), cv2.COLOR_RGB2GRAY), np.uint8)
        coloured = _has_chroma(frame)
        alone = layout.is_planar if coloured else len(layout.components) == 1
        direct = alone and layout.components[0].bits == 8
        plain = frame if direct else self._to(frame, "yuv444p" if coloured else "gray")
        values = _plane(plain, 0)
        # AVCOL_RANGE_UNSPECIFIED means limited for YUV, full for grey
        full = frame.color_range == ColorRange.JPEG or layout.name.startswith("yuvj")
        if (coloured and not full) or frame.color_range == ColorRange.MPEG:
            return np.asarray(cv2.LUT(values, FULL_RANGE), np.uint8)
        return np.array(values, np.uint8)

    def rgb(self, frame: av.VideoFrame) -> Images:
        """(H, W, 3), by the colour space and range that the file names; BT.601 where none is."""
        if not _has_chroma(frame) and not frame.format.has_palette:
            return np.asarray(cv2.cvtColor(self.luma(frame), cv2.COLOR_GRAY2RGB), np.uint8)
        even = frame.width % 2 == 0 and frame.height % 2 == 0
        usual = frame.colorspace in _BT601 and frame.color_range != ColorRange.JPEG
        if frame.format.name == "yuv420p" and even and usual:
            # 0.08 ms a 320x240 frame where exact swscale takes 0.5, and nearer to the equations
            # than its 0.09 ms shortcut
            chroma = cv2.merge([_plane(frame, 1), _plane(frame, 2)])
            colours = cv2.cvtColorTwoPlane(_plane(frame, 0), chroma, cv2.COLOR_YUV2RGB_NV12)
            return np.asarray(colours, np.uint8)
        return np.array(_plane(self._to(frame, "rgb24"), 0, channels=3), np.uint8)

    def _to(self, frame: av.VideoFrame, layout: str) -> av.VideoFrame:
        return self._reformatter.reformat(frame, format=layout, interpolation=_EXACT, threads=1)


def _plane(frame: av.VideoFrame, index: int, *, channels: int = 1) -> Images:
    """A view of a plane of bytes, without the padding at the end of its lines."""
    plane = frame.planes[index]
    lines = np.frombuffer(cast(bytes, plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    view = lines[:, : plane.width * channels]
    if plane.line_size < 0:
        view = view[::-1]
    return view if channels == 1 else view.reshape(plane.height, plane.width, channels)


def _has_chroma(frame: av.VideoFrame) -> bool:
    return sum(not part.is_alpha for part in frame.format.components) > 1


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
    """How decoded pixels are turned and mirrored for display: one of eight ways.

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
        """The image as it is to be displayed; itself where nothing is to be done."""
        if self.swapped:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self._mirror_x or self._mirror_y:
            axis = -1 if self._mirror_x and self._mirror_y else int(self._mirror_x)
            image = np.asarray(cv2.flip(image, axis), np.uint8)
        return image


UPRIGHT = Orientation(np.eye(2))


def orientation(frame: av.VideoFrame) -> Orientation:
    """How a decoded frame says that it is to be displayed."""
    matrix = cast(Mapping[Type, bytes], frame.side_data).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return UPRIGHT
    # nine 16.16 numbers, the last column projective: libavutil/display.h
    linear = np.frombuffer(matrix, np.int32)[:9].reshape(3, 3)[:2, :2]
    return Orientation(linear) if linear.any() else UPRIGHT
