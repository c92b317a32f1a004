"""The videos and classes that a split layout lists, before the videos are searched on disk.

A layout is one file with one function `(recipe, names) -> Listing` and one line in
`flowstream.dataset.split.LAYOUTS`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from flowstream.disk import read_small
from flowstream.errors import ParameterError, SplitError

Part = Literal["train", "validation", "test"]

MAX_BYTES = 2**26
"""Limit of the size of a split file; the list of Kinetics-700, 650,000 videos, has 40 MB."""


@dataclass(frozen=True)
class SplitRecipe:
    """The `[split]` table of a recipe: the dataset and its division into parts.

    Parameters
    ----------
    layout : "ucf101", "hmdb51", "folder" or "manifest"
    files : Path, optional
        Files that define the split: the directory of the official lists for `ucf101` and `hmdb51`,
        the CSV file for `manifest`; none for `folder`, where the directory tree defines it.
    split : int
        Number of the official split, from 1.
    validation : float
        Fraction of the training videos to hold out for validation, in whole groups and class by
        class; not used if the layout lists validation videos. 0 holds out none.
    test : float
        Fraction to hold out for testing if the layout does not list test videos: a directory tree
        without train and test directories, a manifest without a split column. The default is the
        proportion of HMDB51, 70 training and 30 test videos of each class.
    seed : int
        Seed of the choice of groups that are held out.
    group : str, optional
        Regular expression that is searched in a video's name, `class/video` without suffix; the
        match (or its first group in parentheses) is the video's group. Without it, the group is
        `Class/gNN` for UCF101, the source film for HMDB51, and the `group` column of a manifest; in
        all other cases each video is a group of its own.

    Raises
    ------
    ParameterError
        If a number is out of range, `group` is not a regular expression, or `files` is missing or
        given where no files are read.
    """

    layout: Literal["ucf101", "hmdb51", "folder", "manifest"]
    files: Path | None = None
    split: int = 1
    validation: float = 0.1
    test: float = 0.3
    seed: int = 0
    group: str | None = None

    def __post_init__(self) -> None:
        if self.split < 1:
            raise ParameterError(f"split: got {self.split}, expected 1 or more")
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not 0 <= value < 1:
                raise ParameterError(f"{name}: got {value}, expected a fraction from 0 to below 1")
        if self.files is None and self.layout != "folder":
            wanted = "the CSV file" if self.layout == "manifest" else "the directory of split files"
            raise ParameterError(f"files: missing; layout {self.layout!r} requires {wanted}")
        if self.files is not None and self.layout == "folder":
            raise ParameterError(
                f"files: got {str(self.files)!r}, but layout 'folder' reads no split files"
            )
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ParameterError(
                f"group: got {self.group!r}, expected a regular expression: {error}"
            ) from error

    @property
    def split_files(self) -> Path:
        """Value of `files`, where the layout requires it.

        Raises
        ------
        SplitError
            If it is missing.
        """
        if self.files is None:
            raise SplitError(f"files: missing; layout {self.layout!r} requires them")
        return self.files


@dataclass(frozen=True)
class Entry:
    """Video as a split lists it.

    `part` is None if the recipe determines it; `where` is a file and line, or a directory, for
    messages.
    """

    video: str
    class_name: str
    part: Part | None
    group: str
    where: str


@dataclass(frozen=True)
class Listing:
    """All videos that a split lists, and its classes in their official order."""

    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    source: str


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not blank, stripped, with their numbers from 1.

    Any line ending is accepted, with or without a byte-order mark. Bytes that are not UTF-8 are
    decoded as Python decodes file names, so that they still match the file on disk.

    Raises
    ------
    SplitError
        If the file cannot be read.
    """
    for number, line in enumerate(re.split(r"\r\n|\r|\n", read_text(path)), start=1):
        if line.strip():
            yield number, line.strip()


def read_text(path: Path) -> str:
    """Return the text of a split file; see `read_lines`."""
    try:
        content = read_small(path, limit=MAX_BYTES)
    except OSError as error:
        raise SplitError(f"{path}: cannot read the split file: {error.strerror}") from error
    except ValueError as error:  # a NUL character in the path
        raise SplitError(f"{str(path)!r}: cannot read the split file: {error}") from error
    text = _decode(content)
    if "\0" in text:
        raise SplitError(f"{path}: not a split file: it holds NUL characters")
    return text


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="surrogateescape")


def split_last(line: str) -> tuple[str, str]:
    """Split a line before its last word; return `("", line)` if it has only one."""
    words = line.rsplit(None, 1)
    return (words[0], words[1]) if len(words) == 2 else ("", line)


def video_name(text: str) -> str:
    """Return the name of a video: `/` between directories, no leading `./`, no suffix.

    Suffixes are those of videos and stacks; anything else after a dot belongs to the name.
    """
    # Imported here, because building a recipe must not load a decoder.
    from flowstream.video import VIDEO_SUFFIXES

    path = PurePosixPath(text.strip().replace("\\", "/"))
    name = str(path.with_suffix("") if path.suffix.lower() in {*VIDEO_SUFFIXES, ".h5"} else path)
    return name.lstrip("/")


def group_of(video: str, recipe: SplitRecipe, *, otherwise: str, where: str) -> str:
    """Return the group of a video by the recipe's expression, or `otherwise` if there is none.

    Raises
    ------
    SplitError
        If the expression does not match, because related videos could be in training and in test.
    """
    if recipe.group is None:
        return otherwise
    match = re.search(recipe.group, video)
    if match is None:
        raise SplitError(f"{where}: the group expression {recipe.group!r} does not match {video!r}")
    return match.group(1) if match.re.groups and match.group(1) is not None else match.group(0)


def find_directory(files: Path, pattern: str, *, archives: tuple[str, ...]) -> Path:
    """Return the directory with files that match `pattern`.

    This is `files`, or the directory in it to which the official archive is unpacked.

    Raises
    ------
    SplitError
        If no file matches.
    """
    candidates = [files, *(files / archive for archive in archives)]
    for directory in candidates:
        if any(directory.glob(pattern)):
            return directory
    if not files.is_dir():
        raise SplitError(f"{files}: no such directory; expected that of the split files")
    raise SplitError(f"{files}: no split file {pattern}; searched in {_join(candidates)}")


def _join(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths if path.is_dir())
