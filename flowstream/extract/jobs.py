"""Jobs of a batch: each video, and the stack that it becomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flowstream.disk import is_pattern, match_pattern
from flowstream.errors import ExtractionError
from flowstream.extract.listing import Found, find_matching, find_videos
from flowstream.extract.manifest import read_manifest
from flowstream.video import Pair, Span, part_label

_SHOWN = 5


@dataclass(frozen=True)
class Job:
    """One video, or a part of one, and the stack to make of it.

    Parameters
    ----------
    source, output : Path
    name : str
        Path of the video below its source directory, with `/`; recorded in the stack.
    part : Span, Pair or None
        Frames of the video; None is the whole video.
    problem : str
        Reason why the source cannot be read, known before the extraction; empty if there is none.
    """

    source: Path
    output: Path
    name: str
    part: Span | Pair | None = None
    problem: str = ""

    @property
    def title(self) -> str:
        """Name of the video for messages, with that of the part: `clip.mp4@2.5-4s`."""
        return f"{self.source}{_label(self)}"


@dataclass(frozen=True)
class JobList:
    """Jobs of a batch, and the files that were skipped.

    Parameters
    ----------
    jobs : list of Job
    passed_over : dict
        Files that are not videos: the number of files and an example, by suffix and reason.
    """

    jobs: list[Job] = field(default_factory=list)
    passed_over: dict[str, tuple[int, str]] = field(default_factory=dict)

    def describe_passed_over(self) -> str:
        """Return one line about the skipped files; empty if there are none.

        A file that is the only one of its kind is named, of several one is.
        """
        kinds = []
        for key, (count, example) in self.passed_over.items():
            suffix, _, reason = key.partition("\0")
            name = os.path.basename(example)
            several = f"{count} {suffix or 'without suffix'}, such as {name}"
            kinds.append(f"{name if count == 1 else several} ({reason})")
        more = f", and {len(kinds) - _SHOWN} more kinds" if len(kinds) > _SHOWN else ""
        return ", ".join(kinds[:_SHOWN]) + more


def plan(sources: Iterable[str | Path], out: str | Path, *, keep_suffix: bool = False) -> list[Job]:
    """Return the jobs of `find_jobs`."""
    return find_jobs(sources, out, keep_suffix=keep_suffix).jobs


def find_jobs(
    sources: Iterable[str | Path], out: str | Path, *, keep_suffix: bool = False
) -> JobList:
    """Find the videos of all sources, and name the stack of each below the directory `out`.

    Parameters
    ----------
    sources : paths
        A file, whatever its suffix, becomes `out/NAME.h5`. A directory is searched recursively, in
        natural order and without hidden names; its layout is kept. A directory of numbered images
        is one video. A `.csv` file is a manifest, see `flowstream.extract.manifest`. A path that
        does not exist and contains `*`, `?` or `[` is a pattern of such paths.
    out : path
        Directory of the stacks; it is not searched if a source contains it.
    keep_suffix : bool
        Name the stack of `a.avi` `a.avi.h5` instead of `a.h5`.

    Raises
    ------
    ExtractionError
        If a source does not exist or holds no video, a manifest is invalid, or several videos
        would become one stack.
    """
    out = Path(out)
    listed = JobList()
    by_output: dict[Path, Job] = {}
    clashes: dict[Path, list[Path]] = {}
    for source in map(Path, sources):
        for found in _find(source, out, listed):
            output = out / PurePosixPath(_stem(found, keep_suffix=keep_suffix) + ".h5")
            # A file name may be invalid UTF-8, a recorded string may not.
            name = found.name.encode(errors="backslashreplace").decode()
            job = Job(found.path, output, name + _label(found), found.part, found.problem)
            other = by_output.setdefault(output, job)
            if other is not job and not _is_same(other.source, job.source):
                clashes.setdefault(output, [other.source]).append(job.source)
    if clashes:
        raise _clash_error(clashes)
    listed.jobs.extend(by_output.values())
    return listed


def _find(source: Path, out: Path, listed: JobList) -> Iterator[Found]:
    if source.suffix.lower() == ".csv" and source.is_file():
        yield from read_manifest(source)
    elif source.suffix.lower() == ".csv" and is_pattern(source):
        for manifest in sorted(match_pattern(source)):
            yield from read_manifest(manifest)
    elif source.is_dir():
        yield from find_videos(source, out=out, passed_over=listed.passed_over)
    elif os.path.lexists(source):
        yield Found(source, source.name)
    elif is_pattern(source):
        yield from find_matching(source, out=out, passed_over=listed.passed_over)
    else:
        raise ExtractionError(f"{source}: no such file or directory")


def find_extracted(
    sources: Iterable[str | Path], out: str | Path, *, exists: Callable[[Path], bool]
) -> list[Job]:
    """Return the jobs of an extraction that was done, with or without `keep_suffix`.

    Parameters
    ----------
    sources, out
        See `find_jobs`.
    exists : function
        Tells whether a stack exists; the names that more of the stacks have are used.

    Raises
    ------
    ExtractionError
        As `find_jobs` does.
    """
    sources = list(sources)
    try:
        jobs, clash = plan(sources, out), None
    except ExtractionError as error:  # several videos would become one stack
        jobs, clash = [], error
    count = sum(exists(job.output) for job in jobs)
    if jobs and 2 * count >= len(jobs):
        return jobs
    kept = plan(sources, out, keep_suffix=True)
    if sum(exists(job.output) for job in kept) > count:
        return kept
    if clash is not None:
        raise clash
    return jobs


def _stem(found: Found, *, keep_suffix: bool) -> str:
    """Return the path of a stack without `.h5`."""
    # The directory of images `clip.v2` keeps its whole name, the file `clip.v2.avi` does not.
    name = found.name
    if not keep_suffix and not found.is_directory:
        name = str(PurePosixPath(name).with_suffix(""))
    return name + _label(found)


def _label(found: Found | Job) -> str:
    """Return what distinguishes a part of a video from the others; empty for a whole video."""
    return "" if found.part is None else f"@{part_label(found.part)}"


def _clash_error(clashes: dict[Path, list[Path]]) -> ExtractionError:
    lines = [
        f"{' and '.join(map(str, sources))} -> {output}" for output, sources in clashes.items()
    ]
    return ExtractionError(
        f"{len(clashes)} stack{'s' * (len(clashes) > 1)} would be made of several videos; "
        "rename the videos, use several directories of stacks, or keep the suffixes (a.avi becomes "
        "a.avi.h5): flowstream extract --keep-suffix" + "".join(f"\n  {line}" for line in lines)
    )


def _is_same(first: Path, second: Path) -> bool:
    return first == second or first.resolve() == second.resolve()
