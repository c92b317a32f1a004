"""Optical strain: magnitude of stretching and shearing, which shows micro-expressions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.flow import motion
from flowstream.types import Images
from flowstream.view.legends import bar_legend, format_scale
from flowstream.view.moment import Moment, Style
from flowstream.view.styles.maps import colour, sequential


def measure(moment: Moment) -> NDArray[np.float32]:
    """Return the magnitude of the strain tensor, pixels per pixel.

    References
    ----------
    M. Shreve, S. Godavarthy, D. Goldgof, S. Sarkar, "Macro- and Micro-expression Spotting in Long
    Videos Using Spatio-temporal Strain", FG 2011. doi:10.1109/FG.2011.5771451
    """
    jacobian = motion.gradient(moment.known_vectors)
    strain = (jacobian + jacobian.swapaxes(0, 1)) / 2
    magnitude: NDArray[np.float32] = np.sqrt(np.square(strain).sum(axis=(0, 1)))
    return magnitude


def draw(moment: Moment) -> Images:
    """Draw the strain: black is rigid motion, bright is deformation."""
    return moment.enlarge(colour(measure(moment), sequential("magma"), low=0.0, high=moment.scale))


def legend(scale: float, height: int) -> Images:
    """Return the bar of strains."""
    ends = ("0", format_scale(scale / 2), format_scale(scale))
    return bar_legend(sequential("magma"), ends, height, unit="px per px")


STRAIN = Style(
    draw=draw,
    measure=measure,
    legend=legend,
    unit="px per px",
    beyond="as the top",
    colours="black rigid motion, yellow deformation",
    floor=0.005,
)
