"""The difference that remains when the second frame is warped back along the flow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.flow import motion
from flowstream.flow.method import as_luma
from flowstream.types import Images
from flowstream.view.legends import bar_legend, format_scale
from flowstream.view.moment import Moment, Style
from flowstream.view.styles.maps import colour, sequential


def measure(moment: Moment) -> NDArray[np.float32]:
    """Return |first − warped second| of luma, in grey levels; 0 where the flow leaves the frame."""
    assert moment.first is not None
    assert moment.second is not None
    first, second = as_luma(np.stack([moment.first, moment.second]))
    warped, inside = motion.warp(second, moment.whole_vectors)
    return np.where(inside, cv2.absdiff(warped, first), 0).astype(np.float32)


def draw(moment: Moment) -> Images:
    """Draw the error: black is none, bright is large."""
    return moment.enlarge(
        colour(measure(moment), sequential("inferno"), low=0.0, high=moment.scale)
    )


def legend(scale: float, height: int) -> Images:
    """Return the bar of grey levels."""
    ends = ("0", format_scale(scale / 2), format_scale(scale))
    return bar_legend(sequential("inferno"), ends, height, unit="grey levels")


WARP_ERROR = Style(
    draw=draw,
    measure=measure,
    legend=legend,
    unit="grey levels",
    beyond="as the top",
    colours="black no error, yellow a large error",
    needs_frames=True,
    # what an 8-bit image shows as noise is not drawn as an error
    floor=8.0,
)
