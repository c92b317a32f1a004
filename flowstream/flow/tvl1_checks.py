"""Checks of the parameters of TV-L1."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.kernels.tvl1_parameters import CHOICES, RANGES

Precision = Literal["float32", "mixed"]
Acceleration = Literal["auto", "none", "compile", "triton"]

_CHOICES = {
    **CHOICES,
    "acceleration": get_args(Acceleration),
    "precision": get_args(Precision),
    "graphs": (False, True),
}


def check_parameter(parameter: str, value: Any) -> None:
    """Raise `ParameterError` if the value is not valid for the parameter."""
    if parameter in _CHOICES and value not in _CHOICES[parameter]:
        names = [str(choice) for choice in _CHOICES[parameter]]
        hint = did_you_mean(str(value), names)
        raise parameter_error(parameter, value, f"one of: {', '.join(names)}", hint=hint)
    if parameter in RANGES:
        low, high = RANGES[parameter]
        if not (low <= value <= high and value < math.inf):
            expected = f"at least {low}" if high == math.inf else f"{low} to {high}"
            raise parameter_error(parameter, value, expected)
    if parameter == "levels" and value != "auto" and not (isinstance(value, int) and value >= 1):
        raise parameter_error(parameter, value, "'auto' or an integer of at least 1")


def parameter_error(parameter: str, value: Any, expected: str, *, hint: str = "") -> ParameterError:
    """Return the error for an invalid value of a parameter."""
    return ParameterError(
        f"flow method 'tvl1': {parameter}: expected {expected}; got {value!r}.{hint}"
    )
