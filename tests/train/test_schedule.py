"""The learning rate over training, and what decays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flowstream.models.model import Classifier, ClipShape
from flowstream.train.recipe import StreamRecipe
from flowstream.train.schedule import learning_rate, make_optimiser


class Net(Classifier):
    """Layers one after the other, the last of them the head."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(ClipShape(2, 1, 4, 4), 2)
        self.layers = nn.Sequential(*layers)

    @property
    def head(self) -> nn.Module:
        return self.layers[-1]


Recipes = Callable[..., StreamRecipe]


def test_the_cosine_goes_from_the_full_rate_over_half_of_it_to_zero(recipe: Recipes) -> None:
    cosine = recipe(epochs=10, warm_up=2.0, learning_rate=0.4)
    rates = [learning_rate(cosine, epoch) for epoch in (2, 6, 10)]
    assert rates == pytest.approx([0.4, 0.2, 0.0], abs=1e-12)


def test_the_warm_up_is_a_straight_line_from_zero(recipe: Recipes) -> None:
    warm = recipe(epochs=10, warm_up=2.0, learning_rate=0.4)
    assert [learning_rate(warm, epoch) for epoch in (0, 0.5, 1)] == pytest.approx([0, 0.1, 0.2])


def test_each_milestone_takes_the_rate_down_by_gamma(recipe: Recipes) -> None:
    steps = recipe(
        epochs=90, warm_up=0.0, schedule="step", milestones=(30, 60), gamma=0.1, learning_rate=1.0
    )
    rates = [learning_rate(steps, epoch) for epoch in (0, 29.9, 30, 59.9, 60, 90)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@given(epoch=st.floats(0, 4), warm_up=st.floats(0, 3.5))
def test_no_moment_has_a_rate_above_the_recipe_or_below_zero(
    recipe: Recipes, epoch: float, warm_up: float
) -> None:
    plain = recipe(epochs=4, warm_up=warm_up, learning_rate=0.3)
    assert 0 <= learning_rate(plain, epoch) <= 0.3


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_weights_decay_but_norms_and_biases_do_not(
    recipe: Recipes, name: str, kind: type[torch.optim.Optimizer]
) -> None:
    net = Net(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Linear(3, 2))
    optimiser = make_optimiser(recipe(optimiser=name, weight_decay=0.7), net)
    assert isinstance(optimiser, kind)
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert {name: decay[id(value)] for name, value in net.named_parameters()} == {
        "layers.0.weight": 0.7,
        "layers.0.bias": 0.0,
        "layers.1.weight": 0.0,
        "layers.1.bias": 0.0,
        "layers.2.weight": 0.7,
        "layers.2.bias": 0.0,
    }


def test_parts_that_are_not_trained_do_not_change(recipe: Recipes) -> None:
    net = Net(nn.Linear(3, 3), nn.Linear(3, 2))
    net.layers[0].requires_grad_(False)
    optimiser = make_optimiser(recipe(), net)
    trained = {id(value) for group in optimiser.param_groups for value in group["params"]}
    assert trained == {id(value) for value in net.layers[1].parameters()}


def test_layers_far_from_the_head_learn_more_slowly(recipe: Recipes) -> None:
    net = Net(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    optimiser = make_optimiser(recipe(backbone_rate=0.1, layer_decay=0.5), net)
    scale = {
        id(parameter): group["scale"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    scales = [scale[id(layer.weight)] for layer in net.layers]
    assert scales == pytest.approx([0.1 * 0.25, 0.1 * 0.5, 1.0])
