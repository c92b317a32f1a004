"""Parts of fields, the default compression in other readers, and stacks that are opened again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.codec import CODECS
from flowstream.store import COMPRESSIONS, Header, create_stack, open_stack, verify_stack
from flowstream.store.index_cache import CACHE, IndexCache

SIZE = (200, 240)
REGION = slice(3, 187), slice(20, 230)


def write_large(path: Path, *, codec: str, compression: str, noise: float = 0.0) -> Path:
    rng = np.random.default_rng(5)
    vectors = np.cumsum(rng.normal(size=(3, 2, *SIZE)).astype(np.float32), axis=-1)
    vectors += noise * rng.uniform(-20, 20, vectors.shape).astype(np.float32)
    header = Header(
        size=SIZE,
        method={"name": "dis"},
        sampling={"step": 1},
        codec=CODECS[codec](),
        source="noise",
        source_size=SIZE,
        compression=compression,
    )
    with create_stack(path, header, outputs=()) as writer:
        for t in range(4):
            writer.add_frame(t, t / 25)
        writer.add_fields(vectors)
    return path


@pytest.mark.parametrize("codec", ["centred8", "fixed16"])
def test_a_region_of_a_window_is_that_part_of_the_whole_window(tmp_path: Path, codec: str) -> None:
    path = write_large(tmp_path / "x.h5", codec=codec, compression="lz4hc")
    with open_stack(path) as stack:
        whole, codes = stack.window(0, 3), stack.codes(1, 2)
        rows, columns = REGION
        assert whole.any()
        assert (stack.window(0, 3, region=REGION) == whole[:, rows, columns]).all()
        assert (stack.codes(1, 2, region=REGION) == codes[:, rows, columns]).all()
        assert stack.window(2, 1, region=REGION).shape == (2, 184, 210)


def test_h5py_reads_every_compression_with_its_filter(tmp_path: Path) -> None:
    expected = {}
    for compression in COMPRESSIONS:
        for noise in (0.0, 1.0):  # with noise, chunks cannot be compressed
            path = tmp_path / f"{compression}{noise}.h5"
            write_large(path, codec="centred8", compression=compression, noise=noise)
            verify_stack(path)
            with open_stack(path) as stack:
                expected[str(path)] = hashlib.sha256(stack.codes(0, 3).tobytes()).hexdigest()
    # in a process of its own, because the filters are registered for all of it
    script = (
        "import hashlib, json, sys, h5py, hdf5plugin\n"
        "read = lambda path: h5py.File(path)['flow'][:].tobytes()\n"
        "print(json.dumps({p: hashlib.sha256(read(p)).hexdigest() for p in sys.argv[1:]}))"
    )
    words = [sys.executable, "-c", script, *expected]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == expected


def test_a_stack_that_was_replaced_is_read_anew(write: Any) -> None:
    path = write()
    with open_stack(path) as stack:
        before = stack.digest
    write(path.name, source="another")
    with open_stack(path) as stack:
        assert (stack.source, stack.digest != before) == ("another", True)


def test_opening_a_stack_again_gives_the_same_index(write: Any) -> None:
    path = write()
    with open_stack(path) as first, open_stack(path) as second:
        assert first.open_file().index is second.open_file().index
        index, stamp = first.open_file().index, ("stamp",)
    assert CACHE.find(str(path), stamp) is None
    small = IndexCache(most_bytes=20_000)
    for name in "abc":
        small.add(name, stamp, index)
    assert [small.find(name, stamp) is index for name in "abc"] == [False, True, True]
