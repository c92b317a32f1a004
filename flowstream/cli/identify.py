"""Identification of files by their content, with their facts as plain data."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowstream.disk import open_regular, read_json
from flowstream.errors import MissingDependencyError, ParameterError, VideoError
from flowstream.plugins import provenance
from flowstream.store.pack import split_member

_HEAD = 4096


def identify(path: Path, *, count: bool = False) -> dict[str, Any]:
    """Return the kind and facts of a file.

    The file can be a video, stack, checkpoint, score file, report or flow field.

    Parameters
    ----------
    path : path
        Existing file or directory.
    count : bool
        Decode a video to count its frames.

    Raises
    ------
    ParameterError
        If the file cannot be read or is none of these.
    FlowstreamError
        If the file is one of these, but corrupted.
    """
    if path.is_dir():
        return _video(path, count=count)
    if split_member(path) is not None:
        return _stack(path)
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ParameterError(f"{path}: cannot read the file: {error.strerror}") from error
    if not head:
        raise ParameterError(f"{path}: the file is empty")
    reader = _reader(path, head)
    return _video(path, count=count) if reader is None else reader(path)


def _reader(path: Path, head: bytes) -> Callable[[Path], dict[str, Any]] | None:
    """Return the reader for the first bytes of a file; None if it may be a video."""
    start = head.lstrip()
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _stack
    if zipfile.is_zipfile(path):
        return _archive
    if head.startswith((b"PIEH", b"PF\n")) or (head[24:26] == b"\x10\x02" and b"PNG" in head[:4]):
        return _flow
    if start.startswith(b"{") and b'"flowstream.report' in head:
        return _report
    if start.startswith(b"<!doctype html>") and b"flowstream" in head:
        return _page
    return None


def _video(path: Path, *, count: bool) -> dict[str, Any]:
    from flowstream.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, count_frames, probe

    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        raise ParameterError(
            f"{path}: a single image is no video; expected a directory of numbered images"
        )
    try:
        info = probe(path)
    except VideoError as error:
        if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
            raise
        raise ParameterError(
            f"{path}: unknown kind of file; expected a video, stack, checkpoint, score file, "
            "report or flow field"
        ) from error
    return {
        "kind": "video",
        "path": str(path),
        "bytes": _size(path),
        "size": [info.rows, info.columns],
        "sample_aspect": info.sample_aspect,
        "fps": info.fps or None,
        "header_fps": info.container_fps or None,
        "variable_rate": info.variable,
        "seconds": info.seconds,
        "header_frames": info.header_frames,
        **({"decoded_frames": count_frames(path)} if count else {}),
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "stream": f"{info.stream} (of {info.streams} video streams)",
        "rotation": info.rotation,
    }


def _size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _stack(path: Path) -> dict[str, Any]:
    from flowstream.store import open_stack

    with open_stack(path) as stack:
        return {"kind": "stack", **stack.summary(), "path": str(path)}


def _archive(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "scores.npy" in names:
        return _scores(path)
    if any(name.endswith("/data.pkl") for name in names):
        return _checkpoint(path)
    raise ParameterError(f"{path}: this ZIP archive is neither a score file nor a checkpoint")


def _scores(path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from flowstream.report import measure
    from flowstream.scores import read_scores

    scores = read_scores(path)
    unlabelled = int((scores.labels < 0).sum())
    record = {
        "kind": "scores",
        "path": str(path),
        "stream": scores.stream,
        "part": scores.part,
        "checkpoint": scores.checkpoint or None,
        "videos": len(scores.videos),
        "unlabelled": unlabelled,
        "classes": list(scores.classes),
    }
    if unlabelled or not scores.videos:
        return record
    found = measure(scores)
    return {
        **record,
        "top1": asdict(found.top1),
        f"top{found.k}": asdict(found.top_k),
        "mean_class_accuracy": found.mean_class_accuracy,
    }


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        from flowstream.train.checkpoint import load_checkpoint
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{path}: reading a checkpoint needs {error.name!r}; install it with: "
            "pip install 'flowstream[train]'"
        ) from error

    checkpoint = load_checkpoint(path)
    return {
        "kind": "checkpoint",
        "path": str(path),
        "bytes": _size(path),
        "stream": checkpoint.recipe.stream,
        "model": checkpoint.recipe.model,
        "weights": sum(weight.numel() for weight in checkpoint.weights.values()),
        "classes": list(checkpoint.classes),
        "epoch": checkpoint.epoch,
        **checkpoint.measures,
        "can_resume": checkpoint.resume is not None,
        "identity": checkpoint.identity,
        **checkpoint.spec.as_dict(),
        "recipe": provenance(checkpoint.recipe),
    }


def _report(path: Path) -> dict[str, Any]:
    try:
        report = read_json(path, limit=2**26)
        streams = report["streams"] | ({"fused": report["fused"]} if report["fused"] else {})
        return {
            "kind": "report",
            "path": str(path),
            "part": report["part"],
            "videos": next(iter(streams.values()))["top1"]["total"],
            "classes": [*map(str, report["classes"])],
            "top1": {name: _share(found["top1"]) for name, found in streams.items()},
            "mean_class_accuracy": {
                name: float(found["mean_class_accuracy"]) for name, found in streams.items()
            },
            "facts": dict(report["facts"].items()),
        }
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        StopIteration,
        OverflowError,
    ) as error:
        raise ParameterError(f"{path}: corrupted report: {error!r:.200}") from error


def _share(share: Any) -> dict[str, float]:
    shares = {name: float(share[name]) for name in ("value", "low", "high")}
    return shares | {name: int(share[name]) for name in ("correct", "total")}


def _page(path: Path) -> dict[str, Any]:
    data = path.with_suffix(".json")
    if not data.is_file():
        raise ParameterError(f"{path}: {data}, the data of this report, is missing")
    return _report(data)


def _flow(path: Path) -> dict[str, Any]:
    import numpy as np

    from flowstream.flow.files import read_flow

    field = read_flow(path)
    speed = np.hypot(*field)
    known = np.isfinite(speed)
    return {
        "kind": "flow field",
        "path": str(path),
        "bytes": _size(path),
        "size": list(speed.shape),
        "known": float(known.mean()),
        "max_speed": float(speed[known].max()) if known.any() else None,
    }
