"""Training a model that sees RGB and flow together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError
from flowstream.models import build_model
from flowstream.models.model import PairClassifier
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.fit import fit
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe
from flowstream.train.scorer import Scorer

Recipes = Callable[..., StreamRecipe]


@pytest.fixture(scope="module", params=["two_stream", "two_stream_conv_fusion"])
def both(request: pytest.FixtureRequest, recipe: Recipes) -> StreamRecipe:
    flow = recipe("flow", epochs=6, segments=2)
    return replace(flow, stream="both", model=request.param)


@pytest.fixture(scope="module")
def best(both: StreamRecipe, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(both, split, tmp_path_factory.mktemp("both"), device="cpu", progress=False)


def test_it_learns_and_is_scored_like_any_other_stream(best: Path, split: Split) -> None:
    scores = predict(best, split, "test", device="cpu", progress=False)
    assert scores.scores.shape == (8, 2)
    assert scores.stream == "both"
    # 1e-5: sums of float32 probabilities over views
    np.testing.assert_allclose(scores.scores.sum(axis=1), 1, atol=1e-5)
    # eight videos of two classes that differ in colour and in motion: chance is 4 ± 1.4
    assert (scores.scores.argmax(axis=1) == scores.labels).sum() >= 7


def test_the_checkpoint_holds_a_network_of_both(best: Path, both: StreamRecipe) -> None:
    checkpoint = load_checkpoint(best)
    assert checkpoint.recipe == both
    network = checkpoint.network()
    assert isinstance(network, PairClassifier)
    assert [shape.lengths for shape in network.inputs] == [(3, 1, 16, 16), (2, 4, 16, 16)]


def test_it_is_bound_to_the_flow_that_it_was_trained_on(best: Path, other_split: Split) -> None:
    with pytest.raises(CheckpointError, match="method"):
        predict(best, other_split, "test", device="cpu", progress=False)


def test_a_model_of_both_gets_its_inputs_by_name() -> None:
    torch.manual_seed(0)
    options = {"backbone": "small_cnn", "pretrained": False}
    model = build_model("two_stream", channels=None, frames=4, size=8, classes=3, **options).eval()
    rgb, flow = torch.randn(2, 3, 1, 8, 8), torch.randn(2, 2, 4, 8, 8)
    assert torch.equal(Scorer(model)({"flow": flow, "rgb": rgb}), model(rgb, flow))


def test_a_model_of_one_stream_gets_its_only_input() -> None:
    model = build_model("slow_fusion", channels=2, frames=4, size=8, classes=3, widths=(4, 5))
    clips = torch.randn(2, 2, 4, 8, 8)
    assert torch.equal(Scorer(model.eval())({"flow": clips}), model(clips))
