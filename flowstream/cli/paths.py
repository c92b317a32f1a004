"""Stacks and videos that arguments name: files, directories (recursive), packs and patterns."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from flowstream.disk import is_pattern, match_pattern
from flowstream.errors import ParameterError, StackError, did_you_mean

_HDF5 = b"\x89HDF\r\n\x1a\n"
_COMPARED = 5000
"""Number of names of a pack that a wrong name is compared with, which takes 0.1 s."""

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
        files; hidden names are skipped. A pack is replaced by the paths `PACK/NAME.h5` of its
        stacks, also in a directory; a directory in a pack is accepted like one on disk. A path that
        does not exist and contains `*`, `?` or `[` is a glob pattern (`**` matches directories).

    Raises
    ------
    click.UsageError
        If a path does not exist or a pattern matches nothing.
    ParameterError
        If a directory contains no stack.
    """
    return _find(paths, members, _walk_stacks, wanted=_may_be_stack, kind="stacks (*.h5)")


def find_videos(paths: Iterable[str | Path]) -> list[Path]:
    """Return the videos that paths name, as `find_stacks` does.

    A directory of numbered images is one video.
    """
    return _find(paths, lambda file: [file], _walk_videos, wanted=_is_video, kind="videos")


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """Return the stacks, videos and `.flo`/`.pfm` fields that paths name, as `find_stacks` does.

    If a directory contains stacks, only the stacks are returned.
    """
    return _find(
        paths, members, _walk_inputs, wanted=_is_input, kind="stacks, videos or flow files"
    )


def is_stack(path: Path) -> bool:
    """Return True if a file starts with the signature of HDF5, or a path names a stack in a pack.

    Raises
    ------
    ParameterError
        If the file cannot be read.
    """
    from flowstream.disk import open_regular
    from flowstream.store.pack import split_member

    if path.is_dir():
        return False
    if split_member(path) is not None:
        return True
    try:
        with open_regular(path) as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError as error:
        raise ParameterError(f"{path}: cannot read the file: {error.strerror}") from error


def distinct_names(paths: Iterable[Path]) -> list[str]:
    """Return the paths without the directories that all of them share.

    The names are never shortened further, so two different paths never look the same. The name of a
    stack in a pack starts with the pack.
    """
    from flowstream.store.pack import file_of

    paths = [Path(os.path.abspath(path)) for path in paths]
    if not paths:
        return []
    shared = file_of(Path(os.path.commonpath([path.parent for path in paths])))
    shared = shared.parent if shared.is_file() else shared
    return [os.path.relpath(path, shared) for path in paths]


def name_below(found: Path, path: Path) -> Path:
    """Return the name of a file found in `path`: relative to a directory or pack, or its name."""
    return found.relative_to(path) if path in found.parents else Path(found.name)


def is_same_file(out: Path, source: Path) -> bool:
    """Return True if writing `out` would replace `source`, or the pack that contains it."""
    from flowstream.store.pack import file_of

    try:
        return out.exists() and out.samefile(file_of(source))
    except OSError:  # reading the source tells why
        return False


def _find(
    paths: Iterable[str | Path],
    of_file: Callable[[Path], Iterable[Path]],
    of_directory: Callable[[Path], Iterable[Path]],
    *,
    wanted: Callable[[Path], bool],
    kind: str,
) -> list[Path]:
    """Return what paths name; of the matches of a pattern, only what is `wanted`."""
    found: list[Path] = []
    for given in map(Path, paths):
        named = os.path.lexists(given) or not is_pattern(given)
        inside: list[Path] = []
        for path in expand([given]):
            if path.is_dir():
                inside += of_directory(path)
            elif named or wanted(path):
                inside += of_file(path)
        if not inside:
            where = "in this directory or below it" if named else "match"
            raise ParameterError(f"{given}: no {kind} {where}")
        found += inside
    # a path with `..` is the same as one without
    once: dict[str, Path] = {}
    for path in found:
        once.setdefault(os.path.abspath(path), path)
    return list(once.values())


def expand(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield each existing path, and the matches of each pattern.

    Raises
    ------
    click.UsageError
        If a path does not exist or a pattern matches nothing.
    """
    for path in map(Path, paths):
        if os.path.lexists(path) or _is_in_pack(path):
            yield path
            continue
        text = str(path)
        matches = sorted(_match(path), key=lambda found: _order(str(found)))
        if not matches:
            problem = "no file matches" if is_pattern(text) else "no such file or directory"
            raise click.UsageError(f"{path}: {problem}")
        yield from matches


def _match(path: Path) -> list[Path]:
    """Return the files, or the stacks in a pack, that match a pattern; none if it is no pattern."""
    from flowstream.store.pack import find_members, is_pack, split_member

    if not is_pattern(path):
        return []
    pack, name = split_member(path) or (path, "")
    if name and is_pack(pack):
        depth = len(path.parts)
        members = (member for member in find_members(pack) if len(member.parts) == depth)
        return [member for member in members if member.relative_to(pack).match(name)]
    return list(match_pattern(path))


def _is_in_pack(path: Path) -> bool:
    """Return True if a path below a file names a stack in a pack, or a directory in it.

    Raises
    ------
    ParameterError
        If the file is not a pack, or contains neither.
    """
    from flowstream.store.pack import find_members, is_pack, read_members, split_member

    pack, name = split_member(path) or (path, "")
    if not name or is_pattern(name):
        return False
    if not is_pack(pack):
        raise ParameterError(f"{path}: {pack} is a file, but not a pack of stacks")
    if find_members(path):
        return True
    hint = did_you_mean(name, list(read_members(pack))[:_COMPARED])
    hint = hint or f" List its stacks with: flowstream info {pack}"
    raise ParameterError(f"{path}: no such stack in the pack {pack}.{hint}")


def members(path: Path) -> list[Path]:
    """Return the stacks in a pack in natural order; any other file is returned itself."""
    from flowstream.store.pack import find_members

    try:
        return sorted(find_members(path), key=lambda member: _order(str(member))) or [path]
    except StackError:
        return [path]  # opening it reports the damage


def _walk_stacks(directory: Path) -> Iterator[Path]:
    for path in _walk(directory, _is_stack_name):
        yield from members(path)


def _walk_videos(directory: Path) -> Iterator[Path]:
    # a directory of numbered images is one video
    yield from [directory] if _is_video(directory) else _walk(directory, _is_video)


def _walk_inputs(directory: Path) -> Iterator[Path]:
    if stacks := list(_walk_stacks(directory)):
        yield from stacks
    else:
        yield from [directory] if _is_video(directory) else _walk(directory, _is_video_or_flow)


def _walk(directory: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield the wanted files and directories below a directory, in natural order.

    A directory that contains wanted paths is not wanted itself.
    """
    from flowstream.disk import walk

    def fail(error: OSError) -> None:
        raise ParameterError(f"{error.filename}: cannot read it: {error.strerror}") from error

    places, found = [], []
    for place, _, files in walk(directory, onerror=fail):
        places.append(place)
        found += [path for path in map(place.joinpath, files) if wanted(path) and _is_regular(path)]
    above = {place for path in found for place in path.parents}
    for place in reversed(places[1:]):  # the deepest first
        if place not in above and wanted(place):
            found.append(place)
            above.update(place.parents)
    yield from sorted(found, key=lambda path: [_order(part) for part in path.parts])


def _order(name: str) -> Any:
    # imported late: the package of the extraction is not needed for --help
    from flowstream.extract.listing import natural_key

    return natural_key(name)


def _is_stack_name(path: Path) -> bool:
    return path.suffix.lower() == ".h5" and not path.is_dir()


def _may_be_stack(path: Path) -> bool:
    return _is_stack_name(path) or is_stack(path)


def _is_input(path: Path) -> bool:
    return _is_video_or_flow(path) or _may_be_stack(path)


def _is_video_or_flow(path: Path) -> bool:
    return _is_video(path) or path.suffix.lower() in _FLOW_SUFFIXES


def _is_video(path: Path) -> bool:
    from flowstream.video import is_video

    return is_video(path)


def _is_regular(path: Path) -> bool:
    """Return True unless the path is a pipe or device, which would block a reader."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
