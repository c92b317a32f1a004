"""The HDF5 file of a stack, as another program sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import h5py
import numpy as np
import pytest

import flowstream
from flowstream.codec import CODECS
from flowstream.store import encode_jpeg, open_stack

SIZE = (20, 28)


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes with strings decoded, without those of HDF5's dimension scales."""
    own = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid")
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in attributes.items()
        if name not in own
    }


def test_the_file_is_laid_out_as_format_2_says(write: Any, content: Any) -> None:
    with h5py.File(write(compression="gzip"), "r") as file:
        flow = file["flow"]
        assert (flow.shape, flow.dtype, flow.chunks) == ((12, *SIZE), np.uint8, (2, *SIZE))
        assert file["frame"].dtype == np.int32
        assert file["frame"][()].tolist() == content.frame_index
        assert file["time"].dtype == np.float64
        assert file["time"][()].tolist() == content.times
        ends = file["rgb_end"][()]
        assert (ends.dtype, ends.shape) == (np.int64, (7,))
        assert file["rgb"].dtype == np.uint8
        assert file["rgb"][ends[2] : ends[3]].tobytes() == encode_jpeg(content.images[3])
        attributes = plain(file.attrs)
        assert len(bytes.fromhex(attributes.pop("header_digest"))) == 16
        assert attributes == {
            "Conventions": "CF-1.8",
            "format": "flowstream.stack",
            "format_version": 2,
            "height": 20,
            "width": 28,
            "method": '{"name": "dis", "preset": "medium"}',
            "sampling": '{"step": 2, "fps": null, "short_side": null, "size": [20, 28]}',
            "codec": "centred8",
            "bound": 20.0,
            "source": "run/clip.mp4",
            "source_height": 240,
            "source_width": 336,
            "source_bytes": 12345,
            "source_modified": 0,
            "fps": 25.0,
            "container_fps": 0.0,
            "sample_aspect": "1:1",
            "stream": 0,
            "compression": "gzip",
            "jpeg_quality": 0,
            "versions": f'{{"flowstream": "{flowstream.__version__}"}}',
            # by its construction one component of the content lies beyond 20 pixels; others of the
            # normal distribution with sigma 6 may too
            "clipped": pytest.approx(np.mean((abs(content.vectors) > 19.93).any(axis=1))),
            # few vectors of sigma 6 are shorter than half a step, 0.079
            "below_step": pytest.approx(0, abs=0.001),
        }
        values = plain(flow.attrs)
        assert values.pop("long_name").startswith("optical flow")
        assert len(bytes.fromhex(values.pop("digest"))) == 16
        assert values == {
            "units": "pixel",
            "scale_factor": 20 / 127,
            "add_offset": -128 * (20 / 127),
        }


def test_attributes_are_fixed_length_strings_int64_and_float64(write: Any) -> None:
    outputs = ["rgb", "backward", "consistency", "camera", "corrupt"]
    with h5py.File(write(outputs=outputs, stabiliser={"name": "x"}), "r") as file:
        values = [*plain(file.attrs).values()]
        for dataset in file.values():
            assert h5py.check_vlen_dtype(dataset.dtype) is None
            assert h5py.check_string_dtype(dataset.dtype) is None
            values += plain(dataset.attrs).values()
            for name in plain(dataset.attrs):
                kind = dataset.attrs.get_id(name).get_type()
                assert not isinstance(kind, h5py.h5t.TypeStringID) or not kind.is_variable_str()
    assert {type(value) for value in values} == {str, np.int64, np.float64}


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("codec", list(CODECS))
def test_a_reader_without_plugins_decodes_it_by_the_cf_attributes(
    write: Any, content: Any, codec: str, compression: str
) -> None:
    path = write(compression=compression, codec=CODECS[codec]())
    script = (
        "import sys, h5py, numpy as np\n"
        "with h5py.File(sys.argv[1], 'r') as file:\n"
        "    flow = file['flow']\n"
        "    a = flow.attrs\n"
        "    values = flow[()].astype('f8') * a['scale_factor'] + a['add_offset']\n"
        "    bound = file.attrs['bound']\n"
        "assert not {'flowstream', 'hdf5plugin'} & set(sys.modules)\n"
        "np.savez(sys.argv[2], values=values, bound=bound)\n"
    )
    answer = path.with_suffix(".npz")
    subprocess.run([sys.executable, "-c", script, path, answer], check=True, env=_no_plugins())
    with np.load(answer) as read:
        values, bound = read["values"], float(read["bound"])
    with open_stack(path) as stack:
        # one rounding to float32 at up to 512 pixels
        np.testing.assert_allclose(values, stack.window(0, 6), rtol=0, atol=6e-5)
    truth = content.vectors.reshape(12, *SIZE).clip(-bound, bound)
    # half a step of the coarsest codec, at its bound of 20 pixels
    assert np.abs(values - truth).max() <= 20 / 127 / 2 + 1e-5


def _no_plugins() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "HDF5_PLUGIN_PATH"}
