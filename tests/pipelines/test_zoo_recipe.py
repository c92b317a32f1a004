"""The shipped zoo recipes: every model of the table on a toy, and five of them on real clips."""

from __future__ import annotations

import pytest
import torch

from flowstream.models import MODELS
from flowstream.recipe import load_recipe
from flowstream.recipes import DIRECTORY
from flowstream.stages.zoo import ZooRecipe

RECIPE = DIRECTORY / "zoo.toml"
STREAMS = load_recipe(RECIPE, ZooRecipe).streams


def test_every_network_that_is_trained_by_steps_takes_part() -> None:
    linear = {name for name, model in MODELS.items() if model.has_vectors}
    assert {stream.model for stream in STREAMS.values()} == set(MODELS) - linear


@pytest.mark.parametrize("name", STREAMS)
def test_each_network_starts_from_random_weights_and_scores_its_clips(name: str) -> None:
    stream = STREAMS[name]
    assert not getattr(stream.architecture, "pretrained", False)
    network = stream.architecture.build(stream.clip, 4).eval()
    with torch.inference_mode():
        inputs = stream.architecture.inputs(stream.clip)
        scores = network(*(torch.zeros(1, *clip.lengths) for clip in inputs))
    assert scores.shape == (1, 4)


def test_no_clip_is_mirrored_for_left_and_right_are_the_classes() -> None:
    for stream in STREAMS.values():
        assert [table["name"] for table in stream.augment] == ["corner_crop"]


def test_what_is_rendered_is_what_is_read() -> None:
    recipe = load_recipe(RECIPE, ZooRecipe)
    assert recipe.toy
    manifest = recipe.toy.directory / "manifest.csv"
    assert recipe.extract.sources == (manifest,)
    assert recipe.split.files == manifest
    assert recipe.extract.settings().rgb


def test_on_real_clips_each_model_sees_rgb_and_flow() -> None:
    recipe = load_recipe(DIRECTORY / "zoo-ucf101.toml", ZooRecipe)
    seen = {(stream.model, stream.stream) for stream in recipe.streams.values()}
    models = {model for model, _ in seen}
    assert {"c3d", "cnn_rnn", "i3d", "nonlocal", "video_transformer"} <= models
    assert seen == {(model, stream) for model in models for stream in ("rgb", "flow")}
    assert recipe.extract.settings().rgb
