"""`flowstream show`: draw flow as a picture, an animation, a contact sheet or in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.clips import estimate_options, open_any
from flowstream.cli.options import (
    GroupedCommand,
    NameIn,
    options_of,
    progress_is_wanted,
)
from flowstream.cli.paths import distinct_names, find_inputs, is_same_file, paths_argument
from flowstream.cli.terminal import KINDS, choose_kind, draw
from flowstream.cli.text import paint
from flowstream.errors import ParameterError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress
from flowstream.view import STYLES

if TYPE_CHECKING:
    from flowstream.types import Images
    from flowstream.view.clip import Clip
    from flowstream.view.moment import Moment, Style
    from flowstream.view.selection import Selection

EXAMPLE = """\
flowstream show stacks/clip.h5 --at 2.5s
flowstream show clip.mp4 --style arrows --with-rgb -o arrows.png
flowstream show stacks/clip.h5 --style overlay -o overlay.mp4
flowstream show stacks/ --sheet sheet.png"""

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_FILMS = (".mp4", ".gif", ".webp")
_SUFFIXES = dict.fromkeys((*_PICTURES, *_FILMS))

_selection = options_of("Selection")
_destination = options_of("Output")


class _Output(click.Path):
    """Path whose suffix names a kind of picture or animation."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; another suffix is a usage error."""
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix.lower() not in _SUFFIXES:
            kinds = ", ".join(_SUFFIXES)
            self.fail(f"{str(path)!r}: expected a name that ends in {kinds}", param, ctx)
        return path


class _Scale(click.ParamType):  # type: ignore[type-arg]
    """`auto`, or the value that is drawn in full colour."""

    name = "auto|VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a number, or None for an automatic scale."""
        if value is None or value in ("auto", "p99"):
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self.fail(f"got {value!r}, expected 'auto' or a number above 0", param, ctx)
        return number


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("PATH")
@_selection(
    "--at",
    metavar="K|T.Ts|A:B|all",
    help="Field number, time in seconds, or a range of either.  [default: 0; all for an animation]",
)
@_selection(
    "--style",
    default="wheel",
    show_default=True,
    type=NameIn("style", "flowstream.view:STYLES"),
    help=f"Style of the drawing: {', '.join(STYLES)}.",
)
@_selection("--with-rgb", is_flag=True, help="Show the frame beside the drawing.")
@_selection(
    "--scale",
    type=_Scale(),
    default="auto",
    show_default=True,
    help="Value that is drawn in full colour; auto: 99th percentile of all selected fields.",
)
@_destination(
    "-o",
    "--out",
    type=_Output(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Picture (.png .jpg .webp) or animation (.mp4 .gif .webp).  [default: the terminal]",
)
@_destination(
    "--sheet",
    type=_Output(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Contact sheet of all clips, one row each.",
)
@_destination(
    "--speed", type=float, default=1.0, show_default=True, help="Relative speed of an animation."
)
@_destination(
    "--terminal",
    type=click.Choice(KINDS),
    default="auto",
    show_default=True,
    help="Kind of drawing in the terminal.",
)
@estimate_options
def show(paths: tuple[Path, ...], **options: Any) -> None:
    """Draw flow as a picture, an animation or a contact sheet, or in the terminal.

    PATH is a stack, a video (its flow is then estimated and not stored), a flow field (.flo, .pfm,
    KITTI .png), or a directory of these. By default, hue is direction and saturation is speed. The
    legend shows the scale, and the caption shows the fraction of the field above the scale. The
    paths of written files are printed.
    """
    found = find_inputs(paths)
    if options["speed"] <= 0:
        raise click.UsageError(f"--speed: got {options['speed']}, expected above 0.")
    if options["sheet"] is not None:
        _write_sheet(found, options)
        return
    out: Path | None = options["out"]
    if out is not None and len(found) > 1:
        raise click.UsageError(
            f"--out is for one clip, but PATH names {len(found)}; use --sheet for all."
        )
    for path, name in zip(found, distinct_names(found), strict=True):
        if out is not None and is_same_file(out, path):
            raise click.UsageError("--out: the file is also an input; choose another file.")
        _show_clip(path, name if len(found) > 1 else None, options)


def _show_clip(path: Path, name: str | None, options: Mapping[str, Any]) -> None:
    from flowstream.view.scale import find_scale

    out: Path | None = options["out"]
    selection = _select(options["at"], out)
    style = STYLES[options["style"]]
    with open_any(path, options, selection=selection, ahead=style.fields - 1, name=name) as found:
        clip, chosen = found
        if style.needs_frames and not clip.has_frames:
            raise ParameterError(
                f"{path}: style {options['style']!r} needs the frames, which are not stored; "
                "extract with --rgb, or show the video itself"
            )
        scale = options["scale"] or find_scale(clip, style, chosen)
        if out is None:
            _draw_here(clip, chosen[0], style, scale=scale, options=options)
        elif selection.is_range:
            _write_film(clip, chosen, style, scale=scale, options=options)
        else:
            from flowstream.view.panel import draw_panel
            from flowstream.view.picture import write_picture

            picture = draw_panel(clip, chosen[0], style, scale=scale, with_rgb=options["with_rgb"])
            write_picture(out, picture)
            click.echo(escape_controls(str(out)))


def _select(at: str | None, out: Path | None) -> Selection:
    """Return the selected fields; a selection that does not fit the output is a usage error."""
    from flowstream.view.selection import parse_selection

    suffix = "" if out is None else out.suffix.lower()
    film = suffix in _FILMS and suffix not in _PICTURES
    try:
        selection = parse_selection(at or ("all" if film else "0"))
    except ParameterError as error:
        raise click.UsageError(str(error)) from error
    if selection.is_range and suffix not in _FILMS:
        raise click.UsageError(
            f"--at {at} selects a range, which needs an animation; use -o with {', '.join(_FILMS)}."
        )
    if film and not selection.is_range:
        raise click.UsageError(
            f"--at {at} is one field, but {suffix} is an animation; use A:B or all."
        )
    return selection


def _draw_here(
    clip: Clip, k: int, style: Style, *, scale: float, options: Mapping[str, Any]
) -> None:
    """Draw one field in the terminal, with its caption below."""
    kind = options["terminal"]
    if kind == "auto":
        kind = choose_kind()
    # pixels of a drawing become characters, so lines must be wide for the size of the terminal
    moment = clip.moment(k, style, scale=scale, factor=1 if kind in ("truecolour", "256") else 2)
    picture = style.draw(moment)
    if options["with_rgb"] and moment.first is not None:
        import numpy as np

        picture = np.concatenate([moment.smooth(moment.first), picture], axis=1)
    click.echo(draw(kind, picture, moment.known_vectors, scale=scale), color=kind != "arrows")
    click.echo(paint(escape_controls(clip.caption(k)), bold=True))
    click.echo(paint(_explain(kind, moment, options["style"], scale=scale), dim=True))


def _explain(kind: str, moment: Moment, style: str, *, scale: float) -> str:
    """Explain the colours or characters of a drawing in the terminal."""
    from flowstream.view import STYLES
    from flowstream.view.ansi import STILL
    from flowstream.view.legends import format_scale
    from flowstream.view.panel import beyond_text

    if kind == "arrows":
        return f"dots are slower than {format_scale(STILL * scale)} {STYLES[style].unit}"
    beyond = beyond_text(moment, STYLES[style], scale)
    return f"{STYLES[style].colours}; {beyond}"


def _write_film(
    clip: Clip, chosen: range, style: Style, *, scale: float, options: Mapping[str, Any]
) -> None:
    from flowstream.view.film import write_film
    from flowstream.view.panel import draw_panel

    def pictures() -> Iterator[Images]:
        total = len(chosen)
        enabled = progress_is_wanted()
        with Progress(total, title="draw", unit="field", enabled=enabled, keep=False) as bar:
            for k in chosen:
                yield draw_panel(clip, k, style, scale=scale, with_rgb=options["with_rgb"])
                bar.update()

    fps = (clip.fields_per_second or 25.0) * options["speed"]
    write_film(options["out"], pictures(), fps=fps)
    click.echo(escape_controls(str(options["out"])))


def _write_sheet(found: list[Path], options: Mapping[str, Any]) -> None:
    """Write a contact sheet; a clip that cannot be read does not stop the others."""
    from flowstream.errors import FlowstreamError
    from flowstream.view.picture import write_picture
    from flowstream.view.selection import parse_selection
    from flowstream.view.sheet import draw_row, stack_rows

    sheet: Path = options["sheet"]
    if sheet.suffix.lower() not in _PICTURES:
        raise click.UsageError(f"--sheet: expected a picture ({', '.join(_PICTURES)}).")
    style, everything = STYLES[options["style"]], parse_selection("all")
    rows, failed = [], 0
    enabled = progress_is_wanted()
    with Progress(len(found), title="draw", unit="clip", enabled=enabled, keep=False) as bar:
        for path, name in zip(found, distinct_names(found), strict=True):
            try:
                with open_any(path, options, selection=everything, name=name) as (clip, _):
                    rows.append(draw_row(clip, style, scale=options["scale"]))
            except FlowstreamError as error:
                failed += 1
                click.echo(f"failed: {escape_controls(str(error))}", err=True)
            bar.update()
    if rows:
        write_picture(sheet, stack_rows(rows, style))
        click.echo(sheet)
    if failed:
        raise ParameterError(f"{failed} of {len(found)} clips could not be drawn; see above")
