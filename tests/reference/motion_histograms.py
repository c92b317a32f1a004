"""Votes of motion histograms pixel by pixel, from the equations: the oracle of the fast ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def vote(vector: tuple[float, float], bins: int) -> list[float]:
    """Share the length of one vector among the two bins nearest to its angle."""
    length, angle = math.hypot(*vector), math.atan2(vector[1], vector[0]) % (2 * math.pi)
    place = angle / (2 * math.pi) * bins
    low = math.floor(place)
    votes = [0.0] * bins
    votes[low % bins] += length * (1 - (place - low))
    votes[(low + 1) % bins] += length * (place - low)
    return votes


def flow_histogram(field: Field, bins: int, *, still: float) -> list[float]:
    """Return the mean votes of a field (2, H, W) and, last, the fraction of still pixels."""
    rows, columns = field.shape[1:]
    total = np.zeros(bins + 1)
    for y in range(rows):
        for x in range(columns):
            vector = (float(field[0, y, x]), float(field[1, y, x]))
            if math.hypot(*vector) < still:
                total[bins] += 1
            else:
                total[:bins] += vote(vector, bins)
    return list(total / (rows * columns))


def boundary_histogram(component: Field, bins: int) -> list[float]:
    """Return the mean votes of the central differences of one component (H, W)."""
    rows, columns = component.shape
    total = np.zeros(bins)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            right = float(component[y, x + 1] - component[y, x - 1]) / 2
            down = float(component[y + 1, x] - component[y - 1, x]) / 2
            total += vote((right, down), bins)
    return list(total / (rows * columns))
