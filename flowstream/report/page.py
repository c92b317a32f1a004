"""Report as one HTML page that loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowstream import __version__
from flowstream.report.cards import Cards, draw_cards
from flowstream.report.certainty import Certainty, certainty_rows
from flowstream.report.charts import agreement_bar, curve, heat_map, interval, percent
from flowstream.report.curves import Panel, as_percent, best_epoch, describe_time
from flowstream.report.facts import Difference, draw_differences, format_facts, run_name
from flowstream.report.measures import Agreement, Confusion, Measures
from flowstream.view.document import document
from flowstream.view.markup import Markup, element

# Largest number of pairs of classes, and of videos of each pair, on the page; report.json has all.
_MOST_CONFUSIONS, _MOST_VIDEOS = 15, 8


@dataclass(frozen=True)
class Content:
    """Content of a report, for `report.json` and for the page."""

    part: str
    streams: Mapping[str, Measures]
    fused: Measures | None
    certainty: Mapping[str, Certainty]
    """By the name of the stream, and of the fusion."""
    agreements: Sequence[Agreement]
    confusions: Sequence[Confusion]
    """Confusions of the `main` scores."""
    curves: Mapping[str, Sequence[Panel]]
    """Learning curves by the name of the training."""
    facts: Mapping[str, Any]
    """Plain data about the recipe, the weights and the flow."""
    differences: Sequence[Difference] = ()
    """Settings of the recipe that differ from their defaults."""
    cards: Cards = field(default_factory=Cards)
    """Rescued and misclassified videos."""

    @property
    def columns(self) -> dict[str, Measures]:
        """Measures of the streams and of their fusion, in the order of the tables."""
        return {**self.streams, **({"fused": self.fused} if self.fused else {})}

    @property
    def main(self) -> tuple[str, Measures]:
        """Name and measures of the fusion, or of the last stream if nothing was fused."""
        return list(self.columns.items())[-1]

    def series(self, name: str) -> str:
        """Return the CSS class of a stream's colour."""
        return "fused" if name == "fused" else f"s{list(self.streams).index(name) % 4}"


def page(content: Content) -> str:
    """Return the HTML document of a report."""
    _, main = content.main
    total, classes = main.top1.total, len(main.classes)
    lead = f"{total} {content.part} videos of {classes} classes"
    name = run_name(content.facts)
    return document(
        f"{name or 'Recognition report'}: {percent(main.top1.value)} % of {lead}",
        element("h1", name or "Recognition report"),
        element("p", lead, class_="lead"),
        _cards(content),
        _measures(content),
        _agreements(content),
        _confusion(content),
        _worst(content),
        _classes(content),
        draw_cards(content.cards, next(iter(content.streams))),
        _curves(content),
        _differences(content),
        _facts(content),
        element("footer", f"flowstream {__version__}. The same values as data: report.json."),
    )


def _cards(content: Content) -> Markup:
    cards = [
        element(
            "div",
            element("div", name, class_="name"),
            element("div", percent(found.top1.value), element("span", "%"), class_="figure"),
            interval(found.top1),
            element("small", f"{found.top1.correct} of {found.top1.total} correct", class_="soft"),
            element(
                "small",
                f"95 % interval {percent(found.top1.low)} to {percent(found.top1.high)} %",
                class_="soft",
            ),
            class_=f"card {content.series(name)}",
        )
        for name, found in content.columns.items()
    ]
    return element("div", cards, class_="cards")


def _section(title: str, *children: Any, note: str = "") -> Markup:
    opening = element("p", note, class_="soft") if note else ""
    return element("section", element("h2", title), opening, *children)


def _table(head: Sequence[Markup], rows: Sequence[Markup], *, class_: str = "") -> Markup:
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
        **({"class_": class_} if class_ else {}),
    )
    return element("div", table, class_="scroll")


def _heads(content: Content) -> list[Markup]:
    return [
        element("th", element("span", name, class_=f"key {content.series(name)}"), class_="n")
        for name in content.columns
    ]


def _measures(content: Content) -> Markup:
    columns = list(content.columns.values())
    figures = {"Top-1, %": [found.top1.value for found in columns]}
    _, main = content.main
    if main.k < len(main.classes):
        figures[f"Top-{main.k}, %"] = [found.top_k.value for found in columns]
    figures["Mean class accuracy, %"] = [found.mean_class_accuracy for found in columns]
    figures["Mean average precision, %"] = [found.mean_average_precision for found in columns]
    rows = [
        element(
            "tr", element("th", name, scope="row"), [_figure(value, values) for value in values]
        )
        for name, values in figures.items()
    ]
    note = (
        "Top-1 and mean class accuracy differ if the classes have unequal numbers of videos. The "
        "intervals above are Wilson's 95 % intervals: they show how much an accuracy can vary with "
        "the choice of the test videos. The bootstrap resamples whole groups of videos, such as "
        "those of one recording or subject. The calibration error is the mean difference between "
        "the highest probability and the accuracy."
    )
    rows += certainty_rows([content.certainty[name] for name in content.columns])
    return _section(
        "Measures", _table([element("th"), *_heads(content)], rows, class_="measures"), note=note
    )


def _figure(value: float | None, among: Sequence[float | None]) -> Markup:
    """Return a right-aligned percentage, marked if it is the best of its row."""
    known = [other for other in among if other is not None]
    best = value is not None and value == max(known) and min(known) < value
    return element("td", percent(value), class_="n best" if best else "n")


def _agreements(content: Content) -> Markup:
    if not content.agreements:
        return Markup()
    bars = [
        agreement_bar(pair, (content.series(pair.first), content.series(pair.second)))
        for pair in content.agreements
    ]
    note = (
        "Videos that only one stream classifies correctly are those that fusion can gain or lose."
    )
    return _section("Agreement of the streams", bars, note=note)


def _confusion(content: Content) -> Markup:
    name, main = content.main
    figure = element("figure", element("div", heat_map(main), class_="scroll heat"))
    note = (
        f"By the {name} scores. A row is a true class, a column a predicted class; "
        "the shade is the share of the row."
    )
    return _section("Confusion", figure, note=note)


def _worst(content: Content) -> Markup:
    if not content.confusions:
        return _section("Most frequent confusions", note="Every video was classified correctly.")
    head = [
        *(element("th", name) for name in ("True class", "Predicted as")),
        element("th", "Videos", class_="n"),
        element("th", "Names"),
    ]
    shown = content.confusions[:_MOST_CONFUSIONS]
    rows = [
        element(
            "tr",
            element("td", pair.true),
            element("td", pair.predicted),
            element("td", len(pair.videos), class_="n"),
            element("td", _list_videos(pair.videos)),
        )
        for pair in shown
    ]
    left = len(content.confusions) - len(shown)
    rest = f"; {left} rarer pairs are in report.json" if left else ""
    note = f"By the {content.main[0]} scores{rest}."
    return _section("Most frequent confusions", _table(head, rows, class_="pairs"), note=note)


def _list_videos(videos: Sequence[str]) -> list[Markup]:
    more = len(videos) - _MOST_VIDEOS
    names = [*videos[:_MOST_VIDEOS], *([f"and {more} more"] if more > 0 else [])]
    return [element("div", name, class_="mono videos") for name in names]


def _classes(content: Content) -> Markup:
    name, main = content.main
    head = [
        element("th", "Class"),
        element("th", "Videos", class_="n wide"),
        *_heads(content),
        element("th", class_="wide"),
        element("th", "Most confused with", class_="wide"),
    ]
    order = sorted(
        range(len(main.classes)),
        key=lambda index: _or_last(main.classes[index].accuracy),
    )
    rows = [_class_row(content, index) for index in order]
    note = f"Accuracy in %, the lowest of the {name} scores first."
    return _section("Classes", _table(head, rows, class_="sortable"), note=note)


def _or_last(accuracy: float | None) -> float:
    return 2.0 if accuracy is None else accuracy


def _class_row(content: Content, index: int) -> Markup:
    name, main = content.main
    result = main.classes[index]
    accuracies = [found.classes[index].accuracy for found in content.columns.values()]
    width = 100 * (result.accuracy or 0)
    bar = element(
        "div", element("i", style=f"width:{width:.1f}%"), class_=f"track {content.series(name)}"
    )
    return element(
        "tr",
        element("td", result.name, data_value=result.name),
        element("td", result.total, class_="n wide", data_value=result.total),
        [
            element("td", percent(value), class_="n", data_value="" if value is None else value)
            for value in accuracies
        ],
        element("td", bar, class_="bar wide", data_value=result.accuracy or 0),
        element(
            "td",
            result.confused_with or "",
            class_="wide",
            data_value=result.confused_with or "",
        ),
    )


def _curves(content: Content) -> Markup:
    drawn = [
        (element("h3", name, element("small", _training(panels), class_="soft")), _panels(panels))
        for name, panels in content.curves.items()
        if panels
    ]
    note = "Numbers show the last epoch; the dashed line is the best one, whose weights were kept."
    return _section("Training", drawn, note=note) if drawn else Markup()


def _training(panels: Sequence[Panel]) -> str:
    """Format the best epoch and the time of a training for its heading."""
    best, time = best_epoch(panels), describe_time(panels)
    facts = [f"best epoch {best:g}" if best is not None else "", time]
    return "".join(f"  ·  {fact}" for fact in facts if fact)


def _panels(panels: Sequence[Panel]) -> Markup:
    best = best_epoch(panels)
    # times are in the heading; charts of them would stand alone on a row
    shown = [panel for panel in panels if panel.name not in ("seconds", "data seconds")]
    drawn = [curve(as_percent(panel), best=best) for panel in shown]
    return element("div", drawn, class_="curves")


def _differences(content: Content) -> Markup:
    if not content.differences:
        return Markup()
    note = "Settings of the recipe that differ from their defaults."
    return _section("Recipe", draw_differences(content.differences), note=note)


def _facts(content: Content) -> Markup:
    """Return all facts, folded where a table shows the settings that matter."""
    if not content.facts:
        return Markup()
    facts = format_facts(content.facts)
    if content.differences:
        facts = element("details", element("summary", "All settings"), facts)
    return _section("Origin of these results", facts)
