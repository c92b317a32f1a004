"""Plain facts, such as recipes and provenance, as HTML and as flat tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowstream.view.markup import Markup, element


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


def flatten_record(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return nested tables as pairs of a dotted key and a value."""
    if not isinstance(value, Mapping):
        return [(prefix, value)]
    return [
        pair
        for key, item in value.items()
        for pair in flatten_record(item, f"{prefix}.{key}" if prefix else str(key))
    ]


def format_value(value: Any) -> str:
    """Return one value of a flat table as text."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)
