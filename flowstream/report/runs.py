"""Comparison of runs on one page: accuracies, classes, recipes and clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowstream import __version__
from flowstream.disk import read_json, whole_file
from flowstream.errors import ScoresError
from flowstream.report.cards import Cards, draw_cards, is_correct
from flowstream.report.charts import interval, percent
from flowstream.report.facts import Difference
from flowstream.report.measures import Measures, measure
from flowstream.report.statistics import mcnemar
from flowstream.scores import Scores, read_scores
from flowstream.view.document import document
from flowstream.view.markup import Markup, element

_MAX_BYTES = 2**26
_MAX_DIFFERENCES = 40


@dataclass(frozen=True)
class Run:
    """Complete run: scores of its streams and of their fusion, and its recipe."""

    name: str
    path: Path
    scores: Mapping[str, Scores]
    """Scores by stream; "fused" is the last one if the streams were fused."""
    recipe: Mapping[str, Any]
    differences: Sequence[Difference] = ()
    """Settings that differ from their defaults."""
    cards: Cards = field(default_factory=Cards)

    @property
    def flow(self) -> str:
        """Name of the flow method; "" if it is unknown."""
        extract = self.recipe.get("extract")
        return str(extract.get("method") or "") if isinstance(extract, Mapping) else ""

    @property
    def main(self) -> Scores:
        """Scores of the fusion, or of the last stream."""
        return list(self.scores.values())[-1]

    @property
    def measures(self) -> dict[str, Measures]:
        """Measures of each stream and of the fusion."""
        return {name: measure(scores) for name, scores in self.scores.items()}


def read_run(directory: Path, *, name: str) -> Run:
    """Read the scores and the recipe of a complete run.

    Raises
    ------
    ScoresError
        If the directory has no report or no scores.
    """
    try:
        recipe = read_json(directory / "recipe.json", limit=_MAX_BYTES)
        report = read_json(directory / "report" / "report.json", limit=_MAX_BYTES)
        names = [*report["streams"], *(["fused"] if report["fused"] else [])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScoresError(
            f"{directory}: not the directory of a complete run; expected recipe.json and "
            "report/report.json, which 'flowstream train' writes"
        ) from error
    scores = {stream: read_scores(directory / stream / "scores.npz") for stream in names}
    return Run(name=name, path=directory, scores=scores, recipe=recipe)


def write_runs(path: Path, runs: Sequence[Run]) -> None:
    """Write the page of one or more runs.

    Raises
    ------
    ScoresError
        If the page cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(build_page(runs), encoding="utf-8")
    except OSError as error:
        raise ScoresError(f"{path}: cannot write the report: {error.strerror}") from error


def build_page(runs: Sequence[Run]) -> str:
    """Return the HTML page of one or more runs."""
    title = _title(runs)
    several = len(runs) > 1
    return document(
        f"{title}: {len(runs)} runs compared" if several else title,
        element("h1", f"{len(runs)} runs compared" if several else title),
        element("p", title if several else "", class_="lead"),
        _accuracies(runs),
        _streams(runs),
        _classes(runs),
        _recipes(runs),
        *(_clips(run, several=len(runs) > 1) for run in runs),
        element("footer", f"flowstream {__version__}. This page loads nothing from the network."),
    )


def _title(runs: Sequence[Run]) -> str:
    """Return the names and the flow methods of runs: `one · two (tvl1)`."""
    methods = list(dict.fromkeys(run.flow for run in runs))
    one = methods[0] if len(methods) == 1 else ""
    names = [f"{run.name} ({run.flow})" if run.flow and not one else run.name for run in runs[:4]]
    more = f" and {len(runs) - 4} more" if len(runs) > 4 else ""
    return " · ".join(names) + more + (f" ({one})" if one else "")


def _accuracies(runs: Sequence[Run]) -> Markup:
    rows = []
    for run in runs:
        top1 = measure(run.main).top1
        rows.append(
            element(
                "div",
                element("span", run.name),
                interval(top1),
                element("span", percent(top1.value), class_="n"),
                class_="row s0",
                title=f"{top1.correct} of {top1.total}",
            )
        )
    note = (
        "Percentage of the test videos that the final scores of a run classify correctly, with "
        "Wilson's 95 % interval."
    )
    marks = [
        element("span", f"{value} %", style=f"left:{value}%") for value in (0, 25, 50, 75, 100)
    ]
    scale = element("div", element("span"), element("div", marks, class_="scale"), class_="row")
    return element(
        "section",
        element("h2", "Accuracy"),
        element("p", note, class_="soft"),
        element("div", rows, scale, class_="forest"),
    )


def _streams(runs: Sequence[Run]) -> Markup:
    names = list(dict.fromkeys(name for run in runs for name in run.scores))
    head = [element("th", "Run"), element("th", "Flow", class_="wide")]
    head += [element("th", "Videos", class_="n wide")]
    head += [element("th", f"{name}, %", class_="n") for name in names]
    head += [element("th", "95 % interval", class_="n"), element("th", "Mean class, %", class_="n")]
    head += [element("th", "p (McNemar)", class_="n")] if len(runs) > 1 else []
    rows = []
    for run in runs:
        measures = run.measures
        final = measure(run.main)
        cells = [element("td", run.name), element("td", run.flow or "–", class_="wide")]
        cells += [element("td", final.top1.total, class_="n wide")]
        cells += [
            element(
                "td", percent(measures[name].top1.value) if name in measures else "–", class_="n"
            )
            for name in names
        ]
        low, high = percent(final.top1.low), percent(final.top1.high)
        cells += [element("td", f"{low} to {high}", class_="n")]
        cells += [element("td", percent(final.mean_class_accuracy), class_="n")]
        cells += [element("td", _difference(runs[0], run), class_="n")] if len(runs) > 1 else []
        rows.append(element("tr", cells))
    note = (
        "p compares a run with the first run. Of the videos that only one of the two classifies "
        "correctly, it is the probability of a split at least as uneven between equal runs."
        if len(runs) > 1
        else ""
    )
    return _section("Streams", _table(head, rows), note=note)


def _difference(first: Run, run: Run) -> str:
    if run is first:
        return "–"
    videos = [str(video) for video in first.main.videos]
    if set(videos) != {str(video) for video in run.main.videos}:
        return "other videos"
    p = mcnemar(is_correct(first.main, videos), is_correct(run.main, videos))
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _classes(runs: Sequence[Run]) -> Markup:
    names = list(dict.fromkeys(name for run in runs for name in run.main.classes))
    found = [{result.name: result.accuracy for result in measure(run.main).classes} for run in runs]
    head = [element("th", "Class"), *(element("th", f"{run.name}, %", class_="n") for run in runs)]
    rows = [
        element(
            "tr",
            element("td", name, data_value=name),
            [
                element("td", percent(one.get(name)), class_="n", data_value=one.get(name) or 0)
                for one in found
            ],
        )
        for name in names
    ]
    return _section("Classes", _table(head, rows, sortable=True))


def _recipes(runs: Sequence[Run]) -> Markup:
    """Return the settings that differ between runs and, folded, those that differ from defaults."""
    settings = [{one.setting: one for one in run.differences} for run in runs]
    keys = list(dict.fromkeys(key for one in settings for key in one))
    varied = [key for key in keys if len({_setting(one, key) for one in settings}) > 1]
    same = [key for key in keys if key not in varied]
    if len(runs) == 1:
        return _section("Recipe", _settings(runs, same), note="Settings that differ from defaults.")
    parts = [_settings(runs, varied)] if varied else []
    if same:
        summary = f"{len(same)} settings that are equal in all runs but differ from their defaults"
        parts.append(
            element("details", element("summary", summary), _settings(runs[:1], same, "All runs"))
        )
    note = "Settings that differ between the runs." if varied else "The recipes are equal."
    return _section("Recipes", *parts, note=note)


def _settings(runs: Sequence[Run], keys: Sequence[str], title: str = "") -> Markup:
    """Return a table of settings: one column per run, and the defaults."""
    settings = [{one.setting: one for one in run.differences} for run in runs]
    defaults = {key: one[key].default for one in settings for key in one}
    names = [title or run.name for run in runs]
    rows = [
        element(
            "tr",
            element("td", key, class_="mono"),
            [_setting_cell(one, key, bold=len(runs) > 1) for one in settings],
            element("td", defaults[key], class_="soft"),
        )
        for key in keys[:_MAX_DIFFERENCES]
    ]
    more = len(keys) - _MAX_DIFFERENCES
    rest = element("p", f"{more} more are in recipe.json.", class_="soft") if more > 0 else ""
    head = [element("th", name) for name in ("Setting", *names, "Default")]
    return Markup(_table(head, rows) + rest)


def _setting(run: Mapping[str, Difference], key: str) -> str:
    return run[key].value if key in run else ""


def _setting_cell(run: Mapping[str, Difference], key: str, *, bold: bool) -> Markup:
    if key not in run:
        return element("td", "default", class_="soft")
    return element("td", run[key].value, **({"class_": "best"} if bold else {}))


def _clips(run: Run, *, several: bool) -> Markup:
    return draw_cards(run.cards, next(iter(run.scores)), run=run.name if several else "")


def _section(title: str, *children: Markup, note: str = "") -> Markup:
    lead = element("p", note, class_="soft") if note else ""
    return element("section", element("h2", title), lead, *children)


def _table(head: Sequence[Markup], rows: Sequence[Markup], *, sortable: bool = False) -> Markup:
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
        class_="sortable" if sortable else "dense",
    )
    return element("div", table, class_="scroll")
