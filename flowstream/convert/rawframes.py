"""Raw frames: a JPEG image for each component of each field, as TSN, mmaction2 and denseflow use.

Two namings are in use. denseflow and mmaction2's own scripts write `flow_x_00001.jpg`, TSN's tools
and mmaction2's data loader `x_00001.jpg`; images are `img_00001.jpg` in both, numbered from 1.
Codes are those of the codec `linear8`: 0...255 for -bound...bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import cv2

from flowstream.codec.linear8 import Linear8
from flowstream.convert.annotations import Listed, check_lists, write_annotations
from flowstream.convert.format import Format, record_settings
from flowstream.convert.image_names import NUMBERED
from flowstream.errors import ParameterError
from flowstream.ranges import check_between
from flowstream.store import Stack
from flowstream.types import Images

_NAMINGS = {"flow_x": ("flow_x_", "flow_y_"), "x": ("x_", "y_")}
SETTINGS = "conversion.json"
_RECORDED = ("bound", "naming", "start", "image", "quality")


@dataclass(frozen=True)
class RawFrames(Format):
    """Directory of numbered images for each video.

    Parameters
    ----------
    bound : float
        Pixels that the codes 0 and 255 stand for; 20 in TSN and mmaction2, 32 in denseflow.
    naming : str
        "flow_x" as denseflow and mmaction2 write, or "x" as TSN and mmaction2's loader read.
    start : int
        Number of the first image, 0 or 1.
    image : str
        "jpg", or "png" for flow that is exact to half a step (bound / 255); "jpg" loses more.
    quality : int
        JPEG quality of the flow images; 95 is OpenCV's default, which denseflow uses.
    lists : bool
        Write the annotation lists of mmaction2 and TSN.
    underscores : bool
        Replace white space in the names of directories by "_", because lists cannot hold it;
        mmaction2's scripts do the same for the classes of Kinetics.
    """

    name: ClassVar[str] = "rawframes"
    suffix: ClassVar[str] = ""
    file_pattern: ClassVar[str] = NUMBERED

    bound: float = 20.0
    naming: str = "flow_x"
    start: int = 1
    image: str = "jpg"
    quality: int = 95
    lists: bool = True
    underscores: bool = False

    def __post_init__(self) -> None:
        Linear8(self.bound)
        check_between("start", self.start, (0, 1))
        check_between("quality", self.quality, (1, 100))
        for name, value, known in (
            ("naming", self.naming, tuple(_NAMINGS)),
            ("image", self.image, ("jpg", "png")),
        ):
            if value not in known:
                raise ParameterError(f"{name}: got {value!r}, expected {' or '.join(known)}")

    def output_name(self, name: str) -> str:
        """Return the name of the directory of a video."""
        return re.sub(r"\s+", "_", name) if self.underscores else name

    def prepare(self, classes: Mapping[str, str], out: Path) -> None:
        """Check names and lists; record the settings, which images do not hold."""
        if self.lists:
            check_lists(classes, out)
        recorded = {key: value for key, value in asdict(self).items() if key in _RECORDED}
        record_settings(out / SETTINGS, recorded)

    def file_names(self, stack: Stack) -> list[str]:
        """Return the names of all images of a stack."""
        numbers = range(self.start, self.start + stack.num_fields)
        names = [
            f"{prefix}{k:05d}.{self.image}" for k in numbers for prefix in _NAMINGS[self.naming]
        ]
        if stack.has_rgb:
            names += [f"img_{t + self.start:05d}.jpg" for t in range(stack.num_frames)]
        return names

    def write(self, stack: Stack, target: Path) -> None:
        """Write the images of the frames, if the stack holds them, and of the flow."""
        codec = Linear8(self.bound)
        for k, vectors in enumerate(stack.fields(), start=self.start):
            for plane, prefix in zip(codec.encode(vectors), _NAMINGS[self.naming], strict=True):
                path = target / f"{prefix}{k:05d}.{self.image}"
                path.write_bytes(self._encode(plane))
        if stack.has_rgb:
            for t in range(stack.num_frames):
                # The stored bytes: encoding again would lose quality.
                (target / f"img_{t + self.start:05d}.jpg").write_bytes(stack.jpeg(t))

    def finish(self, videos: Sequence[Listed], out: Path) -> list[Path]:
        """Write the annotation lists of all videos in `out`."""
        return write_annotations(videos, out) if self.lists and videos else []

    def _encode(self, plane: Images) -> bytes:
        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality] if self.image == "jpg" else []
        _, encoded = cv2.imencode(f".{self.image}", plane, options)
        return encoded.tobytes()
