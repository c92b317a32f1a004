"""The precision of a device."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def half_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 if CUDA supports it, because its range needs no scaling; else float16."""
    supported = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if supported else torch.float16


def autocast(device: torch.device, amp: bool) -> AbstractContextManager[None]:
    """Return a context of half precision on CUDA if `amp` is true, otherwise of float32."""
    enabled = amp and device.type == "cuda"
    return torch.autocast(device.type, dtype=half_precision(device), enabled=enabled)
