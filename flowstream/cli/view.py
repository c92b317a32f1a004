"""`flowstream view`: write HTML pages that show flow in a browser."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.clips import estimate_options, open_any
from flowstream.cli.options import GroupedCommand, options_of, progress_is_wanted
from flowstream.cli.paths import distinct_names, find_inputs, is_same_file, paths_argument
from flowstream.errors import FlowstreamError, ParameterError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.view.index import Entry

EXAMPLE = """\
flowstream view stacks/clip.h5 -o clip.html
flowstream view stacks/ -o pages/
flowstream view clip.mp4 --method dis --serve"""

_page = options_of("Pages")


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("PATH")
@_page(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="PAGE|DIR",
    help="File for one clip, or directory for several.  [default: NAME.html, or flow-pages/]",
)
@_page(
    "--fields",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    metavar="N",
    help="Maximum number of fields in a page; longer clips are sampled evenly.",
)
@_page(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PX",
    help="Speed that is drawn in full colour.",
)
@_page("--serve", is_flag=True, help="Serve the pages on this machine until Ctrl-C.")
@_page("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@estimate_options
def view(paths: tuple[Path, ...], out: Path | None, serve: bool, **options: Any) -> None:
    """Write a page per clip that plays frames and flow and shows the values under the pointer.

    PATH is a stack, a video (its flow is then estimated and not stored), a flow field, or a
    directory of these. Each page is one HTML file of at most 3 MB that needs no network. Several
    clips get an index with thumbnails by class. The path of the first page is printed.
    """
    found = find_inputs(paths)
    if serve and out is None:
        with tempfile.TemporaryDirectory(prefix="flowstream-") as directory:
            target = Path(directory) / "index.html" if len(found) == 1 else Path(directory)
            _write(found, target, options)
            _serve(Path(directory), "index.html", port=options["port"])
        return
    if out is None:
        out = Path(f"{found[0].stem}.html") if len(found) == 1 else Path("flow-pages")
    page = _write(found, out, options)
    click.echo(escape_controls(str(page)))
    if serve:
        _serve(page.parent, page.name, port=options["port"])


def _write(found: list[Path], out: Path, options: Mapping[str, Any]) -> Path:
    """Write the pages and return the path of the first."""
    if len(found) > 1:
        if out.is_file() or out.suffix.lower() == ".html":
            raise click.UsageError(
                f"--out {out}: PATH names {len(found)} clips, expected a directory for their pages."
            )
        return _write_index(found, out, options)
    page = out / f"{found[0].stem}.html" if out.is_dir() else out
    if is_same_file(page, found[0]):
        raise click.UsageError("--out: the file is also the input; choose another file.")
    _write_page(found[0], page, options, name=found[0].stem)
    return page


def _write_page(
    path: Path,
    page: Path,
    options: Mapping[str, Any],
    *,
    name: str,
    index: tuple[str, str] | None = None,
) -> Entry | None:
    """Write the page of one clip; return its entry if there is an index of (class, address)."""
    from flowstream.view.index import make_entry
    from flowstream.view.selection import parse_selection
    from flowstream.view.viewer import build_page

    with open_any(path, options, selection=parse_selection("all"), name=name) as (clip, chosen):
        text = build_page(
            clip,
            chosen=chosen,
            fields=options["fields"],
            scale=options["scale"],
            back="../index.html" if index else None,
        )
        entry = make_entry(clip, class_name=index[0], href=index[1]) if index else None
    _write_text(page, text)
    return entry


def _write_index(found: list[Path], out: Path, options: Mapping[str, Any]) -> Path:
    """Write a page per clip, and the index; a clip that cannot be read does not stop the others."""
    from flowstream.view.index import build_index

    entries: list[Entry] = []
    failures = 0
    names = distinct_names(found)
    files = _file_names(names)
    enabled = progress_is_wanted()
    with Progress(len(found), title="pages", unit="clip", enabled=enabled, keep=False) as bar:
        for path, name, file in zip(found, names, files, strict=True):
            try:
                entry = _write_page(
                    path,
                    out / "clips" / file,
                    options,
                    name=name.removesuffix(".h5"),
                    index=(path.parent.name, f"clips/{file}"),
                )
                if entry is not None:
                    entries.append(entry)
            except FlowstreamError as error:
                failures += 1
                click.echo(f"failed: {escape_controls(str(error))}", err=True)
            bar.update()
    index = out / "index.html"
    if entries:
        _write_text(index, build_index(entries, title=_shared_directory(found)))
    if failures:
        raise ParameterError(f"{failures} of {len(found)} clips have no page; see above")
    return index


def _shared_directory(found: list[Path]) -> str:
    """Return the name of the directory that holds all clips."""
    return Path(os.path.commonpath([path.absolute().parent for path in found])).name or "Flow"


def _file_names(names: list[str]) -> list[str]:
    """Return a distinct file name for each clip, which is safe in an address."""
    taken: set[str] = set()
    files = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", str(Path(name).with_suffix(""))).strip("._") or "clip"
        file, number = f"{stem}.html", 2
        while file.lower() in taken:
            file, number = f"{stem}_{number}.html", number + 1
        taken.add(file.lower())
        files.append(file)
    return files


def _write_text(path: Path, text: str) -> None:
    from flowstream.disk import whole_file
    from flowstream.errors import FlowFileError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FlowFileError(f"{path}: cannot write the page: {error.strerror}") from error


def _serve(directory: Path, page: str, *, port: int) -> None:
    """Serve a directory on this machine only, until the program is interrupted."""
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the terminal shows the address."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(directory)))
    except OSError as error:
        raise ParameterError(
            f"--port {port}: cannot use this port: {error.strerror}. Choose another port."
        ) from error
    with server:
        click.echo(
            f"http://127.0.0.1:{server.server_port}/{escape_controls(str(page))}  (Ctrl-C stops)",
            err=True,
        )
        server.serve_forever()
