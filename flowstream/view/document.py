"""The frame of every page: one HTML file that needs no network."""

from __future__ import annotations

from flowstream import __version__
from flowstream.view.markup import Markup, element
from flowstream.view.stylesheet import SCRIPT, STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def document(
    title: str, *children: Markup, styles: str = "", script: str = SCRIPT, class_: str = "report"
) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title : str
        Title of the browser's tab.
    *children : Markup
        Content of the page.
    styles : str
        CSS that is added to the common style sheet.
    script : str
        JavaScript that runs at the end of the page.
    class_ : str
        Class of the body.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"flowstream {__version__}"),
        element("title", title),
        element("style", Markup(STYLE + styles)),
    )
    body = element(
        "body",
        element("main", children),
        element("script", Markup(script)),
        class_=class_,
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
