"""What every optional output of the table promises."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.store import OUTPUTS
from flowstream.store.items import ITEMS
from flowstream.store.outputs.output import Pairs
from tests.contracts.small_stack import PAIRS, SIZE, small_vectors

outputs = pytest.mark.parametrize("name", list(OUTPUTS))


@outputs
def test_its_items_are_in_the_table_of_items_and_name_their_option(name: str) -> None:
    kind = OUTPUTS[name]
    assert kind.name == name
    assert kind.items
    for item in kind.items:
        assert ITEMS[item.name] == item
        assert item.output == name
        assert item.option == f"--{name}"


@outputs
def test_it_computes_one_entry_of_each_item_for_each_pair(name: str) -> None:
    kind, vectors = OUTPUTS[name], small_vectors()
    frames = np.random.default_rng(0).integers(0, 256, (PAIRS + 1, *SIZE), np.uint8)
    found = kind.compute(Pairs(frames, vectors, -vectors if kind.needs_backward else None))
    assert set(found) == {item.name for item in kind.items if item.dimensions[0] == "pair"}
    for name_of_item, values in found.items():
        item = ITEMS[name_of_item]
        assert len(values) == PAIRS
        shape = SIZE if item.packing == "bits" else item.entry_shape(SIZE)
        assert values.shape[1:] == shape
        if item.check is not None:
            item.check(values)
