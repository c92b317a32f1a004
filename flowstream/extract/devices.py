"""Devices of flow methods."""

from __future__ import annotations

import dataclasses

from flowstream.errors import ParameterError
from flowstream.flow import FlowMethod


def on_device(method: FlowMethod, device: str) -> FlowMethod:
    """Return the method with another device.

    Raises
    ------
    ParameterError
        If the method has no device to choose, or the device cannot be used here.
    """
    if not any(field.name == "device" for field in dataclasses.fields(method)):  # type: ignore[arg-type]
        raise ParameterError(
            f"device {device!r}: flow method {method.name!r} computes only on the CPU"
        )
    return dataclasses.replace(method, device=device)  # type: ignore[type-var]
