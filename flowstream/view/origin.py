"""The facts of the header of a stack, as a panel of its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowstream.view.clip import Clip
from flowstream.view.markup import Markup, element

_LEFT_OUT = ("path", "size", "num_fields", "source_modified", "source_size")
_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def draw_origin(clip: Clip) -> Markup:
    """Return the panel of the facts of a stack: video, method, codec, sizes and digests."""
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in _facts(clip).items()
    ]
    return element(
        "section",
        element("h2", "Origin"),
        element("table", element("tbody", rows)),
        class_="panel",
    )


def _facts(clip: Clip) -> dict[str, str]:
    """Return the facts of the header of the stack as text."""
    if clip.stack is None:
        return {"file": clip.name}
    facts = {
        name: value
        for name, value in clip.stack.summary().items()
        if name not in _LEFT_OUT and value not in (None, "", {}, 0)
    }
    return {name.replace("_", " "): _format_fact(name, value) for name, value in facts.items()}


def _format_fact(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and name.endswith("bytes"):
        return ", ".join(f"{key} {_format_fact(name, item)}" for key, item in value.items())
    if name.endswith("bytes"):
        unit, size = next((one for one in _UNITS if value >= one[1]), ("bytes", 1))
        return f"{value / size:.3g} {unit}"
    return f"{100 * value:.2f} %" if name in ("clipped", "below_step") else _format(value)


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping) and "name" in value:
        rest = _format({key: item for key, item in value.items() if key != "name"})
        return f"{value['name']}: {rest}" if rest else str(value["name"])
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {_format(item)}" for key, item in value.items() if item is not None
        )
    if isinstance(value, list | tuple):
        return ", ".join(map(_format, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
