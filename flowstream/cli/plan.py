"""`flowstream plan`: forecast the time and disk space of an extraction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.extract_options import (
    extract_options,
    read_run_options,
    read_settings,
    run_option,
)
from flowstream.cli.options import GroupedCommand
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from flowstream.extract import Estimate, ExtractSettings, Job, RunOptions
    from flowstream.extract.trial import Forecast

EXAMPLE = """\
flowstream plan videos/ --out stacks/ --short-side 256
flowstream plan videos/ --out stacks/ --method dis --jobs 16 --probe 1000"""

_SHOWN = 10


@click.command(cls=GroupedCommand, example=EXAMPLE)
@extract_options
@run_option(
    "--probe",
    type=click.IntRange(min=0),
    default=128,
    show_default=True,
    metavar="N",
    help="Open N videos, evenly spread, to estimate the length of all; 0 opens all.",
)
@run_option("-q", "--quiet", is_flag=True, help="Print only the forecast.")
@run_option("--json", "as_json", is_flag=True, help="Print the forecast as JSON.")
def plan(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Estimate the time and the disk space of an extraction, without writing anything.

    The options are those of 'flowstream extract'; videos whose stack is complete are left out. The
    headers of the others give the number of frame pairs. Time and bytes are measured: the first
    frames of a dozen videos are extracted on this machine, with as many workers as the extraction
    would use.
    """
    from flowstream.extract import find_jobs

    settings, run = read_settings(options, sources), read_run_options(options)
    found = find_jobs(sources, out, keep_suffix=options["keep_suffix"])
    skipped = found.describe_passed_over()
    if skipped and not options["quiet"]:
        click.echo(escape_controls(f"Not videos, skipped: {skipped}"), err=True)
    print_plan(
        found.jobs, settings, out, run=run, as_json=options["as_json"], probed=options["probe"]
    )


def print_plan(
    jobs: Sequence[Job],
    settings: ExtractSettings,
    out: Path,
    *,
    run: RunOptions,
    as_json: bool,
    listed: bool = False,
    probed: int = 128,
) -> None:
    """Print the forecast of the jobs that a run would process; with `listed`, the jobs too."""
    from flowstream.extract import estimate
    from flowstream.extract.duplicates import find_duplicates
    from flowstream.extract.journal import read_latest
    from flowstream.extract.resume import find_progress
    from flowstream.extract.schedule import select_jobs
    from flowstream.extract.trial import forecast, free_bytes

    selected = select_jobs(jobs, settings, run)
    progress = find_progress(selected, settings, out, latest=read_latest(out), options=run)
    jobs = [selected[index] for index in progress.todo]
    expected = estimate(jobs, settings, most=probed)
    found = forecast(jobs, settings, expected, options=run)
    facts = _facts(expected, found, duplicates=find_duplicates(selected), free=free_bytes(out))
    facts["complete"] = len(progress.skipped)
    if as_json:
        outputs = [{"source": str(job.source), "output": str(job.output)} for job in jobs]
        click.echo(json.dumps({**facts, **({"jobs": outputs} if listed else {})}, indent=2))
        return
    if not jobs:
        complete = f"; {facts['complete']:,} videos are complete" if facts["complete"] else ""
        click.echo(f"Nothing to do{complete}", err=listed)
        return
    if listed:
        click.echo("\n".join(escape_controls(f"{job.source} -> {job.output}") for job in jobs))
    click.echo(_describe(facts, expected, found), err=listed)


def _facts(
    expected: Estimate, found: Forecast, *, duplicates: Sequence[Sequence[Job]], free: int
) -> dict[str, Any]:
    return {
        "videos": found.videos,
        "pairs": found.pairs,
        "probed": expected.probed,
        "unreadable": {str(job.source): reason for job, reason in expected.unreadable},
        "duplicates": [list(_name_copies(group)) for group in duplicates],
        "workers": found.workers,
        "seconds": round(found.seconds, 3),
        "bytes": round(found.bytes),
        "free_bytes": free,
        "fits": found.bytes <= free,
        "trial": {"videos": found.trial_videos, "pairs": found.trial_pairs},
    }


def _name_copies(group: Sequence[Job]) -> Iterator[str]:
    """Yield the videos of a group; one that is given twice, with its stacks."""
    counts = Counter(job.source for job in group)
    for job in group:
        yield str(job.source) if counts[job.source] == 1 else f"{job.source} -> {job.output}"


def _describe(facts: dict[str, Any], expected: Estimate, found: Forecast) -> str:
    from flowstream.cli.text import format_record
    from flowstream.extract.forecast import readable_bytes, readable_seconds

    sample = "" if expected.probed == found.videos else f" (from {expected.probed} opened)"
    complete = f", and {facts['complete']:,} complete" if facts["complete"] else ""
    copies = facts["duplicates"]
    more = sum(len(group) - 1 for group in copies)
    fits = "" if facts["fits"] else ", which is not enough"
    record = {
        "videos": f"{found.videos:,}{complete}",
        "frame pairs": f"about {found.pairs:,}{sample}",
        "time": f"about {readable_seconds(found.seconds)} with {found.workers} in parallel",
        "stacks": f"about {readable_bytes(found.bytes)}",
        "disk": f"{readable_bytes(facts['free_bytes'])} free{fits}",
        "trial": f"{found.trial_pairs:,} pairs of {found.trial_videos} videos",
        "duplicates": f"{more:,} videos are copies of another one" if more else "none",
        "unreadable": f"{len(facts['unreadable']):,} of {expected.probed:,} opened",
    }
    lines = [format_record(record)]
    lines += [f"  {reason}" for reason in list(facts["unreadable"].values())[:_SHOWN]]
    lines += [f"  same content: {', '.join(group)}" for group in copies[:_SHOWN]]
    return "\n".join(escape_controls(line) for text in lines for line in text.split("\n"))
