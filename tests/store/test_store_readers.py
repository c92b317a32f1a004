"""Programs that know nothing of flowstream show times, names and values as it does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.codec import CODECS
from flowstream.store import ITEMS, open_stack

OUTPUTS = ["rgb", "backward", "consistency", "camera", "corrupt"]


@pytest.fixture
def whole(write: Any) -> Path:
    path: Path = write(outputs=OUTPUTS, stabiliser={"name": "x"}, compression="gzip")
    return path


@pytest.mark.parametrize("codec", list(CODECS))
def test_xarray_opens_it_without_options_but_the_engine(write: Any, codec: str) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed")
    path = write(
        outputs=OUTPUTS, stabiliser={"name": "x"}, compression="gzip", codec=CODECS[codec]()
    )
    with xarray.open_dataset(path, engine="h5netcdf") as data, open_stack(path) as stack:
        for name, item in ITEMS.items():
            assert data[name].dims == item.dimensions
            assert data[name].attrs["long_name"] == item.long_name
        assert list(data.coords) == ["frame"]
        assert data["frame"].values.tolist() == stack.frame_index.tolist()
        assert data["time"].values.tolist() == stack.time.tolist()
        assert data["time"].attrs["units"] == "s"
        assert data["flow"].attrs["units"] == "pixel"
        # one rounding to float32 at up to 40 pixels
        np.testing.assert_allclose(data["flow"], stack.window(0, 6), rtol=0, atol=4e-6)
        assert data.attrs["source"] == stack.source
        assert data.attrs["fps"] == stack.fps


# netCDF has no half precision: its library crashes on float16
@pytest.mark.parametrize("codec", [name for name in CODECS if name != "float16"])
def test_netcdf4_opens_it(write: Any, codec: str) -> None:
    netcdf = pytest.importorskip("netCDF4", reason="netCDF4 is not installed")
    path = write(
        outputs=OUTPUTS, stabiliser={"name": "x"}, compression="gzip", codec=CODECS[codec]()
    )
    with netcdf.Dataset(path) as data, open_stack(path) as stack:
        assert set(data.variables) == set(ITEMS)
        for name, item in ITEMS.items():
            assert data[name].dimensions == item.dimensions
            assert data[name].long_name == item.long_name
        assert data["time"][:].tolist() == stack.time.tolist()
        assert data["time"].units == "s"
        flow = data["flow"][:]
        # no code is taken for a missing value
        assert not np.ma.getmaskarray(flow).any()
        np.testing.assert_allclose(flow, stack.window(0, 6), rtol=0, atol=4e-6)
        ends = data["rgb_end"][:]
        assert data["rgb"][ends[1] : ends[2]].tobytes() == stack.jpeg(2)


def test_h5py_shows_named_dimensions_and_our_values(whole: Path) -> None:
    with h5py.File(whole, "r") as file, open_stack(whole) as stack:
        for name, item in ITEMS.items():
            if name != "frame":
                seen = [scale[0].name.lstrip("/") for scale in file[name].dims]
                assert seen == list(item.dimensions)
            np.testing.assert_array_equal(file[name], stack.read(name))
        assert file["frame"].is_scale


def test_every_structure_of_the_file_carries_a_checksum(whole: Path) -> None:
    data = whole.read_bytes()
    # superblock of version 3; object headers of version 2 (OHDR); no symbol tables (SNOD), local
    # heaps (HEAP), nor B-trees of version 1 (TREE), which are without
    assert data[8] == 3
    assert data.count(b"OHDR") >= len(ITEMS)
    for signature in (b"SNOD", b"HEAP\0", b"TREE\0", b"TREE\1"):
        assert signature not in data
    with h5py.File(whole, "r") as file:
        # chunks are found by an extensible array (EAHD), which belongs to version 4 of the layout
        assert data.count(b"EAHD") == sum(file[name].chunks is not None for name in ITEMS)


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed")
def test_h5dump_shows_it(whole: Path) -> None:
    done = subprocess.run(["h5dump", "-H", whole], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ITEMS:
        assert f'DATASET "{name}"' in done.stdout
