"""Comparison of runs on one page: accuracies, classes, recipes and clips."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream import __version__
from flowstream.disk import read_json, whole_file
from flowstream.errors import ScoresError
from flowstream.report.charts import interval, percent
from flowstream.report.facts import flatten_record, format_value
from flowstream.report.measures import Measures, measure
from flowstream.report.statistics import mcnemar
from flowstream.scores import Scores, read_scores
from flowstream.view.document import document
from flowstream.view.markup import Markup, element

_MAX_BYTES = 2**26
_MAX_DIFFERENCES = 40


@dataclass(frozen=True)
class Card:
    """Video with its thumbnail, for the rows of rescued and of misclassified videos."""

    video: str
    text: str
    thumbnail: str
    """`data:` URL; "" if the video has no stack."""
    href: str


@dataclass(frozen=True)
class Run:
    """Complete run: scores of its streams and of their fusion, and its recipe."""

    name: str
    path: Path
    scores: Mapping[str, Scores]
    """Scores by stream; "fused" is the last one if the streams were fused."""
    recipe: Mapping[str, Any]
    rescued: Sequence[Card] = field(default=())
    failures: Sequence[Card] = field(default=())

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


def is_correct(scores: Scores, videos: Sequence[str]) -> NDArray[np.bool_]:
    """Return True for each correctly classified video, in the order of `videos`."""
    correct = scores.scores.argmax(axis=1) == scores.labels
    found = dict(zip(map(str, scores.videos), correct.tolist(), strict=True))
    return np.array([found[video] for video in videos], bool)


def select_clips(run: Run, *, most: int) -> tuple[list[str], list[str]]:
    """Select the rescued and the misclassified videos with the highest final scores.

    A rescued video is classified correctly, although the first stream alone misclassifies it.
    """
    videos = [str(video) for video in run.main.videos]
    right = is_correct(run.main, videos)
    certain = run.main.scores.max(axis=1)
    first = next(iter(run.scores.values()))
    saved = right & ~is_correct(first, videos) if len(run.scores) > 1 else np.zeros_like(right)
    order = np.argsort(-certain, kind="stable")
    return (
        [videos[i] for i in order if saved[i]][:most],
        [videos[i] for i in order if not right[i]][:most],
    )


def describe_prediction(run: Run, video: str) -> str:
    """Format the true and the predicted class of a video with the score."""
    scores = run.main
    row = [str(name) for name in scores.videos].index(video)
    given = int(scores.scores[row].argmax())
    text = f"{scores.classes[int(scores.labels[row])]}"
    if given != scores.labels[row]:
        text += f" → {scores.classes[given]}"
    return f"{text} ({scores.scores[row, given]:.0%})"


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
    title = " · ".join(run.name for run in runs[:4]) + (" …" if len(runs) > 4 else "")
    return document(
        f"{title}: {'runs compared' if len(runs) > 1 else 'run'}",
        element("h1", title if len(runs) == 1 else f"{len(runs)} runs compared"),
        element("p", "Share of the test videos that are classified correctly.", class_="lead"),
        _accuracies(runs),
        _streams(runs),
        _classes(runs),
        _recipes(runs),
        *(_clips(run, several=len(runs) > 1) for run in runs),
        element("footer", f"flowstream {__version__}. This page loads nothing from the network."),
    )


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
    note = "The final scores of each run: top-1 in %, with Wilson's 95 % interval."
    return element(
        "section",
        element("h2", "Accuracy"),
        element("p", note, class_="soft"),
        element("div", rows, class_="forest"),
    )


def _streams(runs: Sequence[Run]) -> Markup:
    names = list(dict.fromkeys(name for run in runs for name in run.scores))
    head = [element("th", "Run"), element("th", "Videos", class_="n")]
    head += [element("th", f"{name}, %", class_="n") for name in names]
    head += [element("th", "95 % interval", class_="n"), element("th", "Mean class, %", class_="n")]
    head += [element("th", "p (McNemar)", class_="n")] if len(runs) > 1 else []
    rows = []
    for run in runs:
        measures = run.measures
        final = measure(run.main)
        cells = [element("td", run.name), element("td", final.top1.total, class_="n")]
        cells += [
            element(
                "td", percent(measures[name].top1.value) if name in measures else "–", class_="n"
            )
            for name in names
        ]
        low, high = percent(final.top1.low), percent(final.top1.high)
        cells += [element("td", f"{low} – {high}", class_="n")]
        cells += [element("td", percent(final.mean_class_accuracy), class_="n")]
        cells += [element("td", _difference(runs[0], run), class_="n")] if len(runs) > 1 else []
        rows.append(element("tr", cells))
    note = (
        "p compares a run with the first run. Of the videos that only one of the two classifies "
        "correctly, it is the probability of a split at least as uneven between equal runs."
        if len(runs) > 1
        else ""
    )
    return _table_section("Streams", head, rows, note=note)


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
    return _table_section("Classes", head, rows, sortable=True)


def _recipes(runs: Sequence[Run]) -> Markup:
    """Return a table of the settings that differ, or that are set in a single run."""
    flat = [dict(flatten_record(run.recipe)) for run in runs]
    for one in flat:
        # the output directory is not a setting of the experiment
        one.pop("out", None)
    keys = list(dict.fromkeys(key for one in flat for key in one))
    if len(runs) > 1:
        keys = [key for key in keys if len({json.dumps(one.get(key)) for one in flat}) > 1]
    else:
        keys = [key for key in keys if flat[0][key] not in (None, "", [], {}, False)]
    shown = keys[:_MAX_DIFFERENCES]
    head = [element("th", "Setting"), *(element("th", run.name) for run in runs)]
    rows = [
        element(
            "tr",
            element("td", key, class_="mono"),
            [element("td", format_value(one.get(key))) for one in flat],
        )
        for key in shown
    ]
    more = len(keys) - len(shown)
    note = "Settings that differ." if len(runs) > 1 else ""
    note += f" {more} more are in recipe.json." if more > 0 else ""
    return _table_section("Recipes" if len(runs) > 1 else "Recipe", head, rows, note=note)


def _table_section(
    title: str,
    head: Sequence[Markup],
    rows: Sequence[Markup],
    *,
    note: str = "",
    sortable: bool = False,
) -> Markup:
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
        class_="sortable" if sortable else "dense",
    )
    lead = element("p", note, class_="soft") if note else ""
    return element("section", element("h2", title), lead, element("div", table, class_="scroll"))


def _clips(run: Run, *, several: bool) -> Markup:
    """Return the rows of the rescued and of the misclassified videos."""
    parts = []
    suffix = f" ({run.name})" if several else ""
    first = next(iter(run.scores))
    for title, cards in (
        (f"Rescued: {first} alone was wrong", run.rescued),
        ("Misclassified, the highest scores first", run.failures),
    ):
        if cards:
            parts.append(element("h2", f"{title}{suffix}"))
            parts.append(element("ul", [_card(card) for card in cards], class_="clips"))
    return element("section", parts)


def _card(card: Card) -> Markup:
    image = element("img", src=card.thumbnail, alt="", loading="lazy") if card.thumbnail else ""
    text = element(
        "div", element("div", card.video, class_="name"), element("div", card.text), class_="text"
    )
    inner = element("a", image, text, href=card.href) if card.href else Markup(image + text)
    return element("li", inner)
