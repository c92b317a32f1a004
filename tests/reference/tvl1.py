"""TV-L1 as the papers write it, in plain numpy and float64: slow, and short enough to be checked.

Everything works on whole arrays of one image; nothing is shared with flowstream. Letters are the
papers': u flow (2, H, W), p dual variables (2, 2, H, W) by component and direction, rho the
brightness difference linearised at the last warp.

[Z] Zach, Pock & Bischof 2007; [S] Sanchez Perez, Meinhardt-Llopis & Facciolo, IPOL 2013;
[CP] Chambolle & Pock 2011; [W] Wedel et al. 2009; [SRB] Sun, Roth & Black 2010.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.tvl1_images import (
    Array,
    Settings,
    central,
    divergence,
    enlarge,
    forward,
    pyramid,
    shifted,
    texture,
)


def flow(first: NDArray[np.uint8], second: NDArray[np.uint8], settings: Settings) -> Array:
    """(2, H, W): [S] algorithm 2, the pyramid from coarse to fine."""
    guides = pyramid(first.astype(float), settings)
    firsts, seconds = guides, pyramid(second.astype(float), settings)
    if settings.texture > 0:
        firsts = pyramid(texture(first.astype(float), settings), settings)
        seconds = pyramid(texture(second.astype(float), settings), settings)
    u = np.zeros((2, *guides[-1].shape))
    for level in reversed(range(len(guides))):
        u = enlarge(u, guides[level].shape, settings)
        u = refine(u, firsts[level], seconds[level], guides[level], level, settings)
    return u


def refine(
    u: Array, first: Array, second: Array, guide: Array, level: int, settings: Settings
) -> Array:
    """[S] algorithm 1: warps, and the iterations between them; p is 0 at the start of a level."""
    p = np.zeros((2, 2, *first.shape))
    weight = conductance(guide, settings.edge_contrast)
    warps = min(settings.warps, settings.finest_warps + level)
    for warp in range(warps):
        gradient, constant = linearise(first, second, u, settings)
        change = np.inf
        for _ in range(settings.outer_iterations):
            if settings.scheme == "separate":
                u, p, change = alternate(u, p, gradient, constant, change, settings)
                continue
            u, p = primal_dual(u, p, gradient, constant, weight, settings)
            if level < settings.weighted_levels and warp >= warps - settings.weighted_warps:
                trust = confidence(u, gradient, constant)
                u = weighted_median(u, guide, trust, settings.weighted_median // 2)
            elif settings.median_filter:
                u = median(u, settings.median_filter // 2)
    return u


# --- the two schemes ------------------------------------------------------------------------------


def alternate(
    u: Array, p: Array, gradient: Array, constant: Array, change: float, settings: Settings
) -> tuple[Array, Array, float]:
    """[Z] equations 9-12 = [S] equations 14, 16, 17, as OpenCV groups them; tested every 5."""
    theta, step = settings.tightness, settings.time_step / settings.tightness
    if change <= settings.tolerance**2:
        return u, p, change
    if settings.median_filter:
        u = median(u, settings.median_filter // 2)
    for iteration in range(settings.inner_iterations):
        v = u + threshold(u, gradient, constant, settings.attachment * theta)
        before, u = u, v + theta * divergence(p)
        change = float(((u - before) ** 2).sum(0).mean())
        slope = forward(u)
        length = np.sqrt((slope**2).sum(1, keepdims=True))
        p = (p + step * slope) / (1 + step * length)
        if (iteration + 1) % 5 == 0 and change <= settings.tolerance**2:
            break
    return u, p, change


def primal_dual(
    u: Array, p: Array, gradient: Array, constant: Array, weight: Array, settings: Settings
) -> tuple[Array, Array]:
    """[CP] algorithm 1 with the proximal maps of section 6.4.2; one unit ball for all of p."""
    tau = settings.tightness
    sigma = settings.time_step / settings.tightness
    for _ in range(settings.inner_iterations):
        moved = u + tau * divergence(p)
        new = moved + threshold(moved, gradient, constant, settings.attachment * tau)
        p = p + sigma * forward(2 * new - u)
        length = np.sqrt((p**2).sum((0, 1)))
        p = p * np.minimum(1, weight / np.maximum(length, 1e-6))
        u = new
    return u, p


def threshold(u: Array, gradient: Array, constant: Array, bound: float) -> Array:
    """[Z] proposition 3 = [S] equation 15: what TH adds to u."""
    rho = constant + (gradient * u).sum(0)
    square = (gradient**2).sum(0)
    step = np.clip(-rho / (square + 1e-6), -bound, bound)
    moved: Array = step * gradient
    return moved


# --- the data term --------------------------------------------------------------------------------


def linearise(first: Array, second: Array, u: Array, settings: Settings) -> tuple[Array, Array]:
    """rho(u) = constant + gradient · u around the given u: [S] equation 8."""
    black = settings.outside == "black"
    warped = bicubic(second, u, settings)
    if settings.gradients == "blended":
        mean = (first + warped) / 2
        gradient = np.stack([five_points(mean, axis) for axis in (1, 0)])
    else:
        slopes = (central(second, axis) for axis in (1, 0))
        gradient = np.stack([bicubic(slope, u, settings) for slope in slopes])
    constant = warped - first - (gradient * u).sum(0)
    if not black:
        x, y = positions(u)
        rows, columns = first.shape
        seen = (x >= 0) & (y >= 0) & (x <= columns - 1) & (y <= rows - 1)
        gradient, constant = gradient * seen, constant * seen
    return gradient, constant


def positions(u: Array) -> tuple[Array, Array]:
    rows, columns = u.shape[1:]
    y, x = np.mgrid[:rows, :columns]
    return x + u[0], y + u[1]


def bicubic(image: Array, u: Array, settings: Settings) -> Array:
    """The image at x + u by Keys' kernel; outside is 0, or its nearest pixel."""
    rows, columns = image.shape
    x, y = positions(u)
    # A pixel further out has only zeros around it.
    reach = 1 if settings.outside == "black" else 0
    x, y = np.clip(x, -reach, columns - 1 + reach), np.clip(y, -reach, rows - 1 + reach)
    left, above = np.floor(x).astype(int), np.floor(y).astype(int)
    mode: Any = "constant" if settings.outside == "black" else "edge"
    padded = np.pad(image, 4, mode=mode)
    result = np.zeros_like(image)
    for dy in range(-1, 3):
        for dx in range(-1, 3):
            share = keys(above + dy - y, settings.cubic) * keys(left + dx - x, settings.cubic)
            result += share * padded[above + dy + 4, left + dx + 4]
    return result


def keys(distance: Array, a: float) -> Array:
    """R. Keys, "Cubic convolution interpolation" (1981), equation 4."""
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def five_points(image: Array, axis: int) -> Array:
    """(1, -8, 0, 8, -1) / 12; borders repeat."""
    shift = shifted(image, axis, 2)
    return (8 * (shift[3] - shift[1]) - (shift[4] - shift[0])) / 12


def conductance(guide: Array, contrast: float) -> Array:
    """Perona & Malik 1990, equation 10 b, of Sobel's derivatives; 1 where contrast is 0."""
    if contrast == 0:
        return np.ones_like(guide)
    square = np.zeros_like(guide)
    for axis in (0, 1):
        slope = central(guide, axis)
        before, here, after = shifted(slope, 1 - axis, 1)
        square += ((before + 2 * here + after) / 4) ** 2
    return 1 / (1 + square / contrast**2)


# --- medians --------------------------------------------------------------------------------------


def windows(image: Array, radius: int) -> Array:
    """((2 radius + 1)^2, H, W): each pixel's neighbours; borders repeat."""
    return np.stack(
        [column for row in shifted(image, 0, radius) for column in shifted(row, 1, radius)]
    )


def median(u: Array, radius: int) -> Array:
    """[W] section 4.4: of each component."""
    return np.stack([np.median(windows(component, radius), axis=0) for component in u])


def weighted_median(u: Array, guide: Array, trust: Array, radius: int) -> Array:
    """[SRB] equation 11: the value that halves the neighbours' weight, by sorting.

    Every second neighbour counts. Where all neighbours agree to 1/4 px, the plain median ([SRB]
    section 5 uses weights near motion boundaries only).
    """
    offsets = np.arange(-radius, radius + 1)
    distance = (offsets[:, None] ** 2 + offsets**2).reshape(-1, 1, 1)
    unlike = windows(guide, radius) - guide
    exponent = distance / (2 * 7.0**2) + unlike**2 / (2 * 20.0**2)
    weight = (bell(exponent) * windows(trust, radius))[::2]
    result = np.empty_like(u)
    for component, target in zip(u, result, strict=True):
        values = windows(component, radius)[::2]
        order = values.argsort(0)
        share = np.take_along_axis(weight, order, 0).cumsum(0)
        place = (share >= share[-1] / 2).argmax(0)
        target[:] = np.take_along_axis(np.take_along_axis(values, order, 0), place[None], 0)[0]
    spread = np.stack([np.ptp(windows(component, radius), axis=0) for component in u]).max(0)
    return np.where(spread > 0.25, result, median(u, 2))


def bell(exponent: Array) -> Array:
    """exp(-t), for which flowstream takes (1 - t/8)^8 cut at 0."""
    return np.maximum(1 - exponent / 8, 0) ** 8


def confidence(u: Array, gradient: Array, constant: Array) -> Array:
    """[SRB] equation 12: occlusion by converging flow and by a difference of brightness."""
    rho = constant + (gradient * u).sum(0)
    sink = np.minimum(central(u[0], 1) + central(u[1], 0), 0)
    return bell(rho**2 / (2 * 20.0**2) + sink**2 / (2 * 0.3**2)) + 0.01
