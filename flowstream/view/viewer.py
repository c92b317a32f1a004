"""The page of one clip: a single HTML file that needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from flowstream import __version__
from flowstream.flow.draw import colour_wheel
from flowstream.flow.measure import known
from flowstream.types import Size
from flowstream.view.clip import Clip, sample_fields
from flowstream.view.document import document
from flowstream.view.legends import format_scale
from flowstream.view.markup import Markup, element
from flowstream.view.origin import draw_origin
from flowstream.view.sampling import as_text, sample_images, sample_values
from flowstream.view.scale import find_scale
from flowstream.view.styles.wheel import WHEEL

FIELDS = 300
"""Number of fields of a page; longer clips are sampled evenly."""

_MODES = (("frame", "Frame"), ("flow", "Flow"), ("overlay", "Overlay"), ("split", "Split"))
_KEYS = (
    ("Space", "play or pause"),
    ("← →", "one field"),
    ("Page ↑ ↓", "ten fields"),
    ("Home End", "ends"),
    ("1 2 3 4", "frame, flow, overlay, split"),
    ("A", "arrows"),
)


def build_page(
    clip: Clip,
    *,
    chosen: range | None = None,
    fields: int = FIELDS,
    scale: float | None = None,
    back: str | None = None,
) -> str:
    """Return the page of a clip.

    Parameters
    ----------
    clip : Clip
    chosen : range, optional
        The fields to show; all by default.
    fields : int
        Most fields that the page holds.
    scale : float, optional
        Speed of full colour, px/frame; chosen for the clip by default.
    back : str, optional
        Address of the index that the page belongs to.
    """
    chosen = range(clip.num_fields) if chosen is None else chosen
    kept = sample_fields(clip, chosen, most=fields)
    scale = find_scale(clip, WHEEL, chosen) if scale is None else scale
    data = _data(clip, kept, scale)
    stride = data["stride"]
    note = f"{len(kept)} of {len(chosen)} fields"
    if stride > 1:
        note += f", the values of every {_ordinal(stride)} pixel in both directions"
    script = Markup(json.dumps(data, separators=(",", ":")).replace("</", "<\\/"))
    return document(
        f"{clip.name}: flow",
        _header(clip, note, back),
        element(
            "div",
            element(
                "div",
                _stage(clip.size),
                _controls(scale),
                _time(len(kept)),
                style="min-width:0",
            ),
            element("aside", _side()),
            draw_origin(clip),
            class_="layout",
        ),
        element("footer", f"flowstream {__version__}. This file needs no network."),
        element("script", script, type="application/json", id="data"),
        styles=_resource("page.css"),
        script=_resource("page.js"),
        class_="viewer",
    )


def _resource(name: str) -> str:
    return files("flowstream.view").joinpath(name).read_text(encoding="utf-8")


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def _data(clip: Clip, kept: list[int], scale: float) -> dict[str, Any]:
    samples = sample_values(clip, kept)
    images, ends = sample_images(clip, kept)
    fields = (clip.field(k) for k in kept)
    speeds = [np.hypot(*vectors[:, known(vectors)]) for vectors in fields]
    span = clip.times[kept[-1]] - clip.times[kept[0]]
    return {
        "name": clip.name,
        "rows": clip.size[0],
        "columns": clip.size[1],
        "gridRows": samples.grid[0],
        "gridColumns": samples.grid[1],
        "stride": samples.stride,
        "offset": samples.offset,
        "wide": samples.table is None,
        "table": samples.table,
        "step": samples.step,
        "scale": float(f"{scale:.3g}"),
        "wheel": colour_wheel().tolist(),
        "fields": [k + clip.skipped for k in kept],
        "frames": [clip.frames[k] for k in kept],
        "times": [round(clip.times[k], 4) for k in kept],
        "timed": clip.is_timed,
        "rate": clip.fields_per_second,
        "pace": (len(kept) - 1) / span if span > 0 else 12.0,
        "mean": [round(float(one.mean()), 4) if one.size else 0.0 for one in speeds],
        "p95": [round(float(np.percentile(one, 95)), 4) if one.size else 0.0 for one in speeds],
        "frameEnds": ends,
        "images": as_text(images),
        "codes": as_text(samples.packed),
    }


def _header(clip: Clip, note: str, back: str | None) -> Markup:
    link = element("p", element("a", "← all clips", href=back), class_="note") if back else ""
    rows, columns = clip.size
    lead = [f"{columns}×{rows}", clip.method, note]
    return element(
        "header",
        link,
        element("h1", clip.name),
        element("p", "  ·  ".join(filter(None, lead)), class_="soft note"),
    )


def _stage(size: Size) -> Markup:
    # a tall clip must fit on the screen
    width = f"max-width:max(6rem,calc(85vh*{size[1]}/{size[0]}))"
    return element(
        "div",
        element(
            "div",
            element("canvas", id="picture", role="img", aria_label="Frame and flow of the field"),
            element("div", id="divider", class_="divider"),
            element("span", "frame", id="label-left", class_="label left"),
            element("span", "flow", id="label-right", class_="label right"),
            class_="stage",
            style=width,
        ),
        element("div", id="reading", class_="reading", aria_live="off"),
    )


def _controls(scale: float) -> Markup:
    modes = [
        element("button", title, type="button", data_mode=mode, aria_pressed="false")
        for mode, title in _MODES
    ]
    speeds = [
        element("option", f"{text} ×", value=text, **({"selected": ""} if text == "1" else {}))
        for text in ("0.1", "0.25", "0.5", "1", "2")
    ]
    split = element("input", id="split", type="range", min=0, max=100, value=50, step=1)
    number = element(
        "input", id="scale", type="number", min=0, step="any", value=format_scale(scale)
    )
    return Markup(
        element(
            "div",
            element("button", "Play", type="button", id="play", aria_pressed="false"),
            element("div", modes, class_="group", role="group", aria_label="View"),
            element("button", "Arrows", type="button", id="arrows", aria_pressed="false"),
            element("label", "Speed", element("select", speeds, id="speed")),
            element("label", "Full colour", number, "px/frame"),
            class_="controls",
        )
        + element(
            "div",
            element("label", "Split", split, id="split-label", style="flex:1"),
            class_="controls",
        )
    )


def _time(count: int) -> Markup:
    scrubber = element(
        "input",
        id="scrubber",
        type="range",
        min=0,
        max=count - 1,
        value=0,
        aria_label="Field of the clip",
    )
    title = element(
        "h2", "Speed over time ", element("span", "mean", class_="key s0"), " ",
        element("span", "95th percentile", class_="key s1"),
    )  # fmt: skip
    keys = [(element("kbd", key), f" {text}   ") for key, text in _KEYS]
    return Markup(
        element("p", id="place", class_="note", aria_live="polite")
        + element("div", element("canvas", id="strip", aria_hidden="true"), class_="strip")
        + scrubber
        + element(
            "section",
            title,
            element("div", element("canvas", id="chart", aria_hidden="true"), class_="chart"),
            class_="panel",
        )
        + element("p", keys, class_="keys")
    )


def _side() -> Markup:
    wheel = element(
        "section",
        element("h2", "Colours"),
        element(
            "div",
            element("canvas", id="wheel", aria_hidden="true"),
            element("p", "Hue is the direction of motion. White is still, the rim has the speed of "
            "full colour; faster is darker."),
            class_="wheel",
        ),
        class_="panel",
    )  # fmt: skip
    histograms = [
        element(
            "section",
            element("h2", title),
            element("canvas", id=name, role="img", aria_label=title),
            class_="panel",
        )
        for name, title in (
            ("speeds", "Speeds of this field (square root of the count)"),
            ("directions", "Directions of this field, weighted by speed"),
        )
    ]
    return Markup("".join([wheel, *histograms]))
