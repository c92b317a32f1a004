"""Checks of numbers against their ranges, with one wording for all parameters."""

from __future__ import annotations

import math

from flowstream.errors import ParameterError


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise `ParameterError` if a number is below `least`, or not a number."""
    if not value >= least:
        raise ParameterError(f"{name}: expected at least {least}, got {value}")


def check_between(name: str, value: float, bounds: tuple[float, float]) -> None:
    """Raise `ParameterError` if a number is outside `bounds`, both of which are allowed."""
    least, most = bounds
    if not least <= value <= most:
        raise ParameterError(f"{name}: expected {least} to {most}, got {value}")


def check_positive(name: str, value: float) -> None:
    """Raise `ParameterError` if a number is not finite and above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"{name}: expected a positive number, got {value}")
