"""Accuracy of a recipe over seeds, by flow method: a table for docs/results.md.

    python benchmarks/results.py VIDEOS LISTS --out DIR [--recipe small] [--seeds 5]
                                 [--methods dis tvl1:preset=fast farneback]
                                 [--streams temporal] [--set KEY=VALUE ...]

VIDEOS holds clips of UCF101, LISTS its official split files; split 1. A method is a name, or
`NAME:KEY=VALUE,...`; a value with commas stands in quotes or brackets. The parameters of all
methods are checked before the first one starts, and a method that fails does not stop the others.
Each method's stacks are extracted once; the seeds share them and the cached features. What is there
already is not computed again, so that an interrupted run continues. A row is the mean over the
seeds, their standard deviation, and the 95 % interval of the first seed over the test videos
(bootstrap of whole groups). `--streams temporal` leaves out RGB, which does not depend on the
method; `--set` changes the recipe, for example its size.
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flowstream.errors import FlowstreamError
from flowstream.recipe import load_recipe
from flowstream.recipes import recipe_path
from flowstream.scores import Scores
from flowstream.stages import Recipe, extract_flow
from flowstream.stages.repeats import Repeated, make_repeats, run_repeats

RESAMPLES = 10_000

PARAMETER = re.compile(r"""(?:"[^"]*"|'[^']*'|\[[^\]]*\]|\{[^}]*\}|[^,])+""")
"""One KEY=VALUE of a method; commas in quotes and brackets do not end it."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a method, and the accuracies of each stream over the seeds."""

    method: str
    accuracies: dict[str, list[float]]
    intervals: dict[str, tuple[float, float]]
    minutes: float

    def cells(self) -> list[str]:
        """Return the cells of the line: mean, deviation and interval of each stream, in percent."""
        cells = [self.method]
        for stream, values in self.accuracies.items():
            low, high = self.intervals[stream]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(
                f"{100 * statistics.mean(values):.1f} ± {100 * spread:.1f} "
                f"({100 * low:.0f} to {100 * high:.0f})"
            )
        return [*cells, f"{self.minutes:.1f}"]


def resample_groups(scores: Scores, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy over resampled groups of videos."""
    right = scores.scores.argmax(axis=1) == scores.labels
    names = scores.groups or scores.videos
    groups = [np.flatnonzero(np.array(names) == name) for name in sorted(set(names))]
    random = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(groups), size=len(groups))
        means.append(right[np.concatenate([groups[index] for index in chosen])].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def read_recipe(arguments: argparse.Namespace, method: str) -> Recipe:
    """Return the recipe with the videos, the split and the flow method of this row."""
    name, _, parameters = method.partition(":")
    path = Path(arguments.recipe)
    directory = "".join(letter if letter.isalnum() else "-" for letter in method)
    settings = [
        f"out={str(arguments.out / directory)!r}",
        f"extract.sources=[{str(arguments.videos)!r}]",
        f"extract.method={name!r}",
        "split.layout='ucf101'",
        f"split.files={str(arguments.lists)!r}",
        *(f"extract.parameters.{one}" for one in PARAMETER.findall(parameters)),
        *arguments.settings,
    ]
    file = path if path.suffix == ".toml" else recipe_path(arguments.recipe)
    recipe = load_recipe(file, Recipe, settings=settings)
    chosen = arguments.streams or list(recipe.streams)
    recipe = replace(recipe, streams={name: recipe.streams[name] for name in chosen})
    recipe.extract.settings()  # raises if a parameter is invalid
    recipe.check_networks()
    return recipe if arguments.stacks is None else replace(recipe, stacks=arguments.stacks)


def run_method(arguments: argparse.Namespace, method: str, recipe: Recipe) -> Row:
    """Extract the stacks of one method, train all seeds and return their accuracies."""
    started = time.perf_counter()
    if arguments.stacks is None:
        extract_flow(recipe.extract, recipe.stack_directory, progress=True)
    repeats = make_repeats(recipe, seeds=range(arguments.seeds))
    repeated: Repeated = run_repeats(recipe, repeats, progress=True)
    minutes = (time.perf_counter() - started) / 60
    first = next(iter(repeated.results.values()))
    return Row(
        method,
        {stream: repeated.values(stream, "top1") for stream in repeated.streams},
        {stream: resample_groups(scores) for stream, scores in first.scores.items()},
        minutes,
    )


def main() -> None:
    """Print the table as Markdown, line by line as the methods end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("lists", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="Directory of all results.")
    parser.add_argument("--recipe", default="small", help="Shipped recipe, or a TOML file.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["dis", "tvl1:preset=fast", "farneback"])
    parser.add_argument("--streams", nargs="+", help="Streams that are trained; default: all.")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--stacks", type=Path, help="Stacks that are there already.")
    arguments = parser.parse_args()
    try:
        recipes = {method: read_recipe(arguments, method) for method in arguments.methods}
    except FlowstreamError as error:
        parser.error(str(error))
    sys.stdout.write(f"{platform.processor() or platform.machine()}, {arguments.seeds} seeds\n\n")
    head, failed = "", False
    for method, recipe in recipes.items():
        try:
            row = run_method(arguments, method, recipe)
        except FlowstreamError as error:
            sys.stderr.write(f"{method}: {error}\n")
            failed = True
            continue
        if not head:
            cells = ["method", *row.accuracies, "minutes"]
            head = f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}\n"
            sys.stdout.write(head)
        sys.stdout.write(f"| {' | '.join(row.cells())} |\n")
        sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
