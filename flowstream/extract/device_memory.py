"""Copies between the host and a device that overlap with the device's computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Wait = Callable[[], None]


class DeviceMemory:
    """Memory of one device; on CUDA, copies in and out have a stream each.

    Parameters
    ----------
    device : str
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._is_cuda = self.device.type == "cuda"
        if self._is_cuda:
            torch.cuda.set_device(self.device)
            stream: Any = torch.cuda.Stream
            self._inward, self._outward = stream(self.device), stream(self.device)

    def allocate(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return memory of the host that the device can copy by itself."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=self._is_cuda)

    def upload(self, parts: Sequence[Tensor], length: int) -> Tensor:
        """Copy parts to one tensor of the device, which has at least `length` entries.

        What follows on the current stream waits for the copies, the caller does not.
        """
        shape = (max(length, sum(map(len, parts))), *parts[0].shape[1:])
        result = torch.empty(shape, dtype=parts[0].dtype, device=self.device)
        if not self._is_cuda:
            self._copy(parts, result)
            return result
        current = torch.cuda.current_stream()
        # The allocator may give memory that the current stream still uses.
        self._inward.wait_stream(current)
        with torch.cuda.stream(self._inward):
            self._copy(parts, result)
        result.record_stream(self._inward)
        current.wait_stream(self._inward)
        return result

    def _copy(self, parts: Sequence[Tensor], target: Tensor) -> None:
        start = 0
        for part in parts:
            target[start : start + len(part)].copy_(part, non_blocking=True)
            start += len(part)

    def download(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Wait]:
        """Copy tensors to the host; they are complete after the returned function."""
        if not self._is_cuda:
            return [tensor.cpu() for tensor in tensors], lambda: None
        self._outward.wait_stream(torch.cuda.current_stream())
        copies = []
        with torch.cuda.stream(self._outward):
            for tensor in tensors:
                copy = self.allocate(tensor.shape, tensor.dtype)
                copy.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._outward)
                copies.append(copy)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        return copies, event.synchronize

    def is_broken(self) -> bool:
        """Return True if an error has made the device unusable for this process."""
        if not self._is_cuda:
            return False
        try:
            torch.cuda.synchronize(self.device)
        except RuntimeError:
            return True
        return False
