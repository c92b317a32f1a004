"""Videos as streams of frames: probe, decode, sample by step or by time, resize."""

from __future__ import annotations

from flowstream.video.frames import Frame, VideoInfo
from flowstream.video.image_names import IMAGE_SUFFIXES
from flowstream.video.parts import Pair, Part, Span, part_label, read_part
from flowstream.video.reading import (
    VideoReader,
    count_frames,
    open_video,
    probe,
    read_frames,
)
from flowstream.video.recognition import VIDEO_SUFFIXES, is_video, why_not_video
from flowstream.video.sampling import Sampling

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "Pair",
    "Part",
    "Sampling",
    "Span",
    "VideoInfo",
    "VideoReader",
    "count_frames",
    "is_video",
    "open_video",
    "part_label",
    "probe",
    "read_frames",
    "read_part",
    "why_not_video",
]
