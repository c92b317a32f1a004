"""Sources on the one side, the stack file that each video becomes on the other."""

from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowstream.errors import ExtractionError, did_you_mean
from flowstream.video import VIDEO_SUFFIXES, is_video


@dataclass(frozen=True)
class Job:
    """One video and the stack file to make of it.

    Parameters
    ----------
    source, output : Path
    name : str
        The video below its source folder, with `/`; recorded in the stack.
    """

    source: Path
    output: Path
    name: str


def plan(sources: Iterable[str | Path], out: str | Path) -> list[Job]:
    """The jobs that turn `sources` into stacks below the folder `out`.

    Parameters
    ----------
    sources : paths
        A video file, whatever its suffix, becomes `out/NAME.h5`. A folder is searched through, in
        natural order and past hidden names; its layout is kept. A folder of numbered images is one
        video. A `.csv` file is a manifest: a table with a column `video`, its relative paths
        starting from the manifest's folder and kept as layout; what is missing there fails when
        extracted.
    out : path
        Is not searched for videos where it lies in a source.

    Raises
    ------
    ExtractionError
        If a source does not exist or holds no video, a folder or manifest cannot be read, or two
        videos would become one file.
    """
    out = Path(out)
    jobs: dict[Path, Job] = {}
    for source in map(Path, sources):
        for video, name in _videos(source, out):
            output = out / PurePosixPath(_without_suffix(video, name) + ".h5")
            # A file name need not be UTF-8, a recorded text must.
            job = Job(video, output, name.encode(errors="backslashreplace").decode())
            other = jobs.setdefault(job.output, job)
            if _same(other.source, video):
                continue
            raise ExtractionError(
                f"{other.source} and {video} would both become {job.output}; "
                "rename one, or extract them into two folders"
            )
    return list(jobs.values())


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key under which `clip2` comes before `clip10`."""
    # Text and numbers take turns, so that like is compared with like.
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdecimal() else part for part in parts], name


def _videos(source: Path, out: Path) -> Iterator[tuple[Path, str]]:
    """Each video of a source, and its name below it."""
    if source.suffix.lower() == ".csv" and source.is_file():
        yield from _listed(source)
    elif source.is_dir():
        found = list(_found(source, PurePosixPath(), out=out, above=()))
        if not found and is_video(source):
            found = [(source, PurePosixPath(source.resolve().name))]
        if not found:
            suffixes = " ".join(sorted(VIDEO_SUFFIXES))
            raise ExtractionError(
                f"{source}: no videos in this folder; looked for {suffixes} "
                "and folders of numbered images"
            )
        yield from ((video, str(name)) for video, name in found)
    elif os.path.lexists(source):
        yield source, source.name
    else:
        raise ExtractionError(f"{source}: no such file or folder")


def _found(
    folder: Path, below: PurePosixPath, *, out: Path, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Path, PurePosixPath]]:
    """Each video in a folder and its subfolders; `above` are the folders that it lies in."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
    except OSError as error:
        raise ExtractionError(f"{folder}: cannot read this folder: {error.strerror}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return  # a link back up
    for entry in entries:
        path, name = folder / entry.name, below / entry.name
        if entry.name.startswith(".") or (entry.is_dir() and _same(path, out)):
            continue
        if not entry.is_dir():
            if path.suffix.lower() in VIDEO_SUFFIXES and _is_readable_kind(path):
                yield path, name
            continue
        inside = list(_found(path, name, out=out, above=(*above, identity)))
        yield from inside
        if not inside and is_video(path):
            yield path, name


def _listed(manifest: Path) -> Iterator[tuple[Path, str]]:
    """Each video of a manifest, and its name."""
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [column.strip().casefold() for column in table.fieldnames or []]
            if "video" not in columns:
                seen = ", ".join(columns) or "nothing"
                tell = did_you_mean("video", columns)
                if len(columns) == 1 and re.search(r"[;\t]", seen):
                    tell = " Separate the columns by commas."
                raise ExtractionError(
                    f"{manifest}: no column 'video'; its first line has: {seen}.{tell}"
                )
            if columns.count("video") > 1:
                raise ExtractionError(f"{manifest}: two columns are called 'video'; keep one")
            table.fieldnames = columns
            rows = [(table.line_num, (row["video"] or "").strip()) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExtractionError(f"{manifest}: cannot read the manifest: {error}") from error
    if not rows:
        raise ExtractionError(f"{manifest}: no videos: the manifest has a first line only")
    for line, text in rows:
        if not text:
            raise ExtractionError(f"{manifest}: line {line}: the column 'video' is empty")
        if "\0" in text:
            raise ExtractionError(f"{manifest}: line {line}: no file name: it has a NUL byte")
        yield manifest.parent / text, str(_below(text, manifest.parent))


def _below(text: str, folder: Path) -> PurePosixPath:
    """A listed video's place in the layout: its path from the manifest's folder, `..` left out.

    Of a path that leads elsewhere from the root there is only the file name to keep.
    """
    if os.path.isabs(text):
        inside = os.path.relpath(text, folder.absolute())
        text = Path(text).name if inside.startswith(os.pardir) else inside
    parts = Path(os.path.normpath(text)).parts
    return PurePosixPath(*(part for part in parts if part != os.pardir))


def _without_suffix(video: Path, name: str) -> str:
    # `clip.v2` as a folder of images is a whole name, `clip.v2.avi` as a file is not.
    return name if video.is_dir() else str(PurePosixPath(name).with_suffix(""))


def _is_readable_kind(path: Path) -> bool:
    """Whether a video of this name can be tried: a pipe would wait, a dead link must be told."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _same(first: Path, second: Path) -> bool:
    return first == second or first.resolve() == second.resolve()
