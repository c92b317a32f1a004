"""HTML and SVG elements; their text is escaped by construction."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

# Elements that HTML writes without an end tag.
_VOID = {"meta", "br", "link", "img", "input", "wbr"}


class Markup(str):
    """Text that is HTML already; other text is escaped when it becomes part of an element."""

    __slots__ = ()


Child: TypeAlias = str | int | float | Iterable["Child"]


def element(tag: str, *children: Child, **attributes: str | int | float) -> Markup:
    """Return `<tag attributes>children</tag>`; what is not `Markup` is escaped.

    `class_` writes `class`; other underscores become hyphens. Nested sequences of children are
    written one after another.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(children)}</{tag}>")


def joined(children: Child) -> Markup:
    """Return the children one after another; what is not `Markup` is escaped."""
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int | float):
        return Markup(html.escape(str(children)))
    return Markup("".join(joined(child) for child in children))


def breakable(name: str) -> list[Child]:
    """Return a file name whose lines may break after underscores."""
    parts = re.split(r"(?<=\w\w_)", name)
    return [child for part in parts for child in (part, element("wbr"))][:-1]
