"""Spatial derivatives of fields: gradient, divergence, curl and motion boundaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ShapeError
from flowstream.flow.motion.checks import check_field
from flowstream.flow.motion.interpolation import Mask
from flowstream.types import Vectors


def gradient(vectors: Vectors) -> NDArray[np.float32]:
    """Return the spatial derivatives of a flow field: its Jacobian at each pixel.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., 2, 2, H, W), float32
        [[d dx / dx, d dx / dy], [d dy / dx, d dy / dy]] in pixels per pixel, by central
        differences, one-sided at the border. The neighbours of unknown vectors (NaN) are NaN too.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or a side is below 2.
    """
    check_field(vectors)
    for axis, side in zip(("rows", "columns"), vectors.shape[-2:], strict=True):
        if side < 2:
            raise ShapeError(f"vectors: expected at least 2 {axis} to differentiate, got {side}")
    field = np.asarray(vectors, np.float32)
    along_y, along_x = np.gradient(field, axis=(-2, -1))
    return np.stack([along_x, along_y], axis=-3)


def divergence(vectors: Vectors) -> NDArray[np.float32]:
    """Return the divergence, d dx / dx + d dy / dy: the relative growth of areas.

    The divergence of a zoom by a factor s is 2 (s - 1). Errors are those of `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., H, W), float32
        Pixels per pixel.
    """
    jacobian = gradient(vectors)
    grown: NDArray[np.float32] = jacobian[..., 0, 0, :, :] + jacobian[..., 1, 1, :, :]
    return grown


def curl(vectors: Vectors) -> NDArray[np.float32]:
    """Return the curl, d dy / dx - d dx / dy, positive for clockwise rotation.

    The curl of a rotation by an angle a is 2 sin(a). Errors are those of `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., H, W), float32
        Pixels per pixel.
    """
    jacobian = gradient(vectors)
    turned: NDArray[np.float32] = jacobian[..., 1, 0, :, :] - jacobian[..., 0, 1, :, :]
    return turned


def boundary_strength(vectors: Vectors) -> NDArray[np.float32]:
    """Return the magnitude of the flow gradient at each pixel.

    Errors are those of `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., H, W), float32
        sqrt(|grad dx|^2 + |grad dy|^2), in pixels per pixel.
    """
    jacobian = gradient(vectors)
    squares: NDArray[np.float32] = np.einsum("...ijyx,...ijyx->...yx", jacobian, jacobian)
    return np.sqrt(squares)


def boundaries(vectors: Vectors) -> Mask:
    """Return a mask of motion boundaries, where points cannot be tracked reliably.

    Errors are those of `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., H, W), bool
        True where |grad dx|^2 + |grad dy|^2 > 0.01 |w|^2 + 0.002.

    References
    ----------
    N. Sundaram, T. Brox, K. Keutzer, "Dense Point Trajectories by GPU-Accelerated Large
    Displacement Optical Flow", ECCV 2010, section 3. doi:10.1007/978-3-642-15549-9_32
    """
    strength = boundary_strength(vectors)
    speed = np.square(np.asarray(vectors, np.float32)).sum(axis=-3)
    edges: Mask = np.square(strength) > 0.01 * speed + 0.002
    return edges
