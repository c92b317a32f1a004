"""Safe file access: atomic writes, and reads that never block."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any


def open_regular(path: Path, *, buffering: int = -1) -> IO[bytes]:
    """Open a regular file for reading; refuse pipes and devices, which could block forever.

    Raises
    ------
    OSError
        If the file cannot be opened, or is not a regular file.
    """
    mode = path.stat().st_mode
    # For a directory, `open` raises the clearest error.
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return path.open("rb", buffering=buffering)


def read_small(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises
    ------
    OSError
        If the file cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        reason = f"File has more than {limit} bytes"
        raise OSError(errno.EFBIG, reason, str(path))
    return content


def read_json(path: Path, *, limit: int) -> Any:
    """Read a JSON file of at most `limit` bytes.

    Raises
    ------
    OSError
        As `read_small`.
    ValueError
        If the content is not JSON, nested too deeply, or has an integer of too many digits.
    """
    try:
        return json.loads(read_small(path, limit=limit).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def walk(
    directory: Path, *, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield the path, directories and files of a directory and of each one below it, sorted.

    Hidden names are left out. Links are followed, but a directory that several paths lead to is
    yielded once, so that no link is followed forever.

    Parameters
    ----------
    directory : path
    onerror : function, optional
        Called if a directory cannot be read, which is left out otherwise.

    Yields
    ------
    path, directories, files : Path, list of names, list of names
        Directories that the caller removes from the list are not searched.
    """
    seen: set[str] = set()
    for place, directories, files in os.walk(directory, onerror=onerror, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            directories.clear()
            continue
        seen.add(real)
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        yield Path(place), directories, sorted(name for name in files if not name.startswith("."))


def is_pattern(path: str | Path) -> bool:
    """Return True if a path contains a wildcard: `*`, `?` or `[`."""
    return any(letter in str(path) for letter in "*?[")


def match_pattern(path: str | Path) -> Iterator[Path]:
    """Yield the paths that match a pattern (`**` matches directories), without hidden names.

    A path that exists, or has no wildcard, is no pattern and has no matches.
    """
    if is_pattern(path) and not os.path.lexists(path):
        # `nosuch/**` also matches `nosuch/` itself
        yield from map(Path, filter(os.path.lexists, glob.iglob(str(path), recursive=True)))


def fixed_part(pattern: Path) -> Path:
    """Return the directories before the first part of a pattern that has a wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((k for k, part in enumerate(parts) if is_pattern(part)), len(parts))
    return Path(*parts[:fixed])


def refuse_special(path: Path, *, links: bool = False) -> None:
    """Refuse to write to a pipe, a socket or a device, which a rename would replace by a file.

    Parameters
    ----------
    path : path
        File to write; it need not exist. For a directory, the write raises the clearest error.
    links : bool
        Refuse symbolic links, too, because opening one for writing changes its target.

    Raises
    ------
    OSError
        If it is not a regular file, or a link to something else.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.lstat().st_mode
        if stat.S_ISLNK(found):
            # /dev/stdout and its like are links, and would be replaced for all processes
            if links or path.parent.absolute() == Path("/dev"):
                raise OSError(
                    errno.EINVAL, "Is a symbolic link, expected a regular file", str(path)
                )
            found = path.stat().st_mode
        if not stat.S_ISREG(found) and not stat.S_ISDIR(found):
            raise OSError(errno.EINVAL, "Exists, but is not a regular file", str(path))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it to `path` at the end of the block.

    The content is flushed to the disk before the rename. After an error the new file is removed,
    and an older file at `path` is unchanged.

    Raises
    ------
    OSError
        If the file cannot be written, or is not a regular file; the caller adds what the file is.
        An error of a write, to which the system gives no name, gets that of the file.
    """
    part = path.with_name(path.name + ".part")
    refuse_special(path)
    refuse_special(part, links=True)
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
