"""Find the stacks that are complete, and those whose settings differ."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowstream.errors import ExtractionError, StackError
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome, make_outcome, relative_output
from flowstream.extract.options import RunOptions
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.sources import source_state
from flowstream.plugins import provenance
from flowstream.store import OUTPUTS, FlowSpec, Stack, open_stack, verify_stack

_SHOWN = 5


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


def settings_digest(settings: ExtractSettings) -> str:
    """Return a digest of all settings that change a stack."""
    text = json.dumps(provenance(settings), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


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
    others are opened. A damaged stack, or one whose video changed, is made again.

    Parameters
    ----------
    latest : mapping
        Last journal record of each output, from `read_latest`.

    Raises
    ------
    ExtractionError
        If stacks were made with other settings.
    """
    digest = settings_digest(settings)
    progress = Progress()
    differing: dict[Path, list[str]] = {}
    for index, job in enumerate(jobs):
        record = latest.get(relative_output(job.output, out))
        if options.retry_failed and (record is None or record["status"] != "failed"):
            continue
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
    if differing:
        raise _difference_error(differing)
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


def list_differences(stack: Stack, job: Job, settings: ExtractSettings) -> list[str]:
    """List the settings of a stack that differ from those of a run, one string each."""
    wanted = FlowSpec(
        method=provenance(settings.method),
        sampling=provenance(settings.sampling),
        size=stack.size,
        codec=provenance(settings.codec),
        stabiliser=None if settings.stabilise is None else provenance(settings.stabilise),
    )
    found = stack.spec.list_differences(wanted, names=("stored", "requested"))
    quality = settings.jpeg_quality if settings.rgb else 0
    for name, stored, requested in (
        ("compression", stack.header.compression, settings.compression),
        ("rgb", stack.has_rgb, settings.rgb),
        ("jpeg_quality", stack.header.jpeg_quality, quality),
        ("backward", stack.has_backward, settings.backward),
        *((name, name in stack.outputs, name in settings.outputs) for name in OUTPUTS),
        ("source", stack.header.source, job.name),
    ):
        if stored != requested:
            found.append(f"{name}: stored: {stored!r}, requested: {requested!r}")
    return found


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
            found = list_differences(stack, job, settings)
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
        return f"{job.source}: the video had {stack.header.source_bytes} bytes, now {size}"
    if not trusted and stack.header.source_modified != modified:
        return f"{job.source}: the video was modified after its stack was made"
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


def _difference_error(differing: Mapping[Path, Sequence[str]]) -> ExtractionError:
    """Name each setting that differs once, with the number of stacks and one of them."""
    stacks: dict[str, list[Path]] = {}
    for path, found in differing.items():
        for text in found:
            stacks.setdefault(text, []).append(path)
    lines = [
        f"\n  {text} ({paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''})"
        for text, paths in stacks.items()
    ]
    more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ExtractionError(
        f"{len(differing)} existing stacks were made with other settings; choose another directory "
        "(stacks = DIR in a recipe, --out of extract), or recompute them: flowstream extract "
        "--overwrite" + "".join(lines[:_SHOWN]) + more
    )


def _damaged(output: Path) -> Path:
    return output.with_name(f"{output.name}.damaged")
