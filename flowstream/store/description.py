"""What a stack says about itself, read and checked without reading its flow.

Format 1 holds these data sets, and the attributes of `flowstream.store.attributes`:

| item | type | meaning |
|---|---|---|
| `/flow` | u1, i2, f2 or f4 `(2(T-1), H, W)`, chunks `(2, H, W)` | codes: dx0 dy0 dx1 dy1 ... |
| `/frame` | i4 `(T,)` | index of each sampled frame in the source, counted by decoding |
| `/time` | f8 `(T,)` | its presentation time, seconds |
| `/rgb` | optional, `(T,)` variable-length u1 | JPEG bytes of the sampled frames at H x W |
| `/flow_backward` | optional, as `/flow`, its attributes too | field k goes from frame k+1 to \
  frame k and is anchored on k+1: what is at (x, y) there is at (x+dx, y+dy) in frame k |
| `/consistent` | optional, u1 `(T-1, H, ceil(W/8))`, chunks of one mask | bits along the columns, \
  the first the highest (`numpy.packbits`): where forward and backward flow agree |
| `/consistency` | with `/consistent`, f4 `(T-1,)` | fraction of the pixels of each mask |
| `/homography` | with attribute `stabiliser`, f8 `(T-1, 3, 3)` | the camera's motion from frame k \
  to k+1, in pixels (x, y, 1); fields are without it: what they hold is `motion.residual` |
| `/inliers` | with `/homography`, f4 `(T-1,)` | share of the matches that move with it; 0 where \
  support was thin and the homography is the identity |
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flowstream.codec import CODECS, Codec
from flowstream.errors import FlowstreamError, StackError
from flowstream.store.attributes import find_dataset, read_attributes
from flowstream.types import Size

_CHUNKS = {"flow_backward": 2, "consistent": 1}


@dataclass(frozen=True)
class Description:
    """What a stack says about itself, checked."""

    flowstream: str
    source: str
    source_bytes: int
    source_size: Size
    fps: float
    method: dict[str, Any]
    sampling: dict[str, Any]
    codec: Codec
    compression: str
    clipped: float
    checksum: str
    size: Size
    num_frames: int
    has_rgb: bool
    has_backward: bool
    clipped_backward: float | None
    has_consistency: bool
    stabiliser: dict[str, Any] | None


def describe(file: h5py.File, path: Path) -> Description:
    """Read and check what a stack says about itself, without reading its flow.

    Raises
    ------
    StackError
        If the file is not a stack of this format.
    """
    values = read_attributes(file, path)
    codec = _codec(values, path)
    size, num_frames = _shapes(file, codec.dtype, path)
    _check_optional(file, path, stabilised="stabiliser" in values)
    seen = {name: values[name] for name in ("source_bytes", "source_height", "source_width", "fps")}
    for name, value in seen.items():
        if not (math.isfinite(value) and value >= 0):
            raise StackError(f"{path}: {name} is {value}, expected 0 or more")
    for name in ("clipped", "clipped_backward"):
        if not 0 <= values.get(name, 0) <= 1:
            raise StackError(f"{path}: {name} is {values[name]}, expected a fraction")
    given = {
        field.name: values[field.name] for field in fields(Description) if field.name in values
    }
    return Description(
        **{
            **given,
            "source_size": (values["source_height"], values["source_width"]),
            "method": _record(values, "method", path),
            "sampling": _record(values, "sampling", path),
            "codec": codec,
            "size": size,
            "num_frames": num_frames,
            "has_rgb": "rgb" in file,
            "has_backward": "flow_backward" in file,
            "clipped_backward": values.get("clipped_backward"),
            "has_consistency": "consistent" in file,
            "stabiliser": (_record(values, "stabiliser", path) if "stabiliser" in values else None),
        }
    )


def _codec(values: Mapping[str, Any], path: Path) -> Codec:
    try:
        kind = CODECS[values["codec"]]
        with_bound = any(field.name == "bound" for field in fields(kind))  # type: ignore[arg-type]
        codec = kind(bound=values["bound"]) if with_bound else kind()  # type: ignore[call-arg]
    except FlowstreamError as error:
        raise StackError(f"{path}: {error}") from error
    for name in ("bound", "scale_factor", "add_offset"):
        expected = getattr(codec, name)
        if values[name] != expected:
            raise StackError(
                f"{path}: /flow: {name} is {values[name]!r}, expected {expected!r} "
                f"of codec {codec.name!r} with bound {values['bound']!r}"
            )
    return codec


def _shapes(file: h5py.File, dtype: np.dtype[Any], path: Path) -> tuple[Size, int]:
    """Size and number of frames, where all items agree on them."""
    flow, frame, time = (find_dataset(file, name, path) for name in ("flow", "frame", "time"))
    if flow.ndim != 3 or flow.dtype != dtype or flow.chunks != (2, *flow.shape[1:]):
        raise StackError(
            f"{path}: /flow is {flow.dtype} {flow.shape} in chunks {flow.chunks}, "
            f"expected {dtype} (2(T-1), H, W) in chunks (2, H, W)"
        )
    planes, rows, columns = flow.shape
    frames = planes // 2 + 1
    if planes < 2 or planes % 2 or min(rows, columns) < 1:
        raise StackError(f"{path}: /flow has shape {flow.shape}, expected (2(T-1), H, W), T >= 2")
    items = [("frame", frame, np.dtype(np.int32)), ("time", time, np.dtype(np.float64))]
    if "rgb" in file:
        rgb = find_dataset(file, "rgb", path)
        items.append(("rgb", rgb, np.dtype(object)))
        if h5py.check_vlen_dtype(rgb.dtype) != np.uint8:
            raise StackError(f"{path}: /rgb is {rgb.dtype}, expected variable-length bytes")
    for name, item, kind in items:
        if item.shape != (frames,) or item.dtype != kind:
            raise StackError(
                f"{path}: /{name} is {item.dtype} {item.shape}, expected {kind} ({frames},): "
                f"/flow has {planes} planes"
            )
    return (rows, columns), frames


def _check_optional(file: h5py.File, path: Path, *, stabilised: bool) -> None:
    """Refuse optional items of another shape or type than `/flow` asks for, or alone."""
    planes, rows, columns = file["flow"].shape
    pairs, packed = planes // 2, -(-columns // 8)
    kin = {
        "flow_backward": ("flow_backward" in file, (planes, rows, columns), file["flow"].dtype),
        "consistent": ("consistent" in file, (pairs, rows, packed), np.dtype(np.uint8)),
        "consistency": ("consistent" in file, (pairs,), np.dtype(np.float32)),
        "homography": (stabilised, (pairs, 3, 3), np.dtype(np.float64)),
        "inliers": (stabilised, (pairs,), np.dtype(np.float32)),
    }
    for name, (expected, shape, dtype) in kin.items():
        if not expected:
            if name in file:
                raise StackError(f"{path}: /{name} stands without what belongs to it")
            continue
        item = find_dataset(file, name, path)
        if item.shape != shape or item.dtype != dtype:
            raise StackError(
                f"{path}: /{name} is {item.dtype} {item.shape}, expected {dtype} {shape}: "
                f"/flow has shape {file['flow'].shape}"
            )
        if name in _CHUNKS and item.chunks != (_CHUNKS[name], *shape[1:]):
            raise StackError(f"{path}: /{name} has chunks {item.chunks}, expected of one pair")


def _record(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(values[name])
    except ValueError as error:
        raise StackError(f"{path}: attribute {name!r} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise StackError(f"{path}: attribute {name!r} is {record!r}, expected a table")
    return record
