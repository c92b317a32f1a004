"""Directories of numbered or time-stamped images, read as videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.disk import read_small
from flowstream.errors import VideoError
from flowstream.types import Images, Size
from flowstream.video.clock import measure_rate
from flowstream.video.damage import Damage
from flowstream.video.depth import Codes, DepthRange
from flowstream.video.frames import VideoInfo
from flowstream.video.image_names import find_sequence
from flowstream.video.pixels import resize

# Most images carry no times; /time in a stack needs some, and 25 is the rate of UCF101 and most of
# the field's data. `VideoInfo.fps` stays 0.0, unknown, and resampling by fps is refused.
NOMINAL_FPS = 25.0

_MOST_BYTES = 1 << 30

# As stored: a camera's orientation tag would turn single frames.
_STORED = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
_LUMA = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, eq=False)
class ImagePicture:
    """One image file, opened only on request; see `flowstream.video.frames.Picture`."""

    index: int
    seconds: float
    path: Path
    size: Size
    deep: bool
    """True if samples have more than 8 bits."""
    is_corrupt: bool = False

    def luma(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W) luma at `size`; of a JPEG its own luma, without a detour over RGB."""
        if self.deep:
            image = self._mapped(depth)
            grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            return resize(np.asarray(grey, np.uint8), size)
        return resize(self._decode(_LUMA), size)

    def rgb(self, size: Size, depth: DepthRange | None) -> Images:
        """Return the (H, W, 3) colours at `size`."""
        if self.deep:
            image = self._mapped(depth)
            rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
        else:
            rgb = cv2.cvtColor(self._decode(_COLOUR), cv2.COLOR_BGR2RGB)
        return resize(np.asarray(rgb, np.uint8), size)

    def codes(self) -> Codes | None:
        """Return the stored sample values if they have more than 8 bits, else None."""
        if not self.deep:
            return None
        values = self._decode(_STORED)
        if values.ndim == 3:
            values = cv2.cvtColor(values[..., :3], cv2.COLOR_BGR2RGB)
        if values.dtype == np.uint16:
            return Codes(values, black=0, white=0xFFFF)
        return Codes(values.astype(np.float32), black=0, white=1)

    def _mapped(self, depth: DepthRange | None) -> Images:
        codes = self.codes()
        assert codes is not None, "only images with more than 8 bits are mapped"
        return (depth or DepthRange(codes.black, codes.white)).apply(codes.values)

    def _decode(self, kind: int) -> NDArray[Any]:
        image = decode_image(self.path, kind)
        rows, columns = image.shape[:2]
        if (rows, columns) != self.size:
            raise VideoError(
                f"{self.path}: the image is {columns}x{rows}, the first of its directory "
                f"{self.size[1]}x{self.size[0]}. Bring them to one size"
            )
        if self.deep != (image.dtype != np.uint8) and kind == _STORED:
            raise VideoError(f"{self.path}: got {image.dtype} samples, unlike the first image")
        return image


class ImageDirectory:
    """Directory of images, in the order of the numbers or times in their names.

    Numbers need not start at 0 or be padded, and may run in steps: the step is the smallest that
    fits them all, and numbers that it leaves out are missing frames. Names that are times give the
    presentation times, and no frame is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sequence = find_sequence(path)
        expected = self._sequence.expected
        self.damage = Damage(stated=expected or 0, slack=True, claim="its numbering states")
        if skipped := [file.name for file in self._sequence.skipped]:
            shown = ", ".join(skipped[:3]) + (", ..." if len(skipped) > 3 else "")
            self.damage.remarks.append(
                f"images skipped because their names do not end in a frame number: {shown}"
            )

    def __enter__(self) -> ImageDirectory:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing, because nothing is held open."""

    @property
    def timed(self) -> bool:
        """True if the names give presentation times."""
        return self._sequence.times is not None

    @property
    def fps(self) -> float:
        """Mean frames per second by the names; 0.0 if they are no times."""
        times = self._sequence.times
        return 0.0 if times is None else measure_rate(times, [])[0]

    @property
    def period(self) -> float:
        """Mean seconds between frames, nominal if the names are no times."""
        return 1 / (self.fps or NOMINAL_FPS)

    def notes(self) -> list[str]:
        """Return one line for each irregularity."""
        return self.damage.describe()

    def info(self) -> VideoInfo:
        """Return the facts from the names and the first image."""
        sequence = self._sequence
        image = decode_image(sequence.files[0], _STORED)
        times = sequence.times
        return VideoInfo(
            path=self.path,
            rows=image.shape[0],
            columns=image.shape[1],
            fps=self.fps,
            header_frames=sequence.expected,
            seconds=None if times is None else times[-1] + self.period,
            codec=sequence.files[0].suffix.lower().removeprefix("."),
            pixel_format=_pixel_format(image),
            variable=times is not None and measure_rate(times, [])[1],
            bits=8 * image.itemsize,
        )

    def pictures(self) -> Iterator[ImagePicture]:
        """Yield every image at its time, nominal if the names are no times."""
        sequence = self._sequence
        first = decode_image(sequence.files[0], _STORED)
        size, deep = (first.shape[0], first.shape[1]), first.dtype != np.uint8
        times = sequence.times or [place / NOMINAL_FPS for place in sequence.places]
        for index, (seconds, file) in enumerate(zip(times, sequence.files, strict=True)):
            yield ImagePicture(index, seconds, file, size, deep)
            self.damage.packets += 1
            self.damage.add_frame(is_corrupt=False, is_key=True)


def _pixel_format(image: NDArray[Any]) -> str:
    name = "gray" if image.ndim == 2 else "rgb"
    if image.dtype == np.uint8:
        return name if name == "gray" else "rgb24"
    bits = 8 * image.itemsize * (1 if image.ndim == 2 else 3)
    return f"{name}{'f' if image.dtype.kind == 'f' else ''}{bits}"


def decode_image(path: Path, kind: int) -> NDArray[Any]:
    """Return the pixels of an image file in the form that OpenCV's flags `kind` select.

    Raises
    ------
    VideoError
        If the file cannot be read or is not a whole image.
    """
    try:
        content = read_small(path, limit=_MOST_BYTES)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), kind) if content else None
    except OSError as error:
        raise VideoError(f"{path}: cannot read the image: {error.strerror}") from error
    except cv2.error as error:
        raise VideoError(f"{path}: not an image that can be decoded: {error.err}") from error
    if image is None or _is_cut_jpeg(content):
        raise VideoError(f"{path}: not an image that can be decoded, or not the whole of one")
    return np.asarray(image)


def _is_cut_jpeg(content: bytes) -> bool:
    """Return whether a JPEG's end marker is missing; decoders fill the rest with grey.

    An embedded preview has an end marker, too, but before the last start of a scan.
    """
    is_jpeg = content.startswith(b"\xff\xd8")
    return is_jpeg and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
