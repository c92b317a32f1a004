"""Raw frames: a JPEG image for each component of each field, as TSN, mmaction2 and denseflow use.

Two namings are in use. denseflow and mmaction2's own scripts write `flow_x_00001.jpg`, TSN's tools
and mmaction2's data loader `x_00001.jpg`; images are `img_00001.jpg` in both, numbered from 1.
Codes are those of the codec `linear8`: 0...255 for -bound...bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from flowstream.codec.linear8 import Linear8
from flowstream.convert.format import Format
from flowstream.disk import open_regular
from flowstream.errors import ConversionError, ParameterError
from flowstream.ranges import check_between
from flowstream.store import Header, Stack, create_stack
from flowstream.store.jpeg import encode_jpeg, jpeg_size
from flowstream.types import Images, Size

_NAMINGS = {"flow_x": ("flow_x_", "flow_y_"), "x": ("x_", "y_")}
_NUMBERED = re.compile(r"(img|image|flow_x|flow_y|x|y)_(\d+)\.(jpg|jpeg|png)", re.IGNORECASE)
_MOST_FRAMES = 10_000_000


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
        "jpg", or "png" for flow without loss.
    quality : int
        JPEG quality of the flow images; 95 is OpenCV's default, which denseflow uses.
    """

    name: ClassVar[str] = "rawframes"
    suffix: ClassVar[str] = ""

    bound: float = 20.0
    naming: str = "flow_x"
    start: int = 1
    image: str = "jpg"
    quality: int = 95

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

    def _encode(self, plane: Images) -> bytes:
        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality] if self.image == "jpg" else []
        _, encoded = cv2.imencode(f".{self.image}", plane, options)
        return encoded.tobytes()


def is_raw_frames(directory: Path) -> bool:
    """Return True if a directory holds numbered flow images of both components."""
    if not directory.is_dir():
        return False
    kinds = {match[1].lower() for path in directory.iterdir() if (match := _match(path))}
    return bool({"x", "flow_x"} & kinds) and bool({"y", "flow_y"} & kinds)


def read_raw_frames(
    directory: Path, target: Path, *, bound: float, fps: float = 0.0, compression: str = "zstd"
) -> None:
    """Write a stack from a directory of raw frames.

    Images of frames are stored as they are where they have the size of the flow, and resized
    otherwise. Flow images are stored with the codec `linear8`, so that their codes are unchanged.

    Parameters
    ----------
    directory, target : Path
    bound : float
        Pixels that the codes 0 and 255 stand for. It is not written in the images.
    fps : float
        Frames per second; 0 if unknown, then times are the frame numbers.
    compression : str

    Raises
    ------
    ConversionError
        If an image is missing, of another size or cannot be read.
    """
    found = _collect(directory)
    numbers = sorted(found["x"])
    codec = Linear8(bound)
    first = _read_plane(found["x"][numbers[0]])
    frames = [found["img"].get(number) for number in [*numbers, numbers[-1] + 1]]
    header = Header(
        size=first.shape,
        method={"name": "imported", "from": "raw frames"},
        sampling={"step": 1},
        codec=codec,
        source=directory.name,
        source_size=first.shape,
        fps=fps,
        compression=compression,
    )
    if any(frames) and not all(frames):
        missing = frames.index(None) + numbers[0]
        raise ConversionError(f"{directory}: image of frame {missing} is missing")
    outputs = ["rgb"] if all(frames) else []
    with create_stack(target, header, outputs=outputs) as writer:
        for k, path in enumerate(frames):
            jpeg = None if path is None else _read_image(path, header.size)
            writer.add_frame(k, k / fps if fps else float(k), jpeg)
        for number in numbers:
            planes = [_read_plane(found[axis][number]) for axis in "xy"]
            for axis, plane in zip("xy", planes, strict=True):
                if plane.shape != header.size:
                    raise ConversionError(
                        f"{found[axis][number]}: got {plane.shape[1]}x{plane.shape[0]} pixels, "
                        f"expected {header.size[1]}x{header.size[0]}"
                    )
            writer.add_fields(codec.decode(np.stack(planes))[None])


def _collect(directory: Path) -> dict[str, dict[int, Path]]:
    """Return the image files by kind ("img", "x", "y") and number."""
    found: dict[str, dict[int, Path]] = {"img": {}, "x": {}, "y": {}}
    for path in directory.iterdir():
        match = _match(path)
        if match and int(match[2]) < _MOST_FRAMES:
            kind = match[1].lower().removeprefix("flow_").replace("image", "img")
            found[kind][int(match[2])] = path
    numbers = set(found["x"]) | set(found["y"])
    if not numbers:
        raise ConversionError(
            f"{directory}: no flow images; expected x_00001.jpg or flow_x_00001.jpg"
        )
    for axis in "xy":
        missing = next(
            (n for n in range(min(numbers), max(numbers) + 1) if n not in found[axis]), None
        )
        if missing is not None:
            raise ConversionError(f"{directory}: {axis} image {missing} is missing")
    return found


def _match(path: Path) -> re.Match[str] | None:
    return _NUMBERED.fullmatch(path.name)


def _read_bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise ConversionError(f"{path}: cannot read: {error.strerror}") from error


def _decode(path: Path, content: bytes, flags: int) -> Images:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:
        image = None
    if image is None:
        raise ConversionError(f"{path}: not an image that can be decoded")
    return image.astype(np.uint8, copy=False)


def _read_plane(path: Path) -> Images:
    return _decode(path, _read_bytes(path), cv2.IMREAD_GRAYSCALE)


def _read_image(path: Path, size: Size) -> bytes:
    content = _read_bytes(path)
    if path.suffix.lower() in (".jpg", ".jpeg") and jpeg_size(content) == size:
        return content
    image = _decode(path, content, cv2.IMREAD_COLOR)
    resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return encode_jpeg(resized[..., ::-1].astype(np.uint8, copy=False))


def find_raw_frames(directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name below `directory`, and the path, of each directory of raw frames."""
    if is_raw_frames(directory):
        yield directory.resolve().name, directory
        return
    for path in sorted(directory.rglob("*")):
        if path.is_dir() and is_raw_frames(path):
            yield path.relative_to(directory).as_posix(), path
