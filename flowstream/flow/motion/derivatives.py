"""How a field changes from pixel to pixel: growth, turning, and the edges of moving things."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ShapeError
from flowstream.flow.motion.checks import check_field
from flowstream.flow.motion.interpolation import Mask
from flowstream.types import Vectors


def gradient(vectors: Vectors) -> NDArray[np.float32]:
    """The spatial derivatives of a flow field: its Jacobian at each pixel.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., 2, 2, H, W), float32
        [[d dx / dx, d dx / dy], [d dy / dx, d dy / dy]], pixels a pixel: central differences,
        one-sided on the border. Unknown vectors (NaN) spread to their neighbours.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or a side is below 2.
    """
    check_field(vectors)
    for axis, side in zip(("rows", "columns"), vectors.shape[-2:], strict=True):
        if side < 2:
            raise ShapeError(f"vectors: got {side} {axis}, expected at least 2 to differentiate")
    field = np.asarray(vectors, np.float32)
    along_y, along_x = np.gradient(field, axis=(-2, -1))
    return np.stack([along_x, along_y], axis=-3)


def divergence(vectors: Vectors) -> NDArray[np.float32]:
    """By how much areas grow: d dx / dx + d dy / dy.

    2 (s - 1) where the picture is zoomed by s; raises as `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., H, W), float32
    """
    jacobian = gradient(vectors)
    grown: NDArray[np.float32] = jacobian[..., 0, 0, :, :] + jacobian[..., 1, 1, :, :]
    return grown


def curl(vectors: Vectors) -> NDArray[np.float32]:
    """By how much the picture turns: d dy / dx - d dx / dy, positive clockwise on screen.

    2 sin(a) where the picture is turned by a; raises as `gradient`.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., H, W), float32
    """
    jacobian = gradient(vectors)
    turned: NDArray[np.float32] = jacobian[..., 1, 0, :, :] - jacobian[..., 0, 1, :, :]
    return turned


def boundary_strength(vectors: Vectors) -> NDArray[np.float32]:
    """How abruptly the flow changes: the length of its gradient.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., H, W), float32
        sqrt(|grad dx|^2 + |grad dy|^2), pixels a pixel; raises as `gradient`.
    """
    jacobian = gradient(vectors)
    squares: NDArray[np.float32] = np.einsum("...ijyx,...ijyx->...yx", jacobian, jacobian)
    return np.sqrt(squares)


def boundaries(vectors: Vectors) -> Mask:
    """The edges of moving things: where points cannot be followed, for their motion is mixed.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., H, W), bool
        Where |grad dx|^2 + |grad dy|^2 > 0.01 |w|^2 + 0.002; raises as `gradient`.

    References
    ----------
    N. Sundaram, T. Brox, K. Keutzer, "Dense Point Trajectories by GPU-Accelerated Large
    Displacement Optical Flow", ECCV 2010, section 3. doi:10.1007/978-3-642-15549-9_32
    """
    strength = boundary_strength(vectors)
    speed = np.square(np.asarray(vectors, np.float32)).sum(axis=-3)
    edges: Mask = np.square(strength) > 0.01 * speed + 0.002
    return edges
