"""Pictures, films, pages and measures of flow, made from stacks.

`STYLES` is the table of drawing styles; `draw_panel` draws one with caption and legend.
Everything here is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import Plugins, lazy_attributes

if TYPE_CHECKING:
    from flowstream.view.clip import Clip, open_clip
    from flowstream.view.film import write_film
    from flowstream.view.moment import Moment, Style
    from flowstream.view.panel import draw_panel
    from flowstream.view.scale import find_scale

STYLES: Plugins[Style] = Plugins(
    "style",
    {
        "wheel": "flowstream.view.styles.wheel:WHEEL",
        "arrows": "flowstream.view.styles.arrows:ARROWS",
        "hsv": "flowstream.view.styles.hsv:HSV",
        "magnitude": "flowstream.view.styles.magnitude:MAGNITUDE",
        "dxdy": "flowstream.view.styles.dxdy:DXDY",
        "overlay": "flowstream.view.styles.overlay:OVERLAY",
        "warp-error": "flowstream.view.styles.warp_error:WARP_ERROR",
        "trajectories": "flowstream.view.styles.trajectories:TRAJECTORIES",
        "streamlines": "flowstream.view.styles.streamlines:STREAMLINES",
        "strain": "flowstream.view.styles.strain:STRAIN",
    },
)
"""Ways to draw a flow field, by name; one file each."""

_LAZY = {
    "Clip": "flowstream.view.clip",
    "Moment": "flowstream.view.moment",
    "Style": "flowstream.view.moment",
    "draw_panel": "flowstream.view.panel",
    "find_scale": "flowstream.view.scale",
    "open_clip": "flowstream.view.clip",
    "write_film": "flowstream.view.film",
}

__all__ = [
    "STYLES",
    "Clip",
    "Moment",
    "Style",
    "draw_panel",
    "find_scale",
    "open_clip",
    "write_film",
]


__getattr__ = lazy_attributes(__name__, _LAZY)
