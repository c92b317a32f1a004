"""Ways to damage the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

Bytes = bytearray


def cut(content: Bytes, generator: np.random.Generator) -> str:
    """Cut off the end."""
    keep = int(len(content) * generator.uniform(0.05, 0.99))
    del content[keep:]
    return f"cut to {keep} bytes"


def flip_bit(content: Bytes, generator: np.random.Generator) -> str:
    """Flip one bit."""
    place = int(generator.integers(len(content)))
    content[place] ^= 1 << int(generator.integers(8))
    return f"a flipped bit at {place}"


def flip_bits(content: Bytes, generator: np.random.Generator) -> str:
    """Flip one bit in each of some 1 to 200 bytes."""
    places = generator.integers(len(content), size=int(generator.integers(2, 200)))
    for place in places:
        content[place] ^= 1 << int(generator.integers(8))
    return f"{len(places)} flipped bits"


def zero_run(content: Bytes, generator: np.random.Generator) -> str:
    """Zero a run of bytes, as a disk that lost a block."""
    start, stop = _run(content, generator)
    content[start:stop] = bytes(stop - start)
    return f"zeros from {start} to {stop}"


def noise_run(content: Bytes, generator: np.random.Generator) -> str:
    """Overwrite a run of bytes with noise."""
    start, stop = _run(content, generator)
    content[start:stop] = generator.bytes(stop - start)
    return f"noise from {start} to {stop}"


def delete_run(content: Bytes, generator: np.random.Generator) -> str:
    """Remove a run of bytes."""
    start, stop = _run(content, generator)
    del content[start:stop]
    return f"bytes {start} to {stop} removed"


def repeat_run(content: Bytes, generator: np.random.Generator) -> str:
    """Insert a run of bytes a second time."""
    start, stop = _run(content, generator)
    content[stop:stop] = content[start:stop]
    return f"bytes {start} to {stop} repeated"


def damage_head(content: Bytes, generator: np.random.Generator) -> str:
    """Overwrite 1 to 8 of the first 512 bytes with noise."""
    start = int(generator.integers(min(512, len(content))))
    length = int(generator.integers(1, 9))
    content[start : start + length] = generator.bytes(len(content[start : start + length]))
    return f"{length} bytes of noise at {start}"


def _run(content: Bytes, generator: np.random.Generator) -> tuple[int, int]:
    longest = max(2, min(4096, len(content) // 4))
    length = int(2 ** generator.uniform(0, np.log2(longest)))
    start = int(generator.integers(max(1, len(content) - length)))
    return start, start + length


WAYS: tuple[Callable[[Bytes, np.random.Generator], str], ...] = (
    cut,
    flip_bit,
    flip_bits,
    zero_run,
    noise_run,
    delete_run,
    repeat_run,
    damage_head,
)
"""All ways; each changes the content in place and returns what it did."""


def damage_files(
    files: Sequence[Path], generator: np.random.Generator, *, seed: int
) -> Iterator[tuple[Path, Path, str]]:
    """Damage a copy of each file in all ways.

    Yields
    ------
    file, copy, description
        The copy is overwritten by the next one; the description names the seed.
    """
    for way in WAYS:
        for file in files:
            content = bytearray(file.read_bytes())
            description = f"{file.name}: {way(content, generator)} (seed {seed})"
            copy = file.with_name(f"variant{file.suffix}")
            copy.write_bytes(content)
            yield file, copy, description
