"""Clips that verbs draw: stacks, single fields, and videos whose flow is estimated on the fly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.cli.flow_options import frame_options, read_flow, usage_errors
from flowstream.cli.options import NameIn, options_of, progress_is_wanted
from flowstream.cli.paths import is_stack
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.view.clip import Clip
    from flowstream.view.selection import Selection

_VIDEOS = "Videos without a stack"

_video = options_of(_VIDEOS)


def estimate_options(command: Any) -> Any:
    """Add the options for estimating the flow of a video on the fly."""
    command = frame_options(_VIDEOS)(command)
    command = _video("--device", metavar="NAME", help="Device: auto, cpu, cuda, cuda:1.")(command)
    command = _video(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a parameter of the method; may be given several times.",
    )(command)
    return _video(
        "--method",
        type=NameIn("flow method", "flowstream.flow:METHODS"),
        help="Flow method.  [default: tvl1]",
    )(command)


@contextmanager
def open_any(
    path: Path,
    options: Mapping[str, Any],
    *,
    selection: Selection,
    ahead: int = 0,
    name: str | None = None,
) -> Iterator[tuple[Clip, range]]:
    """Open a stack or field, or estimate the selected fields of a video into a temporary stack.

    Parameters
    ----------
    path : Path
    options : mapping
        Values of the options that `estimate_options` adds; used for videos only.
    selection : Selection
    ahead : int
        Number of fields that a style needs after the selected ones.
    name : str, optional
        Name for captions.

    Yields
    ------
    clip, chosen : Clip, range
        The clip and its selected fields.
    """
    from flowstream.view.clip import FLOW_SUFFIXES, open_clip

    if not path.is_dir() and (is_stack(path) or path.suffix.lower() in FLOW_SUFFIXES):
        with open_clip(path, name=name) as clip:
            times = clip.times if clip.is_timed else range(clip.num_fields + 1)
            yield clip, selection.resolve(times, str(path))
        return
    with (
        tempfile.TemporaryDirectory(prefix="flowstream-") as directory,
        _open_estimated(path, Path(directory), options, selection, ahead, name) as found,
    ):
        yield found


@contextmanager
def _open_estimated(
    path: Path, directory: Path, options: Mapping[str, Any], *rest: Any
) -> Iterator[tuple[Clip, range]]:
    from flowstream.view.clip import open_clip
    from flowstream.view.estimate import estimate_stack

    selection, ahead, name = rest
    with usage_errors():
        method, sampling = read_flow(options)
    title = f"{path.name}: {method.name}"
    with Progress(title=title, unit="field", enabled=progress_is_wanted(), keep=False) as bar:
        made = estimate_stack(
            path,
            directory / "clip.h5",
            method,
            sampling=sampling,
            selection=selection,
            ahead=ahead,
            progress=bar.update,
        )
    with open_clip(made.path, name=name or path.stem, skipped=made.skipped) as clip:
        yield clip, range(made.fields)
