"""Options of the verbs `extract` and `plan`, and the objects that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.flow_options import frame_options, read_recipe, usage_errors
from flowstream.cli.options import Decorator, Directory, NameIn, SourcePath, options_of
from flowstream.errors import ParameterError
from flowstream.extract.pools import POOLS
from flowstream.store.outputs import OUTPUTS

if TYPE_CHECKING:
    from flowstream.extract import ExtractSettings, RunOptions, Shard

_flow, _motion, _frames, _stacks, _run = map(
    options_of, ("Flow", "Directions and camera", "Frames", "Stacks", "Run")
)

run_option = _run
"""Decorator factory: an option of the group Run."""

_DECORATORS: tuple[Decorator, ...] = (
    click.argument(
        "sources",
        metavar="SOURCE...",
        nargs=-1,
        required=True,
        type=SourcePath(),
    ),
    _flow(
        "--method",
        default="tvl1",
        show_default=True,
        type=NameIn("flow method", "flowstream.flow:METHODS"),
        help="Flow method; see 'flowstream list methods'.",
    ),
    _flow(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a parameter of the method; may be given several times.",
    ),
    _flow(
        "--device",
        metavar="NAME,...",
        help="Devices of the method: cpu, cuda (all GPUs), cuda:0,cuda:1, or auto.",
    ),
    _motion(
        "--backward", is_flag=True, help="Also store the flow from each frame to the one before."
    ),
    *(
        _motion(
            f"--{name}",
            is_flag=True,
            help=f"Also store the output {name}; see 'flowstream list outputs'.",
        )
        for name in OUTPUTS
    ),
    _motion(
        "--stabilise",
        type=click.Choice(["none", "homography"]),
        default="none",
        show_default=True,
        help="Remove the camera motion from the flow; the homography of each pair is stored.",
    ),
    _motion(
        "--stabilise-set",
        "stabiliser_settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a parameter of --stabilise, such as features=sift.",
    ),
    frame_options("Frames"),
    _frames(
        "--allow-truncated",
        is_flag=True,
        help="Accept a video that has clearly fewer frames than its header states.",
    ),
    _frames(
        "--max-corrupt",
        type=click.IntRange(min=0),
        metavar="N",
        help="Accept up to N frames that the decoder marks as corrupt.  [default: 0]",
    ),
    _stacks(
        "-o",
        "--out",
        required=True,
        type=Directory(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Directory for the stacks (NAME.h5) and the journal extract.jsonl.",
    ),
    _stacks(
        "--codec",
        default="centred8",
        show_default=True,
        type=NameIn("codec", "flowstream.codec:CODECS"),
        help="Quantisation of the vectors.",
    ),
    _stacks(
        "--bound",
        type=float,
        metavar="B",
        help="Largest displacement that the codec can store, in pixels; larger ones are clipped.",
    ),
    _stacks(
        "--compression",
        type=NameIn("compression", "flowstream.store:COMPRESSIONS"),
        help="Compression of the flow; 'gzip' can be read without a plug-in.  [default: lz4hc]",
    ),
    _stacks(
        "--rgb/--no-rgb",
        default=True,
        show_default=True,
        help="Store the frames as JPEG images with the flow.",
    ),
    _stacks(
        "--jpeg-quality",
        type=click.IntRange(1, 100),
        metavar="Q",
        help="Quality of the JPEG images.  [default: 95]",
    ),
    _stacks(
        "--keep-suffix", is_flag=True, help="Name the stack of a.avi a.avi.h5 instead of a.h5."
    ),
    _run(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of videos processed in parallel.  [default: number of CPU cores]",
    ),
    _run(
        "--shard",
        metavar="I/N",
        help="Process only part I of N; the parts may run at the same time, with the same --out.",
    ),
    _run(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Process only the first N videos (of the shard).",
    ),
    _run(
        "--backend",
        type=click.Choice(list(POOLS)),
        default="processes",
        show_default=True,
        help="Run in several processes, in this process, or on a cluster that can read the files.",
    ),
    _run("--scheduler", metavar="ADDRESS", help="Address of a running dask or ray cluster."),
)


def extract_options(command: Any) -> Any:
    """Add the options of `extract` and `plan` to a command."""
    # Decorators apply from the last to the first.
    for decorator in reversed(_DECORATORS):
        command = decorator(command)
    return command


def read_settings(options: dict[str, Any], sources: tuple[Path, ...]) -> ExtractSettings:
    """Build the settings that the options describe; an invalid value is a usage error."""
    if options["scheduler"] and options["backend"] not in ("dask", "ray"):
        raise click.UsageError("--scheduler needs --backend dask or ray.")
    if options["stabiliser_settings"] and options["stabilise"] == "none":
        raise click.UsageError("--stabilise-set needs --stabilise homography.")
    with usage_errors():
        # The first of several devices; each worker gets its own device later.
        device = next(iter(_device_names(options)), None)
        if options["device"] == "auto" and device == "cpu" and not options.get("quiet"):
            click.echo("--device auto: no GPU was found; flow is computed on the CPU.", err=True)
        return read_recipe({**options, "device": device}, sources=sources).settings()


def read_run_options(options: dict[str, Any]) -> RunOptions:
    """Build the options of a run; an invalid value is a usage error."""
    from flowstream.extract import RunOptions

    with usage_errors():
        devices = _device_names(options)
        return RunOptions(
            workers=options["jobs"],
            overwrite=options.get("overwrite", False),
            limit=options["limit"],
            shard=_read_shard(options["shard"]),
            retry_failed=options.get("retry_failed", False),
            verify=options.get("verify", False),
            trust_sources=options.get("trust_sources", False),
            timeout=options.get("timeout"),
            force=options.get("force", False),
            progress=not options["quiet"],
            backend=options["backend"],
            scheduler=options["scheduler"],
            devices=devices if len(devices) > 1 else (),
        )


def _device_names(options: dict[str, Any]) -> tuple[str, ...]:
    names = [name.strip() for name in (options["device"] or "").split(",") if name.strip()]
    if all(name == "cpu" for name in names):  # torch is not needed
        return tuple(names)
    try:
        from flowstream.device import list_devices
    except ModuleNotFoundError as error:
        if names == ["auto"]:
            return ("cpu",)
        raise ParameterError(
            "--device: a GPU needs torch; install it with: pip install 'flowstream[raft]'"
        ) from error
    return tuple(str(device) for name in names for device in list_devices(name))


def _read_shard(text: str | None) -> Shard | None:
    from flowstream.extract import Shard

    if text is None:
        return None
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise ParameterError(f"--shard: expected I/N such as 2/8, got {text!r}")
    return Shard(int(index), int(count))
