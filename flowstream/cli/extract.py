"""`flowstream extract`: videos in, one HDF5 flow stack each out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.extract_settings import extract_settings, named_devices
from flowstream.cli.flow_options import frame_options
from flowstream.cli.options import Folder, GroupedCommand, GroupedOption, NameIn
from flowstream.errors import ExtractionError

if TYPE_CHECKING:
    from flowstream.extract import ExtractSettings, Job, Summary

EXAMPLE = """\
flowstream extract videos/ --out stacks/ --short-side 256
flowstream extract clip.mp4 --out stacks/ --method dis --set preset=medium --fps 25
flowstream extract videos/ --out stacks/ --backward --consistency --stabilise homography
flowstream extract manifest.csv --out stacks/ --size 340x256 --codec fixed16 --dry-run"""

SHOWN = 20

Decorator = Callable[[Any], Any]


def _option(group: str) -> Callable[..., Decorator]:
    return partial(click.option, cls=GroupedOption, group=group)


_flow, _motion, _frames, _stacks, _run = map(
    _option, ("Flow", "Directions and camera", "Frames", "Stacks", "Run")
)


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@_flow(
    "--method",
    default="tvl1",
    show_default=True,
    type=NameIn("flow method", "flowstream.flow:METHODS"),
    help="How flow is estimated; 'flowstream list methods' has all.",
)
@_flow(
    "--set",
    "method_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the method; may be given several times.",
)
@_flow("--device", metavar="NAME", help="Where the method computes: auto, cpu, cuda, cuda:1.")
@_motion("--backward", is_flag=True, help="Store the flow from each frame back to the last, too.")
@_motion(
    "--consistency",
    is_flag=True,
    help="Store where the flow there and back agrees: a mask and its fraction of each pair.",
)
@_motion(
    "--stabilise",
    type=click.Choice(["none", "homography"]),
    default="none",
    show_default=True,
    help="Take the camera's motion out of the flow, by a homography for each pair, which is "
    "stored.",
)
@_motion(
    "--stabilise-set",
    "stabiliser_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of --stabilise, such as features=sift; may be given several times.",
)
@frame_options("Frames")
@_frames(
    "--allow-truncated",
    is_flag=True,
    help="Take a video that holds clearly fewer frames than its header says.",
)
@_stacks(
    "--out",
    required=True,
    type=Folder(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the stacks, NAME.h5 each, and the journal extract.jsonl.",
)
@_stacks(
    "--codec",
    default="centred8",
    show_default=True,
    type=NameIn("codec", "flowstream.codec:CODECS"),
    help="How vectors are quantised.",
)
@_stacks(
    "--bound",
    type=float,
    metavar="B",
    help="Largest displacement that the codec holds, in pixels; beyond, values clip.",
)
@_stacks(
    "--compression",
    default="lz4hc",
    show_default=True,
    type=NameIn("compression", "flowstream.store:COMPRESSIONS"),
    help="lz4hc reads fastest, zstd is smaller, gzip needs no plugin to read; or none.",
)
@_stacks(
    "--rgb/--no-rgb",
    default=True,
    show_default=True,
    help="Store the frames beside the flow, as JPEG.",
)
@_run(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Videos at once.  [default: one a usable core; 1 on a GPU]",
)
@_run(
    "--devices",
    metavar="NAME,...",
    help="Where the method computes, a worker on each: cuda:0,cuda:1. In place of --device.",
)
@_run("--limit", type=click.IntRange(min=1), metavar="N", help="Take only the first N videos.")
@_run("--overwrite", is_flag=True, help="Make stacks anew that are there already.")
@_run("--dry-run", is_flag=True, help="Print what would be made, and an estimate; make nothing.")
@_run(
    "--backend",
    type=click.Choice(["loky", "sequential", "dask", "ray"]),
    default="loky",
    show_default=True,
    help="Processes here, this process, or a cluster that sees the files.",
)
@_run("--scheduler", metavar="ADDRESS", help="Of a running dask or ray cluster.")
@_run("--quiet", is_flag=True, help="Print only errors.")
@_run("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
def extract(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Estimate the optical flow of videos; write one HDF5 stack for each.

    SOURCE is a video file, a folder (searched through, its layout kept; a folder of numbered images
    is one video), or a CSV file with a column 'video'. What is made already is skipped, so a run
    that was stopped is continued by the same command. One bad video stops nothing else: the
    exit code is 1, and extract.jsonl says why.
    """
    from flowstream.extract import extract as extract_jobs
    from flowstream.extract import plan

    settings = extract_settings(options)
    jobs = plan(sources, out)
    if options["dry_run"]:
        _print_plan(jobs[: options["limit"]], settings, options)
        return
    summary = extract_jobs(
        jobs,
        settings,
        out,
        workers=options["jobs"],
        overwrite=options["overwrite"],
        limit=options["limit"],
        progress=not options["quiet"],
        backend=options["backend"],
        scheduler=options["scheduler"],
        devices=named_devices(options),
    )
    _print_summary(summary, out, options)


def _print_plan(jobs: list[Job], settings: ExtractSettings, options: dict[str, Any]) -> None:
    from flowstream.extract import estimate
    from flowstream.extract.batch import default_workers
    from flowstream.extract.forecast import readable_bytes, readable_seconds, try_first

    expected, trial = estimate(jobs, settings), try_first(jobs, settings)
    asked = options["jobs"] or default_workers(settings.method, named_devices(options))
    workers = min(len(jobs), asked)
    pairs = sum(expected.pairs)
    seconds, size = trial.seconds * pairs / workers, trial.bytes * pairs
    if options["as_json"]:
        listed = [{"source": str(job.source), "output": str(job.output)} for job in jobs]
        facts = {"pairs": pairs, "seconds": seconds, "bytes": size, "workers": workers}
        click.echo(json.dumps({"jobs": listed, **facts}, indent=2))
        return
    for job in jobs:
        click.echo(f"{job.source} -> {job.output}")
    click.echo(
        f"To extract: {expected}. By a trial on the first: about {readable_seconds(seconds)} "
        f"with {workers} at once, {readable_bytes(size)}.",
        err=True,
    )


def _print_summary(summary: Summary, out: Path, options: dict[str, Any]) -> None:
    """The table or the JSON of a run; raises if a video failed."""
    if options["as_json"]:
        click.echo(json.dumps(asdict(summary), indent=2))
    elif not options["quiet"]:
        click.echo(_table(summary))
    for outcome in summary.failed[:SHOWN]:
        click.echo(f"failed: {outcome.error}", err=True)
    if summary.failed:
        total = len(summary.done) + len(summary.skipped) + len(summary.failed)
        raise ExtractionError(
            f"{len(summary.failed)} of {total} videos failed; "
            f"{out / 'extract.jsonl'} says why, and the same command tries them again"
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
