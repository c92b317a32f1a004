"""Find the stacks that are complete, and those whose settings differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowstream.errors import ExtractionError, StackError
from flowstream.extract.comparison import (
    difference_error,
    find_other_settings,
    list_differences,
    settings_digest,
)
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome, make_outcome, relative_output
from flowstream.extract.options import RunOptions
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.sources import source_state
from flowstream.store import Stack, open_stack, verify_stack


@dataclass
class Progress:
    """State of a batch before a run.

    Parameters
    ----------
    todo : list of int
        Indices of the jobs to run.
    skipped : dict of int to Outcome
        Complete stacks, by the index of their job.
    unrecorded : list of Outcome
        Those of `skipped` that the journal does not hold yet.
    redone : dict of int to str
        Jobs of `todo` whose stack is damaged or outdated, with the reason.
    """

    todo: list[int] = field(default_factory=list)
    skipped: dict[int, Outcome] = field(default_factory=dict)
    unrecorded: list[Outcome] = field(default_factory=list)
    redone: dict[int, str] = field(default_factory=dict)


def find_progress(
    jobs: Sequence[Job],
    settings: ExtractSettings,
    out: Path,
    *,
    latest: Mapping[str, Mapping[str, Any]],
    options: RunOptions,
) -> Progress:
    """Find which jobs have to be run.

    A stack is complete if it was made from this video, by its size and modification time, with
    these settings. The journal answers this for stacks that have not changed since it was written;
    others are opened. A damaged stack, or one whose video changed, is made again. Stacks of other
    videos in the directory are compared with the settings as well.

    Parameters
    ----------
    latest : mapping
        Last journal record of each output, from `read_latest`.

    Raises
    ------
    ExtractionError
        If stacks were made with other settings, or of other videos that still exist.
    """
    digest = settings_digest(settings)
    progress = Progress()
    differing: dict[Path, list[str]] = {}
    conflicts: list[tuple[str, Job]] = []
    examined: set[str] = set()
    for index, job in enumerate(jobs):
        output = relative_output(job.output, out)
        record = latest.get(output)
        if options.retry_failed and (record is None or record["status"] != "failed"):
            continue
        examined.add(output)
        status = None if options.overwrite or job.problem else _status(job.output)
        if status is None:
            progress.todo.append(index)
            continue
        source = _source_state(job.source)
        if source is None:
            progress.todo.append(index)  # fails when it is read
        elif not options.verify and record and _matches(record, status, source, digest=digest):
            progress.skipped[index] = replace(
                make_outcome(dict(record), out), status="skipped", seconds=0.0
            )
        else:
            _examine(index, job, settings, progress=progress, differing=differing, options=options)
            if index in progress.redone and record:
                other = _other_source(record, job, state=source, trusted=options.trust_sources)
                conflicts += [(other, job)] if other else []
    if not options.overwrite:
        differing |= find_other_settings(latest, settings, out, examined=examined)
    if differing:
        raise difference_error(differing)
    if conflicts:
        raise _conflict_error(conflicts)
    return progress


def set_aside(output: Path) -> None:
    """Rename a damaged stack to `NAME.h5.damaged`; `discard_damaged` removes it later."""
    with suppress(OSError):
        if output.is_file():
            os.replace(output, _damaged(output))


def discard_damaged(output: Path) -> None:
    """Remove the damaged file that a new stack has replaced."""
    with suppress(OSError):
        _damaged(output).unlink()


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _source_state(path: Path) -> tuple[int, int] | None:
    try:
        return source_state(path)
    except OSError:
        return None


def _matches(
    record: Mapping[str, Any], status: os.stat_result, source: tuple[int, int], *, digest: str
) -> bool:
    """Return True if neither the stack, the video nor the settings changed since the record."""
    return (
        record["status"] != "failed"
        and record.get("settings") == digest
        and (record.get("bytes"), record.get("modified")) == (status.st_size, status.st_mtime_ns)
        and (record.get("source_bytes"), record.get("source_modified")) == source
    )


def _examine(
    index: int,
    job: Job,
    settings: ExtractSettings,
    *,
    progress: Progress,
    differing: dict[Path, list[str]],
    options: RunOptions,
) -> None:
    """Open a stack and decide about its job."""
    try:
        if options.verify:
            verify_stack(job.output)
        with open_stack(job.output) as stack:
            found = list_differences(stack, settings)
            if stack.header.source != job.name:
                found.append(f"source: stored: {stack.header.source!r}, requested: {job.name!r}")
            changed = _source_change(stack, job, trusted=options.trust_sources)
            outcome = _skipped(job, stack, settings)
    except StackError as error:
        progress.todo.append(index)
        progress.redone[index] = str(error)
        return
    if found:
        differing[job.output] = found
    elif changed:
        progress.todo.append(index)
        progress.redone[index] = changed
    else:
        progress.skipped[index] = outcome
        progress.unrecorded.append(outcome)


def _source_change(stack: Stack, job: Job, *, trusted: bool) -> str:
    """Return how the video changed since the stack was made; empty if it did not."""
    size, modified = source_state(job.source)
    if stack.header.source_bytes != size:
        return f"{job.title}: the video had {stack.header.source_bytes} bytes, now {size}"
    if not trusted and stack.header.source_modified != modified:
        return f"{job.title}: the video was modified after its stack was made"
    return ""


def _other_source(
    record: Mapping[str, Any],
    job: Job,
    *,
    state: tuple[int, int],
    trusted: bool,
) -> str:
    """Return the video of a stack if it still exists and is another one than that of the job.

    Videos that were moved, and copies with the same size and time, count as the same.
    """
    if record["status"] == "failed":
        return ""
    source = os.path.join(str(record.get("working_directory", "")), record["source"])
    size, modified = record.get("source_bytes", state[0]), record.get("source_modified", state[1])
    same = (size, modified) == state or (trusted and size == state[0])
    try:
        return "" if same or os.path.samefile(source, job.source) else source
    except OSError:
        return ""


def _skipped(job: Job, stack: Stack, settings: ExtractSettings) -> Outcome:
    status, source = job.output.stat(), source_state(job.source)
    return Outcome(
        str(job.source),
        str(job.output),
        "skipped",
        frames=stack.num_fields + 1,
        pairs=stack.num_fields,
        bytes=status.st_size,
        clipped=stack.header.clipped,
        below_step=stack.header.below_step,
        corrupt=len(stack.corrupt),
        settings=settings_digest(settings),
        modified=status.st_mtime_ns,
        source_bytes=source[0],
        source_modified=source[1],
    )


def _conflict_error(conflicts: Sequence[tuple[str, Job]]) -> ExtractionError:
    """Name one of the stacks whose video would be replaced by another one."""
    source, job = conflicts[0]
    more = f" (and {len(conflicts) - 1:,} more)" if len(conflicts) > 1 else ""
    return ExtractionError(
        f"{job.output}: this is the stack of {source}, and {job.source} would replace it{more}; "
        "choose another --out, extract the directory above both videos, or replace it: --overwrite"
    )


def _damaged(output: Path) -> Path:
    return output.with_name(f"{output.name}.damaged")
