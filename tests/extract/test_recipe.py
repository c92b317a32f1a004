"""The `[extract]` table of a recipe: directions and the camera."""

from __future__ import annotations

from typing import Any

import pytest

from flowstream.errors import FlowstreamError
from flowstream.extract import ExtractRecipe
from flowstream.flow.camera import Stabiliser
from flowstream.recipe import build

PLAIN: dict[str, Any] = {"sources": ["videos"], "method": "dis"}


def test_the_recipe_selects_the_optional_outputs() -> None:
    table = {
        **PLAIN,
        "backward": True,
        "outputs": ["consistency"],
        "stabilise": "homography",
        "stabiliser": {"features": "sift"},
    }
    settings = build(ExtractRecipe, table, where="extract").settings()
    assert settings.backward
    assert settings.outputs == ("consistency",)
    assert settings.stabilise == Stabiliser(features="sift")


def test_only_forward_flow_with_camera_motion_is_stored_by_default() -> None:
    settings = build(ExtractRecipe, PLAIN, where="extract").settings()
    assert (settings.backward, settings.outputs, settings.stabilise) == (False, (), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stabilise": "homografy"}, "Did you mean 'homography'"),
        ({"stabilise": "homography", "stabiliser": {"feature": "orb"}}, "Did you mean 'features'"),
        ({"stabiliser": {"features": "orb"}}, "set stabilise"),
    ],
)
def test_a_stabiliser_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowstreamError, match=message):
        build(ExtractRecipe, {**PLAIN, **change}, where="extract").settings()
