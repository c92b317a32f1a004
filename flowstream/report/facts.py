"""Plain facts, such as recipes and provenance, as HTML and as flat tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from flowstream.view.markup import Markup, element


@dataclass(frozen=True)
class Difference:
    """Setting of a recipe that differs from its default, as text."""

    setting: str
    """Dotted name, such as `streams.spatial.frames`."""
    value: str
    default: str
    """"–" if the setting has no default."""


def format_facts(facts: Mapping[str, Any]) -> Markup:
    """Return facts as a definition list; nested tables become nested lists."""
    return element(
        "dl",
        [
            (element("dt", str(name).replace("_", " ")), element("dd", _value(value)))
            for name, value in facts.items()
        ],
    )


def _value(value: Any) -> Markup | str:
    if isinstance(value, Mapping) and value:
        return format_facts(value)
    if isinstance(value, list | tuple):
        return (
            ", ".join(
                str(_value(item)) if not isinstance(item, Mapping) else str(item) for item in value
            )
            or "–"
        )
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None or value == {} else str(value)


def draw_differences(differences: Sequence[Difference]) -> Markup:
    """Return the table of the settings that differ from their defaults."""
    rows = [
        element(
            "tr",
            element("td", one.setting, class_="mono"),
            element("td", one.value),
            element("td", one.default, class_="soft"),
        )
        for one in differences
    ]
    head = [element("th", name) for name in ("Setting", "Value", "Default")]
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", rows),
        class_="dense",
    )
    return element("div", table, class_="scroll")


def run_name(facts: Mapping[str, Any]) -> str:
    """Return the name and flow method of a run, such as `ucf10 (tvl1)`; "" if unknown."""
    recipe = facts.get("recipe")
    if not isinstance(recipe, Mapping) or not recipe.get("out"):
        return ""
    extract = recipe.get("extract")
    method = extract.get("method") if isinstance(extract, Mapping) else None
    name = PurePath(str(recipe["out"])).name
    return f"{name} ({method})" if method else name
