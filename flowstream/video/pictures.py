"""Frames of a video file that are not converted yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import av

from flowstream.errors import VideoError
from flowstream.types import Images, Size
from flowstream.video.depth import Codes, DepthRange
from flowstream.video.pixels import Converter, Orientation, resize


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """Decoded frame; `flowstream.video.frames.Picture` documents its members."""

    index: int
    seconds: float
    frame: av.VideoFrame
    turn: Orientation
    converter: Converter
    is_corrupt: bool

    @property
    def size(self) -> Size:
        """(rows, columns) as displayed."""
        size = self.frame.height, self.frame.width
        return size[::-1] if self.turn.swapped else size

    def luma(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W) luma, full range, at `size`."""
        return self._display(self.converter.luma(self.frame, depth), size)

    def rgb(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W, 3) colours at `size`."""
        return self._display(self.converter.rgb(self.frame, depth), size)

    def codes(self) -> Codes | None:
        """Return the stored sample values if they have more than 8 bits, else None."""
        return self.converter.codes(self.frame)

    def _display(self, image: Images, size: Size) -> Images:
        stored = size[::-1] if self.turn.swapped else size
        return self.turn.apply(resize(image, stored))


@dataclass(frozen=True)
class SkippedPicture:
    """Frame before the wanted part, which was not decoded."""

    index: int
    seconds: float
    is_corrupt: bool = False

    @property
    def size(self) -> Size:
        """Raise an error, because the frame was not decoded."""
        raise VideoError(f"frame {self.index} is before the part that was asked for")

    def luma(self, size: Size, depth: DepthRange | None) -> Images:
        """Raise an error, because the frame was not decoded."""
        raise VideoError(f"frame {self.index} is before the part that was asked for: {size}")

    def rgb(self, size: Size, depth: DepthRange | None) -> Images:
        """Raise an error, because the frame was not decoded."""
        return self.luma(size, depth)

    def codes(self) -> Codes | None:
        """Return None, because the frame was not decoded."""
        return None


AnyPicture: TypeAlias = DecodedPicture | SkippedPicture
