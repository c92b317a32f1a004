"""The frame of every page: one HTML file that asks the network for nothing."""

from __future__ import annotations

from flowstream import __version__
from flowstream.view.markup import Markup, element
from flowstream.view.stylesheet import SCRIPT, STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def document(title: str, *children: Markup) -> str:
    """A whole HTML document of a title and what its page shows."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"flowstream {__version__}"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element("body", element("main", children), element("script", Markup(SCRIPT)))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
