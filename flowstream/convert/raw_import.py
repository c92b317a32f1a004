"""Stacks from directories of raw frames, in either naming; see `flowstream.convert.rawframes`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flowstream.codec.linear8 import Linear8
from flowstream.convert.format import read_settings
from flowstream.convert.image_names import match_name
from flowstream.convert.rawframes import SETTINGS
from flowstream.disk import open_regular
from flowstream.errors import ConversionError, StackError
from flowstream.store import Header, create_stack
from flowstream.store.jpeg import encode_jpeg, jpeg_quality, jpeg_size
from flowstream.types import Images, Size

_MOST_FRAMES = 10_000_000
_ENCODED = 95
"""JPEG quality of images that are encoded again, because they are resized or no JPEG images."""


@dataclass(frozen=True)
class _Files:
    """Files of a directory that belong together: image k and field k have the same number.

    `frames` is empty, or holds one image more than there are fields.
    """

    fields: list[tuple[Path, Path]]
    frames: list[Path]
    note: str


def recorded_bound(directory: Path) -> tuple[float, Path] | None:
    """Return the bound that `convert --to rawframes` recorded, and the file; None if none did.

    The file is in a directory above the images.

    Raises
    ------
    ConversionError
        If the file cannot be read.
    """
    for above in Path(os.path.abspath(directory)).parents:
        bound = (read_settings(above / SETTINGS) or {}).get("bound")
        if isinstance(bound, int | float) and math.isfinite(bound):
            return float(bound), above / SETTINGS
    return None


def read_raw_frames(
    directory: Path, target: Path, *, bound: float, fps: float = 0.0, compression: str = "zstd"
) -> str:
    """Write a stack from a directory of raw frames; return a note on what was left out, or "".

    Images of frames are stored as they are where they have the size of the flow, and resized
    otherwise. Flow images are stored with the codec `linear8`, so that their codes are unchanged.

    N fields need N + 1 images. If there are only N, as some tools write them, the last field is
    left out, because its second image is missing.

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
    files = _collect(directory)
    codec = Linear8(bound)
    first = _read_plane(files.fields[0][0])
    header = Header(
        size=first.shape,
        method={"name": "imported", "from": "raw frames"},
        sampling={"step": 1},
        codec=codec,
        source=directory.resolve().name,
        source_size=first.shape,
        fps=fps,
        compression=compression,
        jpeg_quality=_common_quality(files.frames, first.shape),
    )
    with create_stack(target, header, outputs=["rgb"] if files.frames else []) as writer:
        for k in range(len(files.fields) + 1):
            jpeg = _read_image(files.frames[k], header.size) if files.frames else None
            writer.add_frame(k, k / fps if fps else float(k), jpeg)
        for pair in files.fields:
            planes = [_read_plane(path) for path in pair]
            for path, plane in zip(pair, planes, strict=True):
                if plane.shape != header.size:
                    raise ConversionError(
                        f"{path}: got {plane.shape[1]}x{plane.shape[0]} pixels, "
                        f"expected {header.size[1]}x{header.size[0]}"
                    )
            writer.add_fields(codec.decode(np.stack(planes))[None])
    return files.note


def _collect(directory: Path) -> _Files:
    """Return the files of a directory; refuse one that has gaps or too few images."""
    found: dict[str, dict[int, Path]] = {"img": {}, "x": {}, "y": {}}
    for path in directory.iterdir():
        match = match_name(path.name)
        if match and int(match[2]) < _MOST_FRAMES:
            kind = match[1].lower().removeprefix("flow_").replace("image", "img")
            found[kind][int(match[2])] = path
    images, numbers = found["img"], sorted(set(found["x"]) | set(found["y"]))
    if not numbers:
        raise ConversionError(
            f"{directory}: no flow images; expected x_00001.jpg or flow_x_00001.jpg"
        )
    first, last = numbers[0], numbers[-1]
    for axis in "xy":
        missing = next((n for n in range(first, last + 1) if n not in found[axis]), None)
        if missing is not None:
            raise ConversionError(
                f"{directory}: {axis} image {missing} is missing; expected {first} to {last} of "
                "both x and y"
            )
    note = ""
    if (
        images
        and last + 1 not in images
        and min(images) == first
        and last in images
        and last > first
    ):
        note = (
            f"{directory}: field {last} left out, because image {last + 1} is missing "
            f"(images {first} to {last}, fields {first} to {last})"
        )
        last -= 1
    missing = next((n for n in range(first, last + 2) if n not in images), None)
    if images and missing is not None:
        raise ConversionError(
            f"{directory}: image {missing} is missing; expected images {first} to {last + 1} for "
            f"fields {first} to {last}, got {len(images)} from {min(images)} to {max(images)}. Add "
            "it, or move all images away to import the flow alone"
        )
    pairs = [(found["x"][n], found["y"][n]) for n in range(first, last + 1)]
    return _Files(pairs, [images[n] for n in range(first, last + 2)] if images else [], note)


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


def _is_kept(path: Path, content: bytes, size: Size) -> bool:
    """Return True if an image is stored as it is."""
    return path.suffix.lower() in (".jpg", ".jpeg") and jpeg_size(content) == size


def _read_image(path: Path, size: Size) -> bytes:
    content = _read_bytes(path)
    try:
        if _is_kept(path, content, size):
            return content
    except StackError as error:
        raise ConversionError(f"{path}: {error}") from error
    image = _decode(path, content, cv2.IMREAD_COLOR)
    resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return encode_jpeg(resized[..., ::-1].astype(np.uint8, copy=False), _ENCODED)


def _common_quality(paths: list[Path], size: Size) -> int:
    """Return the quality that all images are stored with; 0 if there is no such quality."""
    found: set[int] = set()
    for path in paths:
        content = _read_bytes(path)
        try:
            found.add(jpeg_quality(content) if _is_kept(path, content, size) else _ENCODED)
        except StackError as error:
            raise ConversionError(f"{path}: {error}") from error
    return found.pop() if len(found) == 1 else 0
