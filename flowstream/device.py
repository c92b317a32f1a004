"""Choice of a torch device by name; the only module of the lowest layer that loads torch."""

from __future__ import annotations

import torch

from flowstream.errors import ParameterError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; `auto` is CUDA if available, else MPS, else the CPU.

    Raises
    ------
    ParameterError
        If the name is not a device, or the device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ParameterError(
            f"device: got {name!r}, expected auto, cpu, cuda, cuda:N or mps; "
            f"device {name!r} does not work here: {reason}"
        ) from error
    return device


def list_devices(name: str = "auto") -> list[torch.device]:
    """Return the devices of a name: like `choose_device`, but "cuda" is all GPUs.

    Raises
    ------
    ParameterError
        If the name is not a device, or the device is not available.
    """
    device = choose_device(name)
    if str(device) != "cuda" or torch.cuda.device_count() < 2:
        return [device]
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
