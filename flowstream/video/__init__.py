"""Videos as streams of frames: probe, decode, sample by step or by time, resize."""

from __future__ import annotations

from flowstream.video.folder import IMAGE_SUFFIXES
from flowstream.video.frames import Frame, VideoInfo
from flowstream.video.reading import (
    VIDEO_SUFFIXES,
    count_frames,
    is_video,
    probe,
    read_frames,
)
from flowstream.video.sampling import Sampling

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "Sampling",
    "VideoInfo",
    "count_frames",
    "is_video",
    "probe",
    "read_frames",
]
