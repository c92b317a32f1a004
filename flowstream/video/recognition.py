"""Recognition of videos among other files, by name and by content."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path

from flowstream.errors import VideoError
from flowstream.video.image_names import IMAGE_SUFFIXES, numbered_images
from flowstream.video.opening import choose_stream, open_container

# The suffixes of FFmpeg's demuxers and muxers of moving pictures. Raw samples without a header
# (.yuv, .rgb, .v210) are left out, because their size cannot be known, and so are names that mean
# something else more often (.dat, .txt, .js, .str).
# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".264", ".265", ".266", ".3g2", ".3gp", ".3gp2", ".3gpp", ".amv", ".apng", ".asf", ".avc",
    ".avi", ".avs2", ".avs3", ".bik", ".bk2", ".cavs", ".cdxl", ".cpk", ".dav", ".divx", ".dnxhd",
    ".dnxhr", ".drc", ".dv", ".dvd", ".dvr-ms", ".evo", ".f4v", ".flc", ".fli", ".flm", ".flv",
    ".gif", ".gxf", ".h261", ".h263", ".h264", ".h265", ".h266", ".h26l", ".hevc", ".ifv", ".imx",
    ".insv", ".ismv", ".ivf", ".ivr", ".kux", ".lrv", ".lvf", ".m1v", ".m2p", ".m2t", ".m2ts",
    ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".moflex", ".mov",
    ".mp4", ".mp4v", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mvi", ".mxf", ".mxg", ".nsv",
    ".nut", ".obu", ".ogm", ".ogv", ".ogx", ".pdv", ".ps", ".qt", ".rm", ".rmvb", ".roq", ".ser",
    ".smk", ".swf", ".tod", ".trp", ".ts", ".ty", ".vc1", ".vc2", ".viv", ".vob", ".vro", ".vvc",
    ".webm", ".wmv", ".wtv", ".xesc", ".xmv", ".y4m", ".yop",
})
"""Suffixes, in lower case, of files that are taken for videos without a look inside."""
# Suffixes of data that no decoder has to look at. Names not listed here or above are probed.
_OTHER_SUFFIXES = frozenset({
    ".7z", ".aac", ".bz2", ".c", ".cfg", ".conf", ".cpp", ".css", ".csv", ".db", ".doc", ".docx",
    ".flac", ".flo", ".gz", ".h", ".h5", ".hdf5", ".htm", ".html", ".ini", ".ipynb", ".json",
    ".jsonl", ".log", ".m", ".m4a", ".mat", ".md", ".mp3", ".nc", ".npy", ".npz", ".onnx", ".opus",
    ".pdf", ".pfm", ".pickle", ".pkl", ".pt", ".pth", ".py", ".r", ".rar", ".rst", ".sh", ".srt",
    ".sub", ".svg", ".tar", ".tex", ".toml", ".tsv", ".txt", ".vtt", ".wav", ".whl", ".xls",
    ".xlsx", ".xml", ".xz", ".yaml", ".yml", ".zip", ".zst",
})
# fmt: on


def is_video(path: str | Path) -> bool:
    """Return whether a path is a video: see `why_not_video`."""
    return why_not_video(path) is None


def why_not_video(path: str | Path) -> str | None:
    """Return why a path is not taken for a video, or None if it is.

    A file is a video by its suffix, or, if the suffix is unknown, by its content. A directory is
    one if it holds at least two numbered images; one image alone does not make a video.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if os.path.isdir(path):
        return None if _holds_images(path) else "a directory without numbered images"
    if suffix in VIDEO_SUFFIXES:
        return None
    if suffix in IMAGE_SUFFIXES:
        return "a single image"
    if suffix in _OTHER_SUFFIXES:
        return f"not a video by its suffix {suffix}"
    return _why_no_content(path)


def _holds_images(path: Path) -> bool:
    try:
        return len(list(islice(numbered_images(path), 2))) == 2
    except VideoError:
        return False


def _why_no_content(path: Path) -> str | None:
    """Return why a file of unknown suffix is not a video by its content, or None if it is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a regular file"
        with open_container(path) as container:
            if container.format.name.endswith("_pipe"):
                return "a single image"
            choose_stream(container, path, None)
    except OSError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return reason if isinstance(error, VideoError) else (error.strerror or reason)
    return None
