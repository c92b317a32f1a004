"""HDF5 structure of a stack file: write datasets, named dimensions and attributes.

The file follows the conventions of netCDF-4 and CF, so that xarray and netCDF tools show names,
units and decoded values. Structures are those of HDF5 1.10 and later, which carry checksums.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5f, h5fd, h5g, h5p, h5s, h5t, h5z
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.store.compression import Compression
from flowstream.store.header import Header
from flowstream.store.item import COORDINATE, Item
from flowstream.store.items import ITEMS
from flowstream.store.part_file import PartFile
from flowstream.store.record import Plain

_CONVENTIONS = "CF-1.8"

# All attributes are in the object headers: the dense storage that HDF5 uses for more than 8
# attributes takes 6 kB more.
_MOST_COMPACT = 65535

# Text with which netCDF-4 marks a dimension without values.
_NO_VALUES = "This is a netCDF dimension but not a netCDF variable. {:9d}"


def create_file(part: PartFile) -> h5py.File:
    """Create the HDF5 file in a part file."""
    access = h5p.create(h5p.FILE_ACCESS)
    # If older structures are damaged, the library fails silently or crashes. The newest structures
    # of the library would exclude older readers.
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_fileobj_driver(h5fd.fileobj_driver, part)
    creation = h5p.create(h5p.FILE_CREATE)
    _set_object_header(creation)
    return h5py.File(h5f.create(b"stack", h5f.ACC_TRUNC, fcpl=creation, fapl=access))


def create_dataset(
    file: h5py.File,
    item: Item,
    shape: tuple[int, ...],
    *,
    codec: Codec,
    compression: type[Compression],
) -> h5d.DatasetID:
    """Create the dataset of an item.

    Parameters
    ----------
    file : h5py.File
    item : Item
    shape : tuple of int
        Shape; the first length may grow if the item has chunks.
    codec : Codec
    compression : Compression
    """
    dtype = item.stored_dtype(codec)
    creation = h5p.create(h5p.DATASET_CREATE)
    _set_object_header(creation)
    # Without a fill value netCDF does not mistake any stored value for a missing one.
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    longest: tuple[int, ...] = shape
    if item.chunk:
        creation.set_chunk((item.chunk, *shape[1:]))
        longest = (h5s.UNLIMITED, *shape[1:])
        if item.compressed:
            if dtype.itemsize > 1 and compression.filter_id:
                creation.set_shuffle()
            if compression.filter_id:
                creation.set_filter(
                    compression.filter_id, h5z.FLAG_OPTIONAL, compression.filter_options
                )
    else:
        creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    return h5d.create(
        file.id,
        item.name.encode("ascii"),
        h5t.py_create(dtype, logical=True),
        h5s.create_simple(shape, longest),
        dcpl=creation,
    )


def write_header(file: h5py.File, header: Header) -> None:
    """Write the header near the start of the file, as attributes of the root group."""
    for name, value in _root_attributes(header).items():
        _set_attribute(file.id, name, value)


def update_header(file: h5py.File, header: Header) -> None:
    """Write the numbers of the header that are known only at the end, and its digest, in place."""
    for name, value in _root_attributes(header).items():
        if isinstance(value, float) or name == "header_digest":
            attribute = h5a.open(file.id, name.encode("ascii"))
            stored = value.encode("ascii") if isinstance(value, str) else value
            attribute.write(np.array(stored), mtype=attribute.get_type())


def describe_items(file: h5py.File, header: Header, digests: dict[str, str]) -> None:
    """Write the attributes of all items; `digests` are those of their values."""
    for name, digest in digests.items():
        item, dataset = ITEMS[name], _open(file, name)
        values: dict[str, Plain] = {"long_name": item.long_name}
        if item.units != "1":
            values["units"] = item.units
        if item.packing == "codec":
            values["scale_factor"] = float(header.codec.scale_factor)
            values["add_offset"] = float(header.codec.add_offset)
        for key, value in {**values, "digest": digest}.items():
            _set_attribute(dataset, key, value)


def _root_attributes(header: Header) -> dict[str, Plain]:
    return {"Conventions": _CONVENTIONS, **header.record(), "header_digest": header.digest}


def name_dimensions(file: h5py.File, items: list[Item]) -> None:
    """Attach a named dimension scale to each axis of each item."""
    coordinate = _open(file, COORDINATE)
    h5ds.set_scale(coordinate, COORDINATE.encode("ascii"))
    scales = {COORDINATE: coordinate}
    for item in items:
        if item.name == COORDINATE:
            continue
        dataset = _open(file, item.name)
        for axis, (dimension, length) in enumerate(
            zip(item.dimensions, dataset.shape, strict=True)
        ):
            if dimension not in scales:
                scales[dimension] = _create_scale(file, dimension, length)
            h5ds.attach_scale(dataset, scales[dimension], axis)
    for number, scale in enumerate(scales.values()):
        # netCDF's number of the dimension, which netCDF would otherwise derive from the order
        _write_attribute(scale, "_Netcdf4Dimid", np.array(number, np.int32))


def _open(file: h5py.File, name: str) -> h5d.DatasetID:
    return h5d.open(file.id, name.encode("ascii"))


def _create_scale(file: h5py.File, name: str, length: int) -> h5d.DatasetID:
    creation = h5p.create(h5p.DATASET_CREATE)
    _set_object_header(creation)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    # Never written, so it takes no space.
    scale = h5d.create(
        file.id, name.encode("ascii"), h5t.IEEE_F32BE, h5s.create_simple((length,)), dcpl=creation
    )
    h5ds.set_scale(scale, _NO_VALUES.format(length).encode("ascii"))
    return scale


def _set_object_header(creation: Any) -> None:
    creation.set_attr_phase_change(_MOST_COMPACT, 0)
    creation.set_obj_track_times(False)


def _set_attribute(target: h5g.GroupID | h5d.DatasetID, name: str, value: Plain) -> None:
    if isinstance(value, str):
        encoded = value.encode("utf-8") or b"\0"
        kind = h5t.py_create(h5py.string_dtype("utf-8", len(encoded)), logical=True)
        _write_attribute(target, name, np.array(encoded), kind=kind)
    else:
        dtype = np.int64 if isinstance(value, int) else np.float64
        _write_attribute(target, name, np.array(value, dtype))


def _write_attribute(
    target: h5g.GroupID | h5d.DatasetID,
    name: str,
    value: NDArray[Any],
    *,
    kind: h5t.TypeID | None = None,
) -> None:
    """Create an attribute by HDF5's own calls: h5py's take ten times as long."""
    kind = kind or h5t.py_create(value.dtype)
    attribute = h5a.create(target, name.encode("ascii"), kind, h5s.create(h5s.SCALAR))
    attribute.write(value, mtype=kind)
