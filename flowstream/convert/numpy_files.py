"""NumPy files: the flow alone as `.npy`, or with frames and times as `.npz`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flowstream.convert.format import Format
from flowstream.store import Stack


@dataclass(frozen=True)
class Npy(Format):
    """Array `(T-1, 2, H, W)` of float32 pixels, written field by field."""

    name: ClassVar[str] = "npy"
    suffix: ClassVar[str] = ".npy"

    def find_difference(self, stack: Stack, target: Path) -> str:
        """Return how an existing array differs in shape."""
        try:
            shape = np.load(target, mmap_mode="r").shape
        except ValueError:
            return "is no array"
        expected = (stack.num_fields, 2, *stack.size)
        return "" if shape == expected else f"has shape {shape}, expected {expected}"

    def write(self, stack: Stack, target: Path) -> None:
        """Write the array."""
        shape = (stack.num_fields, 2, *stack.size)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with target.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for vectors in stack.fields():
                file.write(np.ascontiguousarray(vectors, "<f4").tobytes())


@dataclass(frozen=True)
class Npz(Format):
    """Archive of `flow` `(T-1, 2, H, W)`, `frame` and `time` `(T,)`; needs memory for the flow."""

    name: ClassVar[str] = "npz"
    suffix: ClassVar[str] = ".npz"

    def write(self, stack: Stack, target: Path) -> None:
        """Write the archive."""
        flow = stack.window(0, stack.num_fields).reshape(-1, 2, *stack.size)
        with target.open("wb") as file:
            np.savez_compressed(file, flow=flow, frame=stack.frame_index, time=stack.time)
