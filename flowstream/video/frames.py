"""What is known about a video, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flowstream.errors import DamagedVideoError, VideoError
from flowstream.types import Images, Size


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header and first frame say; only decoding tells whether it is so."""

    path: Path
    rows: int
    columns: int
    """The size as displayed: after `rotation`."""
    fps: float
    """Mean frames per second; 0.0 where unknown, as for a folder of images."""
    header_frames: int | None
    """How many frames the header claims, or a folder's numbering; None where it does not say."""
    seconds: float | None
    """Duration; None where unknown."""
    codec: str
    """FFmpeg's name of the decoder; the suffix of a folder's images."""
    pixel_format: str
    """FFmpeg's name of what the decoder gives."""
    rotation: int = 0
    """Degrees counter-clockwise, 0 to 270, by which decoded frames are turned for display."""
    variable: bool = False
    """Whether the header's rates disagree, which hints at a variable frame rate."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One sampled frame of a video, upright and resized."""

    index: int
    """Its place in the video, 0-based, counted by decoding."""
    seconds: float
    """When it appears on screen, after the first frame of the video."""
    luma: Images | None
    """(H, W), full range 0 to 255, or None where it was not asked for."""
    rgb: Images | None
    """(H, W, 3), or None where it was not asked for."""


class Picture(Protocol):
    """A frame as its source holds it, not yet converted."""

    @property
    def index(self) -> int:
        """Its place in the video, counted by decoding."""

    @property
    def seconds(self) -> float:
        """When it appears, after the video's first frame."""

    @property
    def size(self) -> Size:
        """(rows, columns) as displayed."""

    def luma(self, size: Size) -> Images:
        """(H, W), full range, at `size`."""

    def rgb(self, size: Size) -> Images:
        """(H, W, 3) at `size`."""


def check_complete(
    path: Path, decoded: int, *, expected: int, claim: str, allow_truncated: bool
) -> None:
    """Tell a damaged video from one whose header is a frame or two off.

    Parameters
    ----------
    decoded, expected : int
        Frames that were decoded, and that there should be.
    claim : str
        Who says so: `its header claims`.

    Raises
    ------
    VideoError
        If no frame was decoded.
    DamagedVideoError
        If more than 2 frames and more than 2 % are missing, unless `allow_truncated`.
    """
    if decoded == 0:
        raise VideoError(f"{path}: no frame of it can be decoded; it is empty or damaged")
    missing = expected - decoded
    if not allow_truncated and missing > 2 and missing > 0.02 * expected:
        raise DamagedVideoError(
            f"{path}: damaged: {decoded} frames decoded, {claim} {expected}; "
            "use what there is with --allow-truncated"
        )
