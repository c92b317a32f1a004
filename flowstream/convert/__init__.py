"""Stacks to and from other layouts and files: raw frames, `.flo`, KITTI, NumPy, MATLAB.

`FORMATS[name](**parameters)` gives a frozen dataclass; see `flowstream.convert.format`.
"""

from __future__ import annotations

from flowstream.convert.format import Format
from flowstream.plugins import Plugins

FORMATS: Plugins[type[Format]] = Plugins(
    "format",
    {
        "stack": "flowstream.convert.stack:StackFormat",
        "rawframes": "flowstream.convert.rawframes:RawFrames",
        "flo": "flowstream.convert.fields:Flo",
        "kitti": "flowstream.convert.fields:Kitti",
        "npy": "flowstream.convert.numpy_files:Npy",
        "npz": "flowstream.convert.numpy_files:Npz",
        "mat": "flowstream.convert.mat:Mat",
    },
)
"""Formats that stacks are converted to, by name."""

__all__ = ["FORMATS", "Format"]
