"""`flowstream extract`: compute flow stacks of videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.flow_options import frame_options, read_recipe, usage_errors
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
    help="Flow method; see 'flowstream list methods'.",
)
@_flow(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a parameter of the method; may be given several times.",
)
@_flow("--device", metavar="NAME", help="Device of the method: auto, cpu, cuda, cuda:1.")
@_motion("--backward", is_flag=True, help="Also store the flow from each frame to the one before.")
@_motion(
    "--consistency",
    is_flag=True,
    help="Store the pixels where forward and backward flow agree, and their fraction.",
)
@_motion(
    "--stabilise",
    type=click.Choice(["none", "homography"]),
    default="none",
    show_default=True,
    help="Remove the camera motion from the flow; the homography of each pair is stored.",
)
@_motion(
    "--stabilise-set",
    "stabiliser_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a parameter of --stabilise, such as features=sift.",
)
@frame_options("Frames")
@_frames(
    "--max-corrupt",
    type=click.IntRange(min=0),
    metavar="N",
    help="Accept up to N corrupted frames in a video.  [default: 0]",
)
@_frames("--allow-truncated", is_flag=True, help="Accept a video whose end is missing.")
@_stacks(
    "-o",
    "--out",
    required=True,
    type=Folder(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory for the stacks (NAME.h5) and the journal extract.jsonl.",
)
@_stacks(
    "--codec",
    default="centred8",
    show_default=True,
    type=NameIn("codec", "flowstream.codec:CODECS"),
    help="Quantisation of the vectors.",
)
@_stacks(
    "--bound",
    type=float,
    metavar="B",
    help="Largest displacement that the codec can store, in pixels; larger ones are clipped.",
)
@_stacks(
    "--compression",
    default="zstd",
    show_default=True,
    type=NameIn("compression", "flowstream.store:COMPRESSIONS"),
    help="zstd; zstd9 is smaller and slower to write; gzip needs no plug-in; or none.",
)
@_stacks(
    "--rgb/--no-rgb",
    default=True,
    show_default=True,
    help="Store the frames as JPEG images beside the flow.",
)
@_stacks(
    "--jpeg-quality",
    type=click.IntRange(1, 100),
    metavar="Q",
    help="Quality of the JPEG images.  [default: 95]",
)
@_run(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of videos processed in parallel.  [default: number of CPU cores; 1 on a GPU]",
)
@_run(
    "--devices",
    metavar="NAME,...",
    help="Devices of the method, one worker on each: cuda:0,cuda:1. Replaces --device.",
)
@_run("--limit", type=click.IntRange(min=1), metavar="N", help="Process only the first N videos.")
@_run("--overwrite", is_flag=True, help="Recompute existing stacks.")
@_run("--dry-run", is_flag=True, help="Print the jobs and an estimate, and write nothing.")
@_run(
    "--backend",
    type=click.Choice(["loky", "sequential", "dask", "ray"]),
    default="loky",
    show_default=True,
    help="Processes of this machine, this process, or a cluster that can read the files.",
)
@_run("--scheduler", metavar="ADDRESS", help="Address of a running dask or ray cluster.")
@_run("-q", "--quiet", is_flag=True, help="Print only errors.")
@_run("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
def extract(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Compute the optical flow of videos and write one HDF5 stack for each.

    SOURCE is a video file, a directory (searched recursively, its layout is kept; a directory of
    numbered images is one video), or a CSV file with a column 'video'. Existing stacks are skipped:
    the same command continues a run that was stopped. A video that fails does not stop the others;
    the exit code is then 1, and extract.jsonl holds the reason.
    """
    from flowstream.extract import extract as extract_jobs
    from flowstream.extract import plan

    _check_options(options)
    with usage_errors():
        settings = read_recipe(_with_device(options), sources=sources).settings()
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
        devices=_device_names(options),
    )
    _print_summary(summary, out, options)


def _check_options(options: dict[str, Any]) -> None:
    if options["scheduler"] and options["backend"] not in ("dask", "ray"):
        raise click.UsageError("--scheduler needs --backend dask or ray.")
    if options["device"] and options["devices"]:
        raise click.UsageError("--device and --devices: use only one of them.")
    if options["stabiliser_settings"] and options["stabilise"] == "none":
        raise click.UsageError("--stabilise-set needs --stabilise homography.")


def _device_names(options: dict[str, Any]) -> list[str]:
    return [name.strip() for name in (options["devices"] or "").split(",") if name.strip()]


def _with_device(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the first of several devices; each worker gets its own later."""
    return {**options, "device": options["device"] or next(iter(_device_names(options)), None)}


def _print_plan(jobs: list[Job], settings: ExtractSettings, options: dict[str, Any]) -> None:
    from flowstream.extract import estimate
    from flowstream.extract.batch import default_workers
    from flowstream.extract.forecast import readable_bytes, readable_seconds, try_first

    expected, trial = estimate(jobs, settings), try_first(jobs, settings)
    asked = options["jobs"] or default_workers(settings.method, _device_names(options))
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
    """Print the summary of a run, and raise if a video failed."""
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
            f"{out / 'extract.jsonl'} holds the reasons. Run the same command again to retry them"
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
