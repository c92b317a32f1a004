"""What a stream's recipe accepts."""

from __future__ import annotations

from typing import Any

import pytest

from flowstream.errors import RecipeError
from flowstream.plugins import provenance
from flowstream.recipe import build
from flowstream.train.evaluation import Evaluation
from flowstream.train.recipe import StreamRecipe

LEAST: dict[str, Any] = {"stream": "flow", "model": "early_fusion", "frames": 10}


def make(**values: Any) -> StreamRecipe:
    return build(StreamRecipe, {**LEAST, **values}, where="temporal")


def test_stream_model_and_frames_are_enough() -> None:
    recipe = make()
    assert recipe.clip.lengths == (2, 10, 112, 112)
    assert recipe.evaluation == Evaluation(segments=25, crops=10)


def test_rgb_clips_have_three_channels() -> None:
    assert make(stream="rgb", frames=1, size=[96, 128]).clip.lengths == (3, 1, 96, 128)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stream": "audio"}, "stream: got 'audio', expected one of: rgb, flow"),
        ({"model": "early_fusoin"}, "Did you mean 'early_fusion'"),
        ({"options": {"droput": 0.5}}, "droput: unknown key.*Did you mean 'dropout'"),
        ({"options": {"backbone": "resnet-18"}}, "Did you mean 'resnet18'"),
        ({"options": {"backbone": "small_cnn"}}, "no weights True; known: none; set pretrained"),
        ({"size": 16}, "got 16 rows, expected at least 32"),
        (
            {"model": "two_stream"},
            "got 'flow', expected 'both', because model 'two_stream' sees RGB and flow together",
        ),
        (
            {"stream": "both"},
            "got 'both', expected one of rgb, flow.*'early_fusion' sees one of RGB and",
        ),
        ({"learning_rat": 0.1}, "learning_rat: unknown key.*Did you mean 'learning_rate'"),
        ({"frames": 0}, "frames: got 0"),
        ({"step": 0}, "step: got 0"),
        ({"size": 0}, "size: got 0"),
        ({"size": [16, 0]}, "size: got"),
        ({"bound": 0.0}, "bound: got 0.0"),
        ({"segments": 0}, "segments: got 0"),
        ({"batch": 0}, "batch: got 0"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate: got nan"),
        ({"momentum": 1.0}, "momentum: got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay: got -1.0"),
        ({"weight_decay": float("inf")}, "weight_decay: got inf"),
        ({"seed": 2**63}, "seed: got 9223372036854775808, expected at most 9223372036854775807"),
        ({"step": 10**21}, "step: got 1000000000000000000000, expected at most 10000"),
        ({"batch": 10**22}, "batch: got 10000000000000000000000, expected at most 1000000"),
        ({"workers": 10**6}, "workers: got 1000000, expected at most 1000"),
        ({"evaluation": {"segments": 10**9}}, "segments: got 1000000000, expected 1 to 10000"),
        ({"gamma": 0.0}, "gamma: got 0.0"),
        ({"warm_up": 80.0}, "warm_up: got 80.0"),
        ({"label_smoothing": 1.0}, "label_smoothing: got 1.0"),
        ({"clip_gradient": 0.0}, "clip_gradient: got 0.0"),
        ({"validate_every": 0}, "validate_every: got 0"),
        ({"seed": -1}, "seed: got -1"),
        ({"workers": -1}, "workers: got -1"),
        ({"stacking": "both"}, "stacking: got 'both', expected one of: flow, trajectory, bidir"),
        ({"stacking": "trajectory", "stream": "rgb"}, "stacking: got 'traj.*for a stream of RGB"),
        ({"stacking": "bidirectional", "frames": 5}, "frames: got 5, expected an even number"),
        ({"milestones": [30, 60]}, "none with 'cosine'"),
        ({"schedule": "step"}, "epochs with schedule 'step'"),
        ({"schedule": "step", "milestones": [60, 30]}, "rising epochs"),
        ({"augment": [{"name": "horizontal_flip", "p": 1.5}]}, "augment: horizontal_flip: p: got"),
        ({"augment": [{"name": "corner_crop", "scales": []}]}, "augment: corner_crop: scales"),
        ({"augment": []}, "augment: no crop to 112x112"),
        ({"evaluation": {"crops": 4}}, "evaluation: crops: got 4, expected 1, 3, 5, 10 or 'full'"),
        ({"channels": ["strian"]}, "channels: got .*strain"),
        ({"channels": ["strain"], "stream": "rgb"}, "channels: .*none for a stream of RGB"),
        ({"trainer": "gradiend"}, "Did you mean 'gradient'"),
        ({"trainer_options": {"x": 1}}, "x: unknown key"),
        ({"mixup": -1.0}, "mixup: got -1.0"),
        ({"ema": 1.0}, "ema: got 1.0"),
        ({"layer_decay": 0.0}, "layer_decay: got 0.0"),
        ({"validation": {"segments": 0}}, "validation: segments: got 0"),
    ],
)
def test_invalid_values_are_refused_with_their_place(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=f"^temporal.*{message}"):
        make(**values)


def test_a_recipe_survives_as_plain_data() -> None:
    recipe = make(options={"backbone": "small_cnn", "pretrained": False}, size=[96, 128])
    assert build(StreamRecipe, provenance(recipe), where="again") == recipe


def test_a_change_of_the_evaluation_does_not_require_training() -> None:
    assert make(evaluation={"segments": 3}) == make()
    assert str(make(evaluation={"segments": 3, "crops": "full"}).evaluation).startswith("3xfull")


def test_derived_channels_widen_the_input() -> None:
    assert make(channels=["magnitude", "strain"]).clip.lengths == (4, 10, 112, 112)


def test_workers_change_no_result_and_are_not_recorded() -> None:
    assert make(workers=3) == make(workers=0)
    assert "workers" not in provenance(make(workers=3))
