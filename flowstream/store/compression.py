"""How `/flow` is compressed: HDF5 filters for codes of a given width.

Measured on 340x256 `centred8` flow with camera motion (DIS, 250 frames; raw plane 87 kB), one
thread, a clip of 20 planes: lz4hc 19.2 kB a plane, 0.85 ms a clip to read, 3.0 ms a pair to write;
zstd 15.3 kB, 2.0 ms, 3.6 ms; gzip 16.9 kB, 5.9 ms, 2.3 ms; none 87 kB, 0.27 ms, 0.3 ms.

Bytes are shuffled for codes wider than one: on `fixed16`, `float16` and `float32` that saves 25 to
31 % with lz4hc and makes writing faster. Bit-shuffle was larger and slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import hdf5plugin

Compression: TypeAlias = Callable[[int], dict[str, Any]]
"""Bytes per code to the keywords of h5py's `create_dataset`."""


def lz4hc(width: int) -> dict[str, Any]:
    """Blosc with lz4hc at level 5: the fastest to read. Readers need hdf5plugin."""
    shuffle = hdf5plugin.Blosc.SHUFFLE if width > 1 else hdf5plugin.Blosc.NOSHUFFLE
    return dict(hdf5plugin.Blosc(cname="lz4hc", clevel=5, shuffle=shuffle))


def zstd(width: int) -> dict[str, Any]:
    """Zstandard at level 9: the smallest, and faster to read than level 3. Needs hdf5plugin."""
    return {"shuffle": width > 1, **hdf5plugin.Zstd(clevel=9)}


def gzip(width: int) -> dict[str, Any]:
    """Deflate at level 4, for readers without plugins: every HDF5 library has it."""
    return {"shuffle": width > 1, "compression": "gzip", "compression_opts": 4}


def none(width: int) -> dict[str, Any]:
    """Nothing: 4 to 8 times the size, the fastest where the disk is faster than lz4."""
    return {}
