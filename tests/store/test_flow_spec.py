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
    assert spec.differences(again) == []


def test_differences_name_each_setting_and_both_values() -> None:
    other = {
        **plain,
        "method": {"name": "tvl1", "warps": 5},
        "size": (128, 170),
        "codec": {"name": "centred8", "bound": 15.0},
    }
    assert FlowSpec(**plain).differences(FlowSpec(**other)) == [
        "method.name: 'dis' here, 'tvl1' there",
        "method.preset: 'medium' here, absent there",
        "codec.bound: 20.0 here, 15.0 there",
        "size: [256, 340] here, [128, 170] there",
        "method.warps: absent here, 5 there",
    ]


def test_a_setting_that_is_none_differs_from_one_that_is_absent() -> None:
    bare = {**plain, "sampling": {"step": 1, "size": (256, 340)}}
    assert FlowSpec(**plain).differences(FlowSpec(**bare)) == [
        "sampling.fps: None here, absent there"
    ]


def test_tables_in_tables_are_compared_setting_by_setting() -> None:
    deep = {**plain, "method": {"name": "x", "start": {"name": "dis", "preset": "fast"}}}
    deeper = {**plain, "method": {"name": "x", "start": {"name": "dis", "preset": "medium"}}}
    assert FlowSpec(**deep).differences(FlowSpec(**deeper)) == [
        "method.start.preset: 'fast' here, 'medium' there"
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
def test_what_is_no_spec_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="not a flow spec"):
        FlowSpec.from_dict(record)
