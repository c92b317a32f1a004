"""Sequences of flow files of the benchmarks: Middlebury `.flo` and KITTI `.png`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flowstream.convert.format import Format
from flowstream.flow.files import write_flow
from flowstream.store import Stack


class FlowFiles(Format):
    """Directory with a file for each field."""

    suffix: ClassVar[str] = ""

    pattern: ClassVar[str]
    """Name of a file, with the number of the field as `{}`."""

    def file_names(self, stack: Stack) -> list[str]:
        """Return the names of the files of a stack."""
        return [self.pattern.format(k) for k in range(stack.num_fields)]

    def write(self, stack: Stack, target: Path) -> None:
        """Write a file for each field, numbered from 0."""
        for k, vectors in enumerate(stack.fields()):
            write_flow(target / self.pattern.format(k), vectors)


@dataclass(frozen=True)
class Flo(FlowFiles):
    """Directory with a Middlebury file `00000.flo` for each field; float32, exact."""

    name: ClassVar[str] = "flo"
    pattern: ClassVar[str] = "{:05d}.flo"
    file_pattern: ClassVar[str] = r"\d{5,}\.flo"


@dataclass(frozen=True)
class Kitti(FlowFiles):
    """Directory with a KITTI file `000000_10.png` for each field; rounds to 1/64 pixel."""

    name: ClassVar[str] = "kitti"
    pattern: ClassVar[str] = "{:06d}_10.png"
    file_pattern: ClassVar[str] = r"\d{6,}_10\.png"
