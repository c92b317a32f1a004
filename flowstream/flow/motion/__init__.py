"""Operations on flow fields, and warping of images and points by flow fields.

The functions do not modify their arguments. An operation whose result may have gaps returns
`(result, mask)`; the result is 0 where the mask is False. Unknown vectors are NaN, as in the result
of `read_flow`.
"""

from __future__ import annotations

from flowstream.flow.motion.checks import check_field
from flowstream.flow.motion.composition import compose, consistency, invert
from flowstream.flow.motion.derivatives import (
    boundaries,
    boundary_strength,
    curl,
    divergence,
    gradient,
)
from flowstream.flow.motion.geometry import (
    Axis,
    crop,
    flip,
    quarter_turn,
    resize_field,
    rotate,
    transpose,
)
from flowstream.flow.motion.homography import homography_field, residual, with_camera
from flowstream.flow.motion.interpolation import Interpolation
from flowstream.flow.motion.paths import along_trajectories, trajectories
from flowstream.flow.motion.warping import splat, warp

__all__ = [
    "Axis",
    "Interpolation",
    "along_trajectories",
    "boundaries",
    "boundary_strength",
    "check_field",
    "compose",
    "consistency",
    "crop",
    "curl",
    "divergence",
    "flip",
    "gradient",
    "homography_field",
    "invert",
    "quarter_turn",
    "residual",
    "resize_field",
    "rotate",
    "splat",
    "trajectories",
    "transpose",
    "warp",
    "with_camera",
]
