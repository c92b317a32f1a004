"""Where to compute, and in what precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch


def half_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where CUDA has it, for its range needs no scaling; else float16."""
    supported = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if supported else torch.float16


def autocast(device: torch.device, amp: bool) -> AbstractContextManager[None]:
    """Half precision on CUDA if `amp`, float32 elsewhere."""
    enabled = amp and device.type == "cuda"
    return torch.autocast(device.type, dtype=half_precision(device), enabled=enabled)


def reading_workers(workers: int | None, device: torch.device) -> int:
    """How many processes read clips; by default none where the CPU has the network to compute."""
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)
