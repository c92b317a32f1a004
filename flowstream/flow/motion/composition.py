"""Fields one after the other, back again, and where there and back agree."""

from __future__ import annotations

import numpy as np

from flowstream.errors import ParameterError
from flowstream.flow.motion.checks import check_field, check_same_shape
from flowstream.flow.motion.interpolation import Mask, inside, sample, sample_known, targets
from flowstream.flow.motion.warping import splat_planes
from flowstream.types import Vectors


def compose(first: Vectors, second: Vectors) -> tuple[Vectors, Mask]:
    """The flow over two steps: from frame 0 to 1, and from there to 2.

    Parameters
    ----------
    first, second : (2, H, W), float32
        Frame 0 to 1, and frame 1 to 2; pixels.

    Returns
    -------
    composed : (2, H, W), float32
        first(p) + second(p + first(p)), bilinear between pixels; 0 where that is not valid.
    valid : (H, W), bool
        Where p + first(p) lies inside frame 1, and both vectors are known.

    Raises
    ------
    ShapeError
        If these are not two fields of one shape.
    """
    check_field(first, axes=3, name="first")
    check_field(second, axes=3, name="second")
    check_same_shape(first, second, names=("first", "second"))
    x, y = targets(first)
    valid = inside(x, y, first.shape[1:])
    x, y = np.where(valid, x, 0), np.where(valid, y, 0)
    then, known = sample_known(np.asarray(second, np.float32), x, y)
    valid &= known
    return np.where(valid, first + then, 0).astype(np.float32), valid


def invert(
    vectors: Vectors, *, tolerance: float = 0.01, iterations: int = 30
) -> tuple[Vectors, Mask]:
    """The flow from the second frame back to the first, of what the first frame shows.

    The inverse b satisfies b(q) = -f(q + b(q)). It is found by iterating just that, which converges
    where neighbours part or meet by less than a pixel a pixel (Chen et al. 2008), from what a
    splat of -f leaves at q. What the flow uncovers has no inverse, and what several motions lead to
    gets that of one of them.

    Parameters
    ----------
    vectors : (2, H, W), float32
        dx right, dy down, pixels; NaN where unknown.
    tolerance : float
        Pixels, by which q + b(q) + f(q + b(q)) may miss q. 0.01 is below what any method estimates
        or any 8-bit code tells apart.
    iterations : int
        Where it does not converge in as many, the inverse is not valid. 30 take a stretch by 1.85
        to 0.01 px from one pixel off.

    Returns
    -------
    inverse : (2, H, W), float32
        0 where it is not valid.
    valid : (H, W), bool
        Where a pixel of the second frame was seen in the first.

    Raises
    ------
    ShapeError
        If `vectors` is not one field.
    ParameterError
        If `tolerance` is not above 0, or `iterations` below 1.

    References
    ----------
    M. Chen, W. Lu, Q. Chen, K. Ruchala, G. Olivera, "A simple fixed-point approach to invert a
    deformation field", Medical Physics 35(1), 2008. doi:10.1118/1.2816107
    """
    check_field(vectors, axes=3)
    if not tolerance > 0:
        raise ParameterError(f"tolerance: got {tolerance}, expected pixels, above 0")
    if iterations < 1:
        raise ParameterError(f"iterations: got {iterations}, expected at least 1")
    field = np.asarray(vectors, np.float32)
    rows, columns = size = field.shape[1:]
    start, landed = splat_planes(-field, field)
    found = np.where(landed, start, np.nan_to_num(-field, posinf=0, neginf=0)).reshape(2, -1)
    valid = np.zeros(rows * columns, np.bool_)
    open_places = np.arange(rows * columns)
    for _ in range(iterations):
        here = found[:, open_places]
        x, y = open_places % columns + here[0], open_places // columns + here[1]
        there, known = sample_known(field, x, y)
        # what it misses q by, too: q + here is where it starts, -there is how far back it goes
        done = known & (np.square(here + there).sum(axis=0) <= tolerance**2)
        valid[open_places[done & inside(x, y, size)]] = True
        found[:, open_places[~done]] = -there[:, ~done]
        open_places = open_places[~done]
        if not len(open_places):
            break
    inverse = np.where(valid, found, 0).astype(np.float32)
    return inverse.reshape(2, rows, columns), valid.reshape(rows, columns)


def consistency(forward: Vectors, backward: Vectors) -> Mask:
    """Where the flow back from where a pixel went returns to it: not covered, not lost.

    With w the forward flow and w' the backward flow at the end of w (bilinear), a pixel is
    consistent if |w + w'|^2 < 0.01 (|w|^2 + |w'|^2) + 0.5, and w ends inside the frame.

    Parameters
    ----------
    forward, backward : (..., 2, H, W), float32
        First to second frame, and second to first; pixels.

    Returns
    -------
    (..., H, W), bool

    Raises
    ------
    ShapeError
        If these are not two such fields of one shape.

    References
    ----------
    N. Sundaram, T. Brox, K. Keutzer, "Dense Point Trajectories by GPU-Accelerated Large
    Displacement Optical Flow", ECCV 2010, section 3. doi:10.1007/978-3-642-15549-9_32
    """
    check_field(forward, name="forward")
    check_field(backward, name="backward")
    check_same_shape(forward, backward, names=("forward", "backward"))
    field = forward.shape[-3:]
    consistent = np.empty((*forward.shape[:-3], *field[1:]), np.bool_)
    for there, back, target in zip(
        forward.reshape(-1, *field),
        backward.reshape(-1, *field),
        consistent.reshape(-1, *field[1:]),
        strict=True,
    ):
        x, y = targets(there)
        valid = inside(x, y, field[1:])
        returned = sample(
            np.asarray(back, np.float32), np.where(valid, x, 0), np.where(valid, y, 0)
        )
        gap = np.square(there + returned).sum(axis=0)
        length = np.square(there).sum(axis=0) + np.square(returned).sum(axis=0)
        # an unknown vector makes NaN, which is not below anything
        target[:] = valid & (gap < 0.01 * length + 0.5)
    return consistent
