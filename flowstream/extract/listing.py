"""Search of a directory tree for videos; one unreadable path never stops it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flowstream.disk import fixed_part, match_pattern
from flowstream.errors import ExtractionError
from flowstream.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Pair, Span, is_video, why_not_video


@dataclass(frozen=True)
class Found:
    """A video that was found.

    Parameters
    ----------
    path : Path
    name : str
        Path below the source, with `/`.
    is_directory : bool
        True for a directory of images.
    part : Span, Pair or None
        Frames that a manifest names.
    problem : str
        Reason why the path cannot be read; empty if it can.
    """

    path: Path
    name: str
    is_directory: bool = False
    part: Span | Pair | None = None
    problem: str = ""


@dataclass
class _Level:
    """A directory that is being searched; the search keeps a stack of them, not of calls."""

    path: str
    name: str
    entries: Iterator[os.DirEntry[str]]
    identity: tuple[int, int]
    found: bool = False


def find_videos(
    source: Path, *, out: Path, passed_over: dict[str, tuple[int, str]]
) -> Iterator[Found]:
    """Yield the videos in a directory and below, in natural order.

    A path that cannot be read is yielded with its problem. Other files are counted in
    `passed_over`, by suffix and reason.

    Raises
    ------
    ExtractionError
        If the directory itself cannot be read, or holds no video.
    """
    any_found = False
    for found in _walk(source, out, passed_over):
        any_found = True
        yield found
    if not any_found:
        if is_video(source):
            yield Found(source, source.resolve().name, is_directory=True)
            return
        seen = [f"{count} {key.partition(chr(0))[0]}" for key, (count, _) in passed_over.items()]
        raise ExtractionError(
            f"{source}: no videos in this directory; expected video files or directories of "
            f"numbered images, got {', '.join(seen) or 'nothing'}"
        )


def find_matching(
    pattern: Path, *, out: Path, passed_over: dict[str, tuple[int, str]]
) -> Iterator[Found]:
    """Yield the videos that match a pattern, or are in directories that do, in natural order.

    Their names start at the first part of the pattern that has a wildcard. Files that are no videos
    are counted in `passed_over`, and directories without videos are left out.

    Raises
    ------
    ExtractionError
        If nothing matches, or there is no video.
    """
    matches = sorted(match_pattern(pattern), key=lambda match: natural_key(str(match)))
    if not matches:
        raise ExtractionError(f"{pattern}: no file matches")
    start, skipped = fixed_part(pattern), os.path.realpath(out)
    any_found = False
    for match in matches:
        if skipped in (real := os.path.realpath(match), *map(str, Path(real).parents)):
            continue
        place = Path(os.path.relpath(match, start))
        for found in _in_match(match, out, passed_over):
            any_found = True
            if found.path != match:
                yield replace(found, name=(place / found.name).as_posix())
            else:
                yield replace(found, name=place.as_posix() if place.name else found.name)
    if not any_found:
        raise ExtractionError(f"{pattern}: no videos among {len(matches)} paths that match")


def _in_match(match: Path, out: Path, passed_over: dict[str, tuple[int, str]]) -> Iterator[Found]:
    if match.is_dir():
        try:
            yield from find_videos(match, out=out, passed_over=passed_over)
        except ExtractionError:
            if not os.access(match, os.R_OK | os.X_OK):
                raise
    elif (reason := why_not_video(match)) is None:
        yield Found(match, match.name)
    else:
        _count(str(match), reason.removeprefix("not a video: "), passed_over)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key under which `clip2` comes before `clip10`."""
    # Strings and numbers alternate, so that like is compared with like.
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdecimal() else part for part in parts], name


def _walk(source: Path, out: Path, passed_over: dict[str, tuple[int, str]]) -> Iterator[Found]:
    try:
        levels = [_open(os.fspath(source), "")]
    except OSError as error:
        raise ExtractionError(f"{source}: cannot read this directory: {error.strerror}") from error
    skipped = _identity(out)
    while levels:
        level = levels[-1]
        entry = next(level.entries, None)
        if entry is None:
            levels.pop()
            if not levels:
                return
            if not level.found and is_video(level.path):
                level.found = True
                yield Found(Path(level.path), level.name.rstrip("/"), is_directory=True)
            levels[-1].found |= level.found
            continue
        path, name = os.path.join(level.path, entry.name), f"{level.name}{entry.name}"
        if entry.name.startswith("."):
            if _suffix(entry.name) in VIDEO_SUFFIXES:
                _count(path, "a hidden name", passed_over)
            continue
        try:
            if not entry.is_dir():
                if _is_wanted(entry, path, passed_over):
                    level.found = True
                    yield Found(Path(path), name)
                continue
            inner = _open(path, f"{name}/")
        except OSError as error:
            level.found = True
            yield Found(Path(path), name, problem=f"cannot read it: {error.strerror}")
            continue
        # A link to a directory above would be followed forever.
        if inner.identity != skipped and all(inner.identity != above.identity for above in levels):
            levels.append(inner)


def _open(path: str, name: str) -> _Level:
    status = os.stat(path)
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: natural_key(entry.name))
    return _Level(path, name, iter(entries), (status.st_dev, status.st_ino))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_wanted(entry: os.DirEntry[str], path: str, passed_over: dict[str, tuple[int, str]]) -> bool:
    """Return True if a file is a video; otherwise count it."""
    reason: str | None
    if _suffix(entry.name) in VIDEO_SUFFIXES:
        reason = None if _is_regular_or_dead(entry) else "not a regular file"
    elif _suffix(entry.name) in IMAGE_SUFFIXES:
        reason = "a single image"
    else:
        reason = why_not_video(path)
    if reason is None:
        return True
    _count(path, reason.removeprefix("not a video: "), passed_over)
    return False


def _count(path: str, reason: str, passed_over: dict[str, tuple[int, str]]) -> None:
    """Count a file that is passed over; the first one of its suffix and reason is an example."""
    key = f"{_suffix(path)}\0{reason}"
    count, example = passed_over.get(key, (0, path))
    passed_over[key] = count + 1, example


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_regular_or_dead(entry: os.DirEntry[str]) -> bool:
    """Return False for pipes and devices, which block; a dead link is a video that fails."""
    if entry.is_file():
        return True
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True
