"""Channels that are derived from flow: one function and one line in `CHANNELS` for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flowstream.flow import motion
from flowstream.plugins import Plugins
from flowstream.types import Vectors

Derive: TypeAlias = Callable[[Vectors], NDArray[np.float32]]
"""Function from flow fields (..., 2, H, W) to one channel (..., H, W)."""

CHANNELS: Plugins[Derive] = Plugins(
    "flow channel",
    {
        "magnitude": f"{__name__}:compute_magnitude",
        "strain": f"{__name__}:compute_strain",
        "divergence": "flowstream.flow.motion:divergence",
        "curl": "flowstream.flow.motion:curl",
    },
)
"""Derived channels by name."""


def compute_magnitude(vectors: Vectors) -> NDArray[np.float32]:
    """Return the length of each vector, in pixels per frame step."""
    magnitude: NDArray[np.float32] = np.hypot(vectors[..., 0, :, :], vectors[..., 1, :, :])
    return magnitude


def compute_strain(vectors: Vectors) -> NDArray[np.float32]:
    """Return the magnitude of the optical strain of a field, in 1 / frame step.

    The strain tensor is the symmetric part of the gradient; its magnitude is the square root of
    the sum of its four squared entries. It measures the deformation of the face in
    micro-expressions (Shreve et al. 2011, doi:10.1109/FG.2011.5771451; Liong et al. 2014,
    doi:10.1109/ISPACS.2014.7024448).
    """
    gradient = motion.gradient(vectors)
    along_x, along_y = gradient[..., 0, 0, :, :], gradient[..., 1, 1, :, :]
    shear = (gradient[..., 0, 1, :, :] + gradient[..., 1, 0, :, :]) / 2
    strain: NDArray[np.float32] = np.sqrt(along_x**2 + along_y**2 + 2 * shear**2)
    return strain.astype(np.float32, copy=False)
