"""Operations on flow fields that keep them flow fields, and what fields do to images and points.

Nothing here writes into an argument. An operation that can leave gaps returns `(result, mask)`:
where the mask is False, the result is 0. Unknown vectors are NaN, as `read_flow` gives them.
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
