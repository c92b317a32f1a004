"""Stacks and videos that arguments name: files, directories (recursive) and glob patterns."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from flowstream.errors import ParameterError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_FLOW_SUFFIXES = frozenset({".flo", ".pfm"})


def paths_argument(metavar: str) -> Callable[[Any], Any]:
    """Return the click argument `paths`: one or more files, directories or patterns."""
    return click.argument(
        "paths", nargs=-1, required=True, metavar=f"{metavar}...", type=click.Path(path_type=Path)
    )


def find_stacks(paths: Iterable[str | Path]) -> list[Path]:
    """Return the stacks that paths name, without duplicates, each directory in natural order.

    Parameters
    ----------
    paths : paths
        A file is returned regardless of its name. A directory is searched recursively for `*.h5`
        files; hidden names are skipped. A path that does not exist and contains `*`, `?` or `[` is
        a glob pattern (`**` matches directories).

    Raises
    ------
    click.UsageError
        If a path does not exist or a pattern matches nothing.
    ParameterError
        If a directory contains no stack.
    """
    return _find(paths, _is_stack_name, "stacks (*.h5)")


def find_videos(paths: Iterable[str | Path]) -> list[Path]:
    """Return the videos that paths name, as `find_stacks` does.

    A directory of numbered images is one video.
    """
    return _find(paths, _is_video, "videos")


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """Return the stacks, videos and `.flo`/`.pfm` fields that paths name, as `find_stacks` does.

    If a directory contains stacks, only the stacks are returned.
    """
    found: list[Path] = []
    for path in _expand(paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = list(_walk(path, _is_stack_name)) or list(
            _walk(path, lambda file: _is_video(file) or file.suffix.lower() in _FLOW_SUFFIXES)
        )
        if not inside:
            raise ParameterError(f"{path}: no stacks, videos or flow files in this directory")
        found += inside
    return list(dict.fromkeys(found))


def is_stack(path: Path) -> bool:
    """Return True if a file starts with the signature of HDF5.

    Raises
    ------
    ParameterError
        If the file cannot be read.
    """
    from flowstream.disk import open_regular

    if path.is_dir():
        return False
    try:
        with open_regular(path) as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError as error:
        raise ParameterError(f"{path}: cannot read the file: {error.strerror}") from error


def distinct_names(paths: Iterable[Path]) -> list[str]:
    """Return the paths without the directories that all of them share.

    The names are never shortened further, so two different paths never look the same.
    """
    paths = [Path(os.path.abspath(path)) for path in paths]
    if not paths:
        return []
    shared = os.path.commonpath([path.parent for path in paths])
    return [os.path.relpath(path, shared) for path in paths]


def _find(paths: Iterable[str | Path], wanted: Callable[[Path], bool], kind: str) -> list[Path]:
    found: list[Path] = []
    for path in _expand(paths):
        if not path.is_dir() or (wanted(path) and not _is_stack_name(path)):
            found.append(path)
            continue
        inside = list(_walk(path, wanted))
        if not inside:
            raise ParameterError(f"{path}: no {kind} in this directory or below it")
        found += inside
    return list(dict.fromkeys(found))


def _expand(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield each existing path, and the matches of each pattern."""
    for path in map(Path, paths):
        if os.path.lexists(path):
            yield path
            continue
        text = str(path)
        matches = sorted(glob.glob(text, recursive=True), key=_order) if _is_pattern(text) else []
        if not matches:
            problem = "no file matches" if _is_pattern(text) else "no such file or directory"
            raise click.UsageError(f"{path}: {problem}")
        yield from map(Path, matches)


def _is_pattern(text: str) -> bool:
    return any(letter in text for letter in "*?[")


def _walk(
    directory: Path, wanted: Callable[[Path], bool], above: tuple[tuple[int, int], ...] = ()
) -> Iterator[Path]:
    """Yield the wanted files and directories below a directory, in natural order."""
    try:
        status = directory.stat()
        entries = sorted(os.scandir(directory), key=lambda entry: _order(entry.name))
    except OSError as error:
        raise ParameterError(f"{directory}: cannot read it: {error.strerror}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return  # a link to a directory above
    for entry in entries:
        path = directory / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inside = list(_walk(path, wanted, (*above, identity)))
            yield from inside
            if not inside and wanted(path):
                yield path
        elif wanted(path) and _is_regular(path):
            yield path


def _order(name: str) -> Any:
    # imported late: the package of the extraction is not needed for --help
    from flowstream.extract.listing import natural_key

    return natural_key(name)


def _is_stack_name(path: Path) -> bool:
    return path.suffix.lower() == ".h5" and not path.is_dir()


def _is_video(path: Path) -> bool:
    from flowstream.video import is_video

    return is_video(path)


def _is_regular(path: Path) -> bool:
    """Return True unless the path is a pipe or device, which would block a reader."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
