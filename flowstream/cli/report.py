"""`flowstream report`: runs side by side, with the clips that flow rescued and the failures."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import GroupedCommand, progress_is_wanted
from flowstream.cli.paths import distinct_names
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.report.runs import Card, Run

EXAMPLE = """\
flowstream report runs/ucf10
flowstream report runs/tvl1 runs/raft runs/dis -o comparison/"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory of the page.  [default: RUN/report of one run, or comparison/]",
)
@click.option(
    "--clips",
    type=click.IntRange(min=0),
    default=6,
    show_default=True,
    metavar="N",
    help="Number of rescued and of misclassified clips that are shown of each run.",
)
@click.option("--pages", is_flag=True, help="Write a page of each shown clip, and link to it.")
def report(runs: tuple[Path, ...], out: Path | None, clips: int, pages: bool) -> None:
    """Compare runs: accuracy, McNemar's test, classes, what differs in the recipes, and clips.

    RUN is the directory of a complete run of 'flowstream train'. Shown clips are those that the
    first stream alone misclassifies but the final scores do not, and those that are misclassified.
    The path of the page is printed.
    """
    from flowstream.report.runs import read_run, write_runs

    target = out or (runs[0] / "report" if len(runs) == 1 else Path("comparison"))
    found = [
        read_run(path, name=name) for path, name in zip(runs, distinct_names(runs), strict=True)
    ]
    total = 2 * clips * len(found)
    enabled = progress_is_wanted() and clips > 0
    with Progress(total, title="clips", unit="clip", enabled=enabled, keep=False) as bar:
        found = [_add_clips(run, target, most=clips, pages=pages, bar=bar) for run in found]
    page = target / "runs.html"
    write_runs(page, found)
    click.echo(page)


def _add_clips(run: Run, target: Path, *, most: int, pages: bool, bar: Progress) -> Run:
    from flowstream.report.runs import describe_prediction, select_clips

    stacks = _find_stacks(run)

    def make(video: str) -> Card:
        bar.update()
        return _make_card(
            video, describe_prediction(run, video), stacks=stacks, target=target if pages else None
        )

    rescued, failures = select_clips(run, most=most)
    return dataclasses.replace(
        run, rescued=tuple(map(make, rescued)), failures=tuple(map(make, failures))
    )


def _find_stacks(run: Run) -> Mapping[str, Path]:
    """Return the stack of each video; videos whose stack is gone are left out."""
    directory = Path(str(run.recipe.get("stacks") or run.path / "stacks"))
    paths = {str(video): directory / f"{video}.h5" for video in run.main.videos}
    return {video: path for video, path in paths.items() if path.is_file()}


def _make_card(video: str, text: str, *, stacks: Mapping[str, Path], target: Path | None) -> Card:
    """Return a clip with its thumbnail, and write its page where a directory is named."""
    from flowstream.disk import whole_file
    from flowstream.report.runs import Card
    from flowstream.view.clip import open_clip
    from flowstream.view.index import draw_thumbnail
    from flowstream.view.viewer import build_page

    if video not in stacks:
        return Card(video, text, "", "")
    href = ""
    with open_clip(stacks[video], name=video) as clip:
        thumbnail = base64.b64encode(draw_thumbnail(clip)).decode("ascii")
        if target is not None:
            href = f"clips/{re.sub(r'[^A-Za-z0-9_.-]+', '_', video)}.html"
            (target / "clips").mkdir(parents=True, exist_ok=True)
            with whole_file(target / href) as part:
                part.write_text(build_page(clip, back="../runs.html"), encoding="utf-8")
    return Card(video, text, f"data:image/webp;base64,{thumbnail}", href)
