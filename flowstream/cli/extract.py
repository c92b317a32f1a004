"""`flowstream extract`: compute flow stacks of videos."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
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
from flowstream.cli.plan import print_plan
from flowstream.errors import ExtractionError
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from flowstream.extract import ExtractSettings, JobList, Summary

EXAMPLE = """\
flowstream extract videos/ --out stacks/ --short-side 256
flowstream extract clip.mp4 --out stacks/ --method dis --set preset=medium --fps 25
flowstream extract videos/ --out stacks/ --backward --consistency --stabilise homography
flowstream extract manifest.csv --out stacks/ --size 340x256 --codec fixed16 --dry-run
flowstream extract videos/ --out stacks/ --shard 3/16"""

SHOWN = 20


@click.command(cls=GroupedCommand, example=EXAMPLE)
@extract_options
@run_option("--overwrite", is_flag=True, help="Recompute existing stacks.")
@run_option("--retry-failed", is_flag=True, help="Process only videos that failed before.")
@run_option(
    "--verify", is_flag=True, help="Check every byte of existing stacks; recompute damaged ones."
)
@run_option(
    "--trust-sources",
    is_flag=True,
    help="Keep the stacks of videos that have a new modification time, but the same size.",
)
@run_option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Skip a video that takes longer; it counts as failed.",
)
@run_option("--force", is_flag=True, help="Start even if the disk is too small.")
@run_option("--dry-run", is_flag=True, help="Print the jobs and a forecast, and write nothing.")
@run_option("-q", "--quiet", is_flag=True, help="Print only errors.")
@run_option("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
def extract(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Compute the optical flow of videos and write one HDF5 stack for each.

    SOURCE is a video file, a directory (searched recursively, its layout is kept; a directory of
    numbered images is one video), a pattern of these, or a CSV file with a column 'video'; columns
    'start' and 'end' (seconds, or frames as 300f) or 'first' and 'second' select parts of a video.
    Complete stacks are skipped and damaged ones are computed again, so the same command continues a
    run that was stopped. A video that fails does not stop the others; the exit code is then 1, and
    'flowstream status DIR --failed' lists the reasons.
    """
    from flowstream.extract import extract as extract_jobs
    from flowstream.extract import find_jobs

    settings, run = read_settings(options, sources), read_run_options(options)
    found = find_jobs(sources, out, keep_suffix=options["keep_suffix"])
    if not options["quiet"]:
        _print_passed_over(found)
    if options["dry_run"]:
        print_plan(found.jobs, settings, out, run=run, as_json=options["as_json"], listed=True)
        return
    summary = extract_jobs(found.jobs, settings, out, options=run)
    _print_summary(summary, settings, out, options=options)


def _print_passed_over(found: JobList) -> None:
    skipped = found.describe_passed_over()
    if skipped:
        click.echo(escape_controls(f"Not videos, skipped: {skipped}"), err=True)


def _print_summary(
    summary: Summary, settings: ExtractSettings, out: Path, *, options: dict[str, Any]
) -> None:
    """Print the summary of a run, and raise if a video failed."""
    if options["as_json"]:
        click.echo(json.dumps(asdict(summary), indent=2))
    elif not options["quiet"]:
        click.echo(_table(summary))
        for line in _remarks(summary, settings):
            click.echo(escape_controls(line))
    for outcome in summary.failed[:SHOWN]:
        click.echo(escape_controls(f"failed: {outcome.error}"), err=True)
    if summary.failed:
        total = len(summary.done) + len(summary.skipped) + len(summary.failed)
        raise ExtractionError(
            f"{len(summary.failed)} of {total} videos failed; 'flowstream status {out} --failed' "
            "lists them. Run the same command again to retry them"
        )


def _table(summary: Summary) -> str:
    from flowstream.extract.forecast import readable_bytes

    lines = [f"{'':8}{'videos':>8}{'frames':>10}{'pairs':>10}{'size':>10}{'clipped':>9}"]
    for status in ("done", "skipped", "failed"):
        group = getattr(summary, status)
        pairs = sum(outcome.pairs for outcome in group)
        clipped = sum(outcome.clipped * outcome.pairs for outcome in group) / max(1, pairs)
        frames = sum(outcome.frames for outcome in group)
        size = readable_bytes(sum(outcome.bytes for outcome in group))
        row = f"{frames:>10,}{pairs:>10,}{size:>10}{clipped:>9.2%}" if pairs else ""
        lines.append(f"{status:8}{len(group):>8,}{row}")
    lines.append(f"{summary.seconds:.1f} s, {summary.pairs_per_second:.1f} pairs/s")
    return "\n".join(lines)


def _remarks(summary: Summary, settings: ExtractSettings) -> list[str]:
    """Return warnings and notes about the new stacks, one line each."""
    from flowstream.codec import below_step_warning

    made = [outcome for outcome in (*summary.done, *summary.skipped) if outcome.pairs]
    pairs = sum(outcome.pairs for outcome in made)
    lines = []
    lost = sum(outcome.below_step * outcome.pairs for outcome in made) / max(1, pairs)
    warning = below_step_warning(settings.codec, lost)
    if warning:
        lines.append(warning)
    corrupt = [outcome for outcome in made if outcome.corrupt]
    if corrupt:
        frames = sum(outcome.corrupt for outcome in corrupt)
        lines.append(f"{frames:,} corrupt frames in {len(corrupt):,} videos were accepted")
    notes = Counter(note for outcome in summary.done for note in outcome.notes)
    for note, count in notes.most_common(5):
        lines.append(f"{note} ({count} video{'s' * (count > 1)})")
    return lines
