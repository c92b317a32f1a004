"""The clip protocol of 3D networks: trained on short low-rate clips, tested on several of them."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.dataset.window import Window
from flowstream.recipe import load_recipe
from flowstream.recipes import recipe_path
from flowstream.stages import Recipe
from flowstream.train.recipe import StreamRecipe

RECIPE = recipe_path("ucf101-clips")


@pytest.mark.parametrize("name", ["spatial", "temporal"])
def test_clips_are_of_16_frames_at_5_a_second_and_112_pixels(name: str) -> None:
    stream = load_recipe(RECIPE, Recipe).streams[name]
    assert stream.clip.lengths[1:] == (16, 112, 112)
    assert stream.step == 25 // 5  # UCF101 has 25 frames a second
    assert stream.evaluation.segments == 10


def test_16_frames_of_112_x_112_are_the_default() -> None:
    stream = StreamRecipe(stream="rgb", model="c3d")
    assert stream.clip.lengths == (3, 16, 112, 112)


def test_ten_clips_span_a_video_evenly() -> None:
    stream = load_recipe(RECIPE, Recipe).streams["spatial"]
    window = Window(stream.frames, stream.step, stream.evaluation.segments)
    starts = window.starts(num_fields=300, generator=None)
    assert len(starts) == 10
    assert starts[-1] + window.span <= 300
    # rounding to whole fields is all that keeps the gaps from being equal
    assert np.ptp(np.diff(starts)) <= 1
