"""Facts about a video, and its frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from flowstream.types import Images, Size
from flowstream.video.depth import Codes, DepthRange


@dataclass(frozen=True)
class VideoInfo:
    """Facts from a video's header, its first time stamps and its first frame."""

    path: Path
    rows: int
    columns: int
    """Size as displayed, after `rotation`, in the pixels of the file."""
    fps: float
    """Mean frames per second, measured on the first time stamps; 0.0 if unknown."""
    header_frames: int | None
    """Number of frames that the header or an image sequence's numbering states; None if unknown."""
    seconds: float | None
    """Duration; None if unknown."""
    codec: str
    """FFmpeg's name of the decoder, or the suffix of the images."""
    pixel_format: str
    """FFmpeg's name of the pixel format of decoded frames."""
    rotation: int = 0
    """Degrees counter-clockwise, 0 to 270, by which decoded frames are turned for display."""
    variable: bool = False
    """True if the time between frames varies, according to the header and the first frames."""
    container_fps: float = 0.0
    """Frames per second that the header states; 0.0 if it states none."""
    sample_aspect: str = "1:1"
    """Width to height of a displayed pixel, as `num:den`."""
    stream: int = 0
    """FFmpeg's index of the video stream."""
    streams: int = 1
    """Number of video streams in the file, cover pictures left out."""
    bits: int = 8
    """Bits of a sample: above 8, `Sampling.depth_range` maps the values to 8 bits."""

    @property
    def aspect(self) -> Fraction:
        """`sample_aspect` as a fraction."""
        width, _, height = self.sample_aspect.partition(":")
        return Fraction(int(width), int(height))


@dataclass(frozen=True, eq=False)
class Frame:
    """One sampled frame of a video, upright and resized."""

    index: int
    """Position in the video, 0-based, counted by decoding."""
    seconds: float
    """Presentation time after the first frame of the video."""
    luma: Images | None
    """(H, W), full range 0 to 255; None if it was not requested."""
    rgb: Images | None
    """(H, W, 3); None if it was not requested."""
    is_corrupt: bool = False
    """True if the decoder or the container marked the frame as damaged."""


class Picture(Protocol):
    """A frame in the form of its source, not yet converted."""

    @property
    def index(self) -> int:
        """Position in the video, counted by decoding."""

    @property
    def seconds(self) -> float:
        """Presentation time after the first frame of the video."""

    @property
    def size(self) -> Size:
        """(rows, columns) as displayed."""

    @property
    def is_corrupt(self) -> bool:
        """True if the frame is marked as damaged."""

    def luma(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W) luma, full range, at `size`."""

    def rgb(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W, 3) colours at `size`."""

    def codes(self) -> Codes | None:
        """Return the stored sample values if they have more than 8 bits, else None."""
