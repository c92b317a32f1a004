"""What of a batch is there already, and whether it may stand."""

from __future__ import annotations

from collections.abc import Iterable

from flowstream.errors import ExtractionError, StackError
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.worker import source_bytes
from flowstream.plugins import provenance
from flowstream.store import FlowSpec, Stack, known_outputs, open_stack

SHOWN = 3


def sift(
    jobs: Iterable[Job], settings: ExtractSettings, *, overwrite: bool
) -> tuple[list[Job], list[Outcome]]:
    """The jobs still to do, and an outcome `skipped` for each that is done already.

    Done is a complete stack that was made from this source with these settings. With `overwrite`
    every job is to do.

    Raises
    ------
    ExtractionError
        If a file that stands in a job's place is anything else.
    """
    todo, skipped, problems = [], [], []
    for job in jobs:
        if overwrite or not job.output.exists():
            todo.append(job)
            continue
        try:
            with open_stack(job.output) as stack:
                found = differences(stack, job, settings)
                skipped.append(_skipped(job, stack))
        except StackError as error:
            found = [str(error)]
        except FileNotFoundError:
            todo.append(job)  # the source is gone: fails when its turn comes
            continue
        if found:
            problems.append(f"{job.output}: {'; '.join(found)}")
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise ExtractionError(
            f"{len(problems)} of the stacks in --out are not what is asked for (here: as stored; "
            f"there: as asked for now): "
            f"{' | '.join(problems[:SHOWN])}{more}; "
            "give another --out, or --overwrite to make all of them again"
        )
    return todo, skipped


def differences(stack: Stack, job: Job, settings: ExtractSettings) -> list[str]:
    """How a stack (here) differs from what this job would make (there), a text each."""
    wanted = FlowSpec(
        method=provenance(settings.method),
        sampling=provenance(settings.sampling),
        size=stack.size,
        codec=provenance(settings.codec),
        stabiliser=None if settings.stabilise is None else provenance(settings.stabilise),
    )
    found = stack.spec.differences(wanted)
    for name, stored, asked in (
        ("compression", stack.compression, settings.compression),
        *((name, name in stack.outputs, name in settings.outputs) for name in known_outputs()),
        ("source", stack.source, job.name),
        ("source_bytes", stack.header.source_bytes, source_bytes(job.source)),
    ):
        if stored != asked:
            found.append(f"{name}: {stored!r} here, {asked!r} there")
    return found


def _skipped(job: Job, stack: Stack) -> Outcome:
    return Outcome(
        str(job.source),
        str(job.output),
        "skipped",
        frames=stack.num_fields + 1,
        pairs=stack.num_fields,
        bytes=job.output.stat().st_size,
        clipped=stack.clipped,
    )
