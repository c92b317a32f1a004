"""The index of many clips: thumbnails by class, sortable by motion and quality."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

import numpy as np

from flowstream import __version__
from flowstream.view.clip import Clip, sample_fields
from flowstream.view.document import document
from flowstream.view.markup import Markup, breakable, element
from flowstream.view.motion import MotionCounter
from flowstream.view.picture import encode_picture
from flowstream.view.quality import stack_quality, summarise
from flowstream.view.resizing import fit_columns, resize_picture
from flowstream.view.scale import find_scale
from flowstream.view.styles.overlay import OVERLAY
from flowstream.view.verdict import Verdict, judge

_THUMBNAIL = 208
_FIELDS = 12

_ORDERS = (
    ("name", "name"),
    ("speed", "mean speed"),
    ("clipped", "clipped"),
    ("below", "below step"),
    ("verdict", "quality"),
)


@dataclass(frozen=True)
class Entry:
    """A clip of the index."""

    name: str
    class_name: str
    href: str
    thumbnail: bytes
    speed: float
    clipped: float
    below_step: float
    error: float
    verdict: Verdict


def make_entry(clip: Clip, *, class_name: str, href: str) -> Entry:
    """Measure a clip on a few fields spread over it, and draw its thumbnail.

    Parameters
    ----------
    clip : Clip
    class_name : str
        Class by which clips are grouped.
    href : str
        Address of its page, relative to the index.
    """
    everything = range(clip.num_fields)
    counter = MotionCounter()
    for k in sample_fields(clip, everything, most=_FIELDS):
        counter.add(np.nan_to_num(clip.field(k)), clipped=0)
    stack = clip.stack
    if stack is None:
        verdict, error, clipped, below = Verdict("check", "a single field"), 0.0, 0.0, 0.0
    else:
        chosen = sample_fields(clip, everything, most=_FIELDS)
        quality = summarise(stack_quality(stack, chosen))
        clipped, below = stack.clipped, stack.below_step
        verdict, error = judge(quality, below_step=below), quality.error or 0.0
    return Entry(
        name=clip.name,
        class_name=class_name,
        href=href,
        thumbnail=draw_thumbnail(clip),
        speed=counter.summary().mean,
        clipped=clipped,
        below_step=below,
        error=error,
        verdict=verdict,
    )


def draw_thumbnail(clip: Clip) -> bytes:
    """Draw the flow over the frame at the fastest of a few moments, as a WebP file."""
    sampled = sample_fields(clip, range(clip.num_fields), most=_FIELDS)
    k = max(sampled, key=lambda one: float(np.abs(np.nan_to_num(clip.field(one))).mean()))
    scale = find_scale(clip, OVERLAY, range(k, k + 1))
    picture = OVERLAY.draw(clip.moment(k, OVERLAY, scale=scale))
    # twice the columns that are shown, for screens with small pixels
    small = resize_picture(picture, fit_columns(picture, 2 * _THUMBNAIL), enlarge="linear")
    return encode_picture(small, "WEBP", quality=60)


def build_index(entries: Sequence[Entry], *, title: str) -> str:
    """Return the index page of clips."""
    orders = [element("option", text, value=value) for value, text in _ORDERS]
    several = len({entry.class_name for entry in entries}) > 1
    return document(
        f"{title}: flow of {len(entries)} clips",
        element("h1", title),
        element("p", id="count", class_="soft note", aria_live="polite"),
        element(
            "div",
            element("label", "Sort by ", element("select", orders, id="order")),
            element(
                "label",
                element(
                    "input",
                    id="grouped",
                    type="checkbox",
                    **({"checked": ""} if several else {}),
                ),
                " group by class",
            ),
            element("input", id="filter", type="search", placeholder="Filter by name",
                    aria_label="Filter by name"),
            class_="tools",
        ),
        element(
            "div", element("ul", [_card(entry) for entry in entries], class_="clips"), id="clips"
        ),
        element("footer", f"flowstream {__version__}. These files need no network."),
        styles=files("flowstream.view").joinpath("page.css").read_text(encoding="utf-8"),
        script=files("flowstream.view").joinpath("index.js").read_text(encoding="utf-8"),
        class_="viewer",
    )  # fmt: skip


def _card(entry: Entry) -> Markup:
    source = f"data:image/webp;base64,{base64.b64encode(entry.thumbnail).decode('ascii')}"
    level = entry.verdict.level
    facts = f"{entry.speed:.2f} px/frame · clipped {100 * entry.clipped:.1f}\N{NO-BREAK SPACE}%"
    if entry.below_step:
        facts += f" · below step {100 * entry.below_step:.0f}\N{NO-BREAK SPACE}%"
    badge = element("span", level, class_=f"badge {level}", title=entry.verdict.reason or level)
    return element(
        "li",
        element(
            "a",
            element("img", src=source, alt="", loading="lazy"),
            element(
                "div",
                element("div", breakable(PurePosixPath(entry.name).name), class_="name"),
                element("div", facts),
                element("div", badge, " ", entry.verdict.reason),
                class_="text",
            ),
            href=entry.href,
        ),
        class_="clip",
        data_name=entry.name,
        data_class=entry.class_name,
        data_speed=f"{entry.speed:.4f}",
        data_clipped=f"{entry.clipped:.5f}",
        data_below=f"{entry.below_step:.5f}",
        data_verdict=level,
        data_error=f"{entry.error:.3f}",
    )
