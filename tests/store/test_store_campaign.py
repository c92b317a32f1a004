"""A short version of the campaign of damage; `make faults` runs the full one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.campaign import BAD, run, variants, write_large, write_packed, write_small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, limits memory")


@pytest.mark.parametrize(
    ("write", "count", "padding"),
    # HDF5's own structures around the stacks of a pack are not read: they may be damaged
    [(write_small, 300, 0.05), (write_packed, 60, 0.5), (write_large, 12, 0.05)],
)
def test_damage_is_refused_or_harmless(
    tmp_path: Path, write: Callable[[Path], Path], count: int, padding: float
) -> None:
    path = write(tmp_path / ("pack.h5" if write is write_packed else "x.h5"))
    chosen = variants(path.stat().st_size, count, seed=7)
    outcomes = run(path, chosen)
    assert sum(outcomes.values()) == count
    assert not outcomes.keys() & set(BAD), outcomes
    # all damage is found: the digests cover every byte
    assert outcomes["refused"] == count - outcomes["harmless"]
    # only blocks of zeros that are zeroed are harmless
    assert outcomes["harmless"] <= count * padding
