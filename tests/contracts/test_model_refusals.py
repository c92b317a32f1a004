"""Invalid arguments that every model refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowstream.errors import ParameterError, RecipeError, ShapeError, UnknownNameError
from flowstream.models import build_model
from flowstream.models.model import AXES, Model

Arguments = Callable[..., dict[str, Any]]


def test_an_unknown_option_is_refused_with_the_nearest_name(
    model_name: str, arguments: Arguments
) -> None:
    with pytest.raises(RecipeError, match=r"droput: unknown key.*Did you mean 'dropout'\?"):
        build_model(model_name, **arguments(droput=0.5))


def test_an_option_of_the_wrong_type_is_refused(model_name: str, arguments: Arguments) -> None:
    with pytest.raises(RecipeError, match="dropout: got 'much', expected a number"):
        build_model(model_name, **arguments(dropout="much"))


def test_an_invalid_rate_of_dropout_is_refused(model_name: str, arguments: Arguments) -> None:
    with pytest.raises((ParameterError, RecipeError), match=r"dropout: expected .*got 1.0"):
        build_model(model_name, **arguments(dropout=1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 0}, "got 0 classes"),
        ({"classes": "5"}, "got '5' classes"),
        ({"frames": 0}, "got 0 frames"),
        ({"frames": 4.5}, "got 4.5 frames"),
        ({"size": (16, 16, 3)}, "got size .* expected rows and columns"),
        ({"size": (0, 16)}, "got 0 rows"),
        ({"size": (16, 0)}, "got 0 columns"),
    ],
)
def test_an_empty_shape_is_refused(
    model_name: str, arguments: Arguments, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        build_model(model_name, **arguments(**change))


def test_channels_are_required_exactly_for_models_of_one_stream(
    model_name: str, arguments: Arguments, channel_numbers: tuple[int | None, ...]
) -> None:
    wrong = 2 if None in channel_numbers else None
    with pytest.raises(ParameterError, match=f"got {wrong} channels, expected"):
        build_model(model_name, **arguments(channels=wrong))


@pytest.mark.parametrize("axis", range(3))
def test_a_clip_below_the_smallest_size_is_refused(
    model_name: str, model: Model, arguments: Arguments, axis: int
) -> None:
    lengths = list(model.min_clip)
    least = lengths[axis]
    lengths[axis] -= 1
    frames, *size = lengths
    error = ShapeError if least > 1 else ParameterError
    with pytest.raises(error, match=f"got {least - 1} {AXES[axis + 1]}, expected "):
        build_model(model_name, **arguments(frames=frames, size=tuple(size)))


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'early_fusion'"):
        build_model("early_fusoin", channels=2, frames=3, size=16, classes=4)
