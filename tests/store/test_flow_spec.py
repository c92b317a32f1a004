"""What a checkpoint is bound to, and how two such specs differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowstream.errors import ParameterError
from flowstream.store import FlowSpec

plain: dict[str, Any] = {
    "method": {"name": "dis", "preset": "medium"},
    "sampling": {"step": 1, "fps": None, "size": (256, 340)},
    "size": (256, 340),
    "codec": {"name": "centred8", "bound": 20.0},
}


def test_a_spec_comes_back_from_json() -> None:
    spec = FlowSpec(**plain)
    again = FlowSpec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again == spec
    assert again.size == (256, 340)
    assert spec.list_differences(again) == []


def test_differences_name_each_setting_and_both_values_but_no_parameters_of_other_methods() -> None:
    other = {
        **plain,
        "method": {"name": "tvl1", "warps": 5},
        "size": (128, 170),
        "codec": {"name": "centred8", "bound": 15.0},
    }
    assert FlowSpec(**plain).list_differences(FlowSpec(**other)) == [
        "method.name: this: 'dis', other: 'tvl1'",
        "codec.bound: this: 20.0, other: 15.0",
        "size: this: [256, 340], other: [128, 170]",
    ]


def test_a_setting_that_is_none_differs_from_one_that_is_absent() -> None:
    bare = {**plain, "sampling": {"step": 1, "size": (256, 340)}}
    assert FlowSpec(**plain).list_differences(FlowSpec(**bare)) == [
        "sampling.fps: this: None, other: absent"
    ]


def test_tables_in_tables_are_compared_setting_by_setting() -> None:
    deep = {**plain, "method": {"name": "x", "start": {"name": "dis", "preset": "fast"}}}
    deeper = {**plain, "method": {"name": "x", "start": {"name": "dis", "preset": "medium"}}}
    assert FlowSpec(**deep).list_differences(FlowSpec(**deeper)) == [
        "method.start.preset: this: 'fast', other: 'medium'"
    ]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {**plain, "more": 1},
        {**plain, "size": (1, 2, 3)},
        {**plain, "size": None},
        {**plain, "method": 5},
        {**plain, "method": {"name": {1}}},
    ],
)
def test_a_record_that_is_not_a_spec_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="not a flow spec"):
        FlowSpec.from_dict(record)
