"""The table of items is all there is to declare: a toy item passes through everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.codec.centred8 import Centred8
from flowstream.errors import ParameterError, ShapeError, StackError
from flowstream.store import ITEMS, bytes_per_pair, copy_stack, create_stack, open_stack
from flowstream.store.header import Header
from flowstream.store.item import Item
from flowstream.store.items import known_outputs
from flowstream.store.verify import verify_stack
from tests.store.conftest import make_header

SIZE = (20, 28)
PAIRS = 5


def _even(values: NDArray[Any]) -> None:
    if (values % 2).any():
        raise ValueError("holds odd values")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Item:
    """Declare an item as a contributor would, with chunks that the pairs do not fill."""
    item = Item(
        "toy",
        "u2",
        ("pair", "y", "x8"),
        "an item of this test",
        units="1",
        chunk=2,
        compressed=True,
        output="toys",
        option="--toys",
        check=_even,
    )
    monkeypatch.setitem(ITEMS, "toy", item)
    return item


def values() -> NDArray[Any]:
    shape = (PAIRS, SIZE[0], 4)
    return 2 * np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def write(path: Path, **changes: object) -> Path:
    with create_stack(path, make_header(**changes), outputs=["toys"]) as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(t, t / 25)
        vectors = np.zeros((PAIRS, 2, *SIZE), np.float32)
        writer.add_fields(vectors[:3], toy=values()[:3])
        writer.add_fields(vectors[3:], toy=values()[3:])
    return path


@pytest.mark.parametrize("compression", ["lz4hc", "gzip", "none"])
def test_a_declared_item_is_written_read_and_verified(
    tmp_path: Path, toy: Item, compression: str
) -> None:
    path = write(tmp_path / "x.h5", compression=compression)
    verify_stack(path)
    with open_stack(path) as stack:
        assert stack.outputs == {"toys"}
        np.testing.assert_array_equal(stack.read("toy"), values())
        np.testing.assert_array_equal(stack.read("toy", 3, 5), values()[3:5])
    if compression != "lz4hc":
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["toy"], values())
            assert file["toy"].attrs["long_name"] == toy.long_name.encode()
            assert [scale.label for scale in file["toy"].dims] == ["", "", ""]
            assert [dimension.keys() for dimension in file["toy"].dims]


def test_it_is_copied_estimated_and_checked(tmp_path: Path, toy: Item) -> None:
    copy_stack(write(tmp_path / "x.h5"), tmp_path / "y.h5", compression="gzip")
    verify_stack(tmp_path / "y.h5")
    with open_stack(tmp_path / "y.h5") as stack:
        np.testing.assert_array_equal(stack.read("toy"), values())
    without = bytes_per_pair(SIZE, Centred8(), [])
    assert bytes_per_pair(SIZE, Centred8(), ["toys"]) == without + 2 * 20 * 4
    assert "toys" in known_outputs()
    with create_stack(tmp_path / "z.h5", make_header(), outputs=["toys"]) as writer:
        vectors = np.zeros((PAIRS, 2, *SIZE), np.float32)
        with pytest.raises(ParameterError, match="/toy holds odd values"):
            writer.add_fields(vectors, toy=values() + 1)
        with pytest.raises(ShapeError, match=r"toy has shape \(4, 20, 4\), expected \(5, 20, 4\)"):
            writer.add_fields(vectors, toy=values()[:4])
        with pytest.raises(StackError, match="got nothing for 'toy'"):
            writer.add_fields(vectors)
        for t in range(PAIRS + 1):
            writer.add_frame(t, t / 25)
        writer.add_fields(vectors, toy=values())


def test_damage_to_it_is_found(tmp_path: Path, toy: Item) -> None:
    path = write(tmp_path / "x.h5")
    with open_stack(path) as stack:
        block = stack.open_file().index.items["toy"].blocks[1]
    data = bytearray(path.read_bytes())
    data[int(block["offset"]) + 5] ^= 4
    path.write_bytes(data)
    with pytest.raises(StackError, match=f"damaged at byte {block['offset']}"):
        verify_stack(path)


def test_a_version_that_does_not_know_the_item_says_so(
    tmp_path: Path, toy: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.h5")
    monkeypatch.delitem(ITEMS, "toy")
    with pytest.raises(StackError, match="unknown output 'toys'"):
        open_stack(path)


def test_every_item_has_a_description() -> None:
    for item in ITEMS.values():
        assert item.long_name
        assert item.units
        assert (item.output is None) == (item.option == "")


@pytest.mark.parametrize(
    ("codec", "outputs", "expected"),
    [
        # 2 planes, 4 + 8 bytes of /frame and /time
        (Centred8(), [], 2 * 560 + 12),
        # 1 byte per pixel of images, 8 of /rgb_end
        (Centred8(), ["rgb"], 2 * 560 + 12 + 560 + 8),
        (Centred8(), ["backward"], 4 * 560 + 12),
        # masks of 28 columns take 4 bytes a row, the share 4 bytes
        (Centred8(), ["consistency"], 2 * 560 + 12 + 80 + 4),
        (Centred8(), ["camera"], 2 * 560 + 12 + 72 + 4),
    ],
)
def test_the_size_of_a_pair_is_the_sum_of_its_items(
    codec: Centred8, outputs: list[str], expected: float
) -> None:
    assert bytes_per_pair(SIZE, codec, outputs) == expected


def test_a_header_comes_back_from_its_record() -> None:
    header = make_header(
        stabiliser={"name": "x", "scales": (1, 2)},
        depth_range="0:4095",
        sample_aspect="16:15",
        source="clip\udce9.mp4",
        clipped_backward=0.5,
    )
    assert Header.from_record(header.record()) == header
    assert Header.from_record(header.record()).digest == header.digest
    assert make_header(fps=24.0).digest != make_header(fps=25.0).digest
