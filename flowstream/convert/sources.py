"""Search of a directory for what can be converted: stacks and directories of raw frames."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from flowstream.convert.image_names import has_both_components
from flowstream.disk import walk
from flowstream.errors import ConversionError


@dataclass(frozen=True)
class Source:
    """Stack or directory of raw frames.

    Parameters
    ----------
    path : Path
    name : str
        Path of its output below the directory of all outputs, with `/` and without suffix.
    is_raw : bool
        True for a directory of raw frames.
    """

    path: Path
    name: str
    is_raw: bool = False

    @property
    def class_name(self) -> str:
        """Name of the directory or pack that contains it."""
        return Path(os.path.abspath(self.path)).parent.name.removesuffix(".h5")


@dataclass
class Contents:
    """Contents of a directory and the directories below it."""

    stacks: list[Path] = field(default_factory=list)
    raw: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    has_u_and_v: bool = False

    def describe(self) -> str:
        """Return the other files for a message."""
        if self.has_u_and_v:
            return "found directories u and v; rename their images x_00001.jpg and y_00001.jpg"
        if not self.others:
            return "found no files"
        counts = [f"{count} {suffix}" for suffix, count in self.others.most_common(3)]
        return f"found {', '.join(counts)}, which cannot be imported"


def search(directory: Path, *, skip: Path | None = None) -> Contents:
    """Return the stacks and directories of raw frames in a directory and below, sorted.

    Hidden and unfinished ones are left out, and everything in the directory `skip`.

    Raises
    ------
    ConversionError
        If a directory cannot be read.
    """

    def fail(error: OSError) -> None:
        raise ConversionError(f"{error.filename}: cannot read it: {error.strerror}") from error

    left_out = None if skip is None else os.path.realpath(skip)
    contents = Contents()
    for place, directories, files in walk(directory, onerror=fail):
        directories[:] = [
            name
            for name in directories
            if not name.endswith(".part")
            and (left_out is None or os.path.realpath(place / name) != left_out)
        ]
        contents.has_u_and_v |= {"u", "v"} <= set(directories)
        if has_both_components(files):
            contents.raw.append(place)
        for path in map(place.joinpath, files):
            if path.suffix.lower() == ".h5" and path.is_file():
                contents.stacks.append(path)
            else:
                contents.others[path.suffix.lower() or "without suffix"] += 1
    return contents
