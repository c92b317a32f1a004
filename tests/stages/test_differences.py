"""Settings of a recipe that differ from their defaults."""

from __future__ import annotations

from typing import Any

from flowstream.flow.tvl1 import TVL1
from flowstream.recipe import build
from flowstream.stages.differences import list_differences
from flowstream.stages.recipe import Recipe


def differences(**changes: Any) -> dict[str, tuple[str, str]]:
    values: dict[str, Any] = {
        "out": "runs/x",
        "extract": {"sources": ["videos"]},
        "split": {"layout": "folder"},
        "streams": {"rgb": {"stream": "rgb", "model": "single_frame"}},
    }
    recipe = build(Recipe, {**values, **changes}, where="test")
    return {one.setting: (one.value, one.default) for one in list_differences(recipe)}


def test_settings_without_a_default_and_changed_ones_are_listed() -> None:
    plain = differences()
    assert plain["extract.sources"] == ("videos", "–")
    changed = differences(extract={"sources": ["videos"], "size": "320x240", "jobs": 7})
    assert changed["extract.size"] == ("320x240", "–")
    # the number of workers does not change the result
    assert set(changed) - set(plain) == {"extract.size"}


def test_parameters_of_plug_ins_are_compared_with_their_own_defaults() -> None:
    extract = {"sources": ["videos"], "parameters": {"preset": "fast", "texture": TVL1().texture}}
    options = {"backbone": "small_cnn", "pretrained": False}
    stream = {"stream": "rgb", "model": "single_frame", "frames": 3, "options": options}
    found = differences(extract=extract, streams={"rgb": stream}, fusion={"method": "average"})
    assert found["extract.parameters.preset"] == ("fast", "default")
    assert "extract.parameters.texture" not in found
    assert found["streams.rgb.options.backbone"][0] == "small_cnn"
    assert found["streams.rgb.options.pretrained"] == ("false", "true")
    assert found["streams.rgb.frames"] == ("3", "16")
    assert found["fusion.method"] == ("average", "weighted")
