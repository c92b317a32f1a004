"""MATLAB files of version 5, which MATLAB, Octave and SciPy read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flowstream.convert.format import Format
from flowstream.errors import ConversionError, MissingDependencyError
from flowstream.store import Stack

_LARGEST = 2**31 - 1
"""Bytes of one variable in this version of the format."""


@dataclass(frozen=True)
class Mat(Format):
    """MATLAB file with `u` and `v` `(H, W, T-1)` single, `frame` and `time` `(T, 1)`, and `fps`."""

    name: ClassVar[str] = "mat"
    suffix: ClassVar[str] = ".mat"

    def write(self, stack: Stack, target: Path) -> None:
        """Write the file."""
        try:
            from scipy.io import savemat
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "format 'mat' needs 'scipy'; install it with: pip install scipy"
            ) from error
        size = stack.num_fields * stack.size[0] * stack.size[1] * 4
        if size > _LARGEST:
            raise ConversionError(
                f"{stack.path}: {size} bytes for a component, expected at most {_LARGEST} in a "
                "MATLAB file; use --to stack with compression=gzip and h5read"
            )
        flow = stack.window(0, stack.num_fields).reshape(-1, 2, *stack.size)
        content = {
            "u": np.ascontiguousarray(flow[:, 0].transpose(1, 2, 0)),
            "v": np.ascontiguousarray(flow[:, 1].transpose(1, 2, 0)),
            "frame": stack.frame_index[:, None],
            "time": stack.time[:, None],
            "fps": stack.fps,
        }
        with target.open("wb") as file:
            savemat(file, content, do_compression=True)
