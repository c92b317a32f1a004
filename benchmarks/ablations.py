"""Ablations of the two-stream and TSN papers, at the scale of a CPU: a table for docs/results.md.

    python benchmarks/ablations.py VIDEOS LISTS --out DIR [--seeds 1] [--tables two-stream tsn]

VIDEOS holds clips of UCF101, LISTS its official split files; split 1. Networks are EfficientNet-
lite0 at 96 x 96 pixels, trained for 30 epochs on 160 x 120 stacks of DIS flow: enough to compare
rows with each other, far from the accuracies of the papers. A row is written to DIR/TABLE.md as
soon as it is measured, and is not measured again. Its interval is the 95 % bootstrap of the first
seed over groups of test videos.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from flowstream.recipe import load_recipe
from flowstream.recipes import recipe_path
from flowstream.report.certainty import measure_certainty
from flowstream.stages import Recipe, extract_flow
from flowstream.stages.repeats import make_repeats, run_repeats

EPOCHS = 30
"""Epochs of each network. The row L = 1 had 23.5 % after 12 epochs and 41.2 % after 30."""

SHARED: tuple[str, ...] = (
    "extract.method='dis'",
    "extract.size='160x120'",
    "extract.backward=true",
    "split.layout='ucf101'",
    "split.validation=0.0",
    *(
        f"streams.{name}.{setting}"
        for name in ("spatial", "temporal")
        for setting in (
            "size=96",
            f"epochs={EPOCHS}",
            f"validate_every={EPOCHS}",
            "evaluation={segments=5,crops=1}",
        )
    ),
)
"""Settings of all rows, on top of the recipe `ucf101-subset`."""

SCRATCH = "streams.temporal.options={backbone='efficientnet_lite0',pretrained=false}"
FROZEN_NORMS = (
    "streams.temporal.options={backbone='efficientnet_lite0',pretrained=true,partial_bn=true}"
)


@dataclass(frozen=True)
class Row:
    """Row of a table: its settings, the streams that are trained, and the one that is reported."""

    name: str
    settings: tuple[str, ...] = ()
    streams: tuple[str, ...] = ("temporal",)
    reported: str = "temporal"


def temporal(name: str, *settings: str) -> Row:
    """Return a row of the temporal stream with some settings."""
    return Row(name, tuple(f"streams.temporal.{setting}" for setting in settings))


BOTH = ("spatial", "temporal")

TABLES: dict[str, tuple[Row, ...]] = {
    "two-stream": (
        temporal("L = 1", "frames=1"),
        temporal("L = 5", "frames=5"),
        temporal("L = 10", "frames=10"),
        temporal("L = 10, without mean subtraction", "frames=10", "mean_flow=false"),
        temporal("L = 10, trajectories", "frames=10", "stacking='trajectory'"),
        temporal("L = 10, bi-directional", "frames=10", "stacking='bidirectional'"),
        Row("spatial stream", streams=("spatial",), reported="spatial"),
        Row("both, average", ("fusion.method='average'",), BOTH, "fused"),
        Row("both, SVM", ("fusion.method='svm'", "split.validation=0.2"), BOTH, "fused"),
    ),
    "tsn": (
        Row("from scratch", (SCRATCH,)),
        temporal("cross-modality, 1 segment"),
        Row("cross-modality, partial BN", (FROZEN_NORMS,)),
        temporal("3 segments", "segments=3", "batch=4"),
        temporal("7 segments", "segments=7", "batch=2"),
    ),
}
"""Simonyan & Zisserman 2014, arXiv:1406.2199, tables 1 to 3; TSN, arXiv:1608.00859, section 4."""


def make_recipe(arguments: argparse.Namespace, table: str, row: Row) -> Recipe:
    """Return the recipe of a row."""
    directory = "".join(letter if letter.isalnum() else "-" for letter in row.name)
    settings = [
        *SHARED,
        f"extract.sources=[{str(arguments.videos)!r}]",
        f"split.files={str(arguments.lists)!r}",
        f"out={str(arguments.out / table / directory)!r}",
        f"stacks={str(arguments.out / 'stacks')!r}",
        *row.settings,
    ]
    recipe = load_recipe(recipe_path("ucf101-subset"), Recipe, settings=settings)
    return replace(recipe, streams={name: recipe.streams[name] for name in row.streams})


def measure_row(recipe: Recipe, row: Row, *, seeds: int) -> str:
    """Train the seeds of a row and return its line of the table."""
    started = time.perf_counter()
    repeated = run_repeats(recipe, make_repeats(recipe, seeds=range(seeds)), progress=True)
    minutes = (time.perf_counter() - started) / 60
    values = repeated.values(row.reported, "top1")
    first = next(iter(repeated.results.values()))
    interval = measure_certainty(first.scores[row.reported]).top1
    spread = f" ± {100 * statistics.stdev(values):.1f}" if seeds > 1 else ""
    return (
        f"| {row.name} | {100 * statistics.mean(values):.1f}{spread} | "
        f"{100 * interval.low:.0f} to {100 * interval.high:.0f} | {minutes:.1f} |"
    )


def main() -> None:
    """Measure the rows that are missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("lists", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="Directory of all results.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    arguments = parser.parse_args()
    for table in arguments.tables:
        path = arguments.out / f"{table}.md"
        head = f"| {table} | top-1, % | 95 % interval | minutes |\n|---|---|---|---|\n"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        done = {line.split(" | ")[0].removeprefix("| ") for line in lines}
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head, encoding="utf-8")
        for row in TABLES[table]:
            if row.name in done:
                continue
            recipe = make_recipe(arguments, table, row)
            extract_flow(recipe.extract, recipe.stack_directory, progress=True)
            line = measure_row(recipe, row, seeds=arguments.seeds)
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        sys.stdout.write(path.read_text(encoding="utf-8") + "\n")


if __name__ == "__main__":
    main()
