"""Sequences of flow files of the benchmarks: Middlebury `.flo` and KITTI `.png`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flowstream.convert.format import Format
from flowstream.flow.files import write_flow
from flowstream.store import Stack


@dataclass(frozen=True)
class Flo(Format):
    """Directory with a Middlebury file `00000.flo` for each field; float32, exact."""

    name: ClassVar[str] = "flo"
    suffix: ClassVar[str] = ""

    def write(self, stack: Stack, target: Path) -> None:
        """Write a file for each field, numbered from 0."""
        for k, vectors in enumerate(stack.fields()):
            write_flow(target / f"{k:05d}.flo", vectors)


@dataclass(frozen=True)
class Kitti(Format):
    """Directory with a KITTI file `000000_10.png` for each field; rounds to 1/64 pixel."""

    name: ClassVar[str] = "kitti"
    suffix: ClassVar[str] = ""

    def write(self, stack: Stack, target: Path) -> None:
        """Write a file for each field, numbered from 0."""
        for k, vectors in enumerate(stack.fields()):
            write_flow(target / f"{k:06d}_10.png", vectors)
