"""Which torch device a name stands for; the one part of the lowest layer that loads torch."""

from __future__ import annotations

import torch

from flowstream.errors import ParameterError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else MPS, else the CPU.

    Raises
    ------
    ParameterError
        If it is not a device, or not here.
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
