"""Each model of the table in turn, small enough to be tried on a CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import pytest

from flowstream.models import MODELS
from flowstream.models.model import Model
from tests.tiny_models import tiny_options


@pytest.fixture(scope="module", params=list(MODELS))
def model_name(request: pytest.FixtureRequest) -> str:
    """Each model's name."""
    return cast(str, request.param)


@pytest.fixture(scope="module")
def model(model_name: str) -> Model:
    """Its recipe, made small."""
    return MODELS[model_name](**tiny_options(model_name))


@pytest.fixture(scope="module")
def channel_numbers(model: Model) -> tuple[int | None, ...]:
    """The C that it can be built for."""
    return (2, 3) if len(model.streams) == 1 else (None,)


@pytest.fixture(scope="module")
def arguments(
    model: Model, channel_numbers: tuple[int | None, ...]
) -> Callable[..., dict[str, Any]]:
    """`arguments(frames=5)`: what `build_model` takes beside its name, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        options = dataclasses.asdict(cast(Any, model))
        shape = {"channels": channel_numbers[0], "frames": 3, "size": 32, "classes": 4}
        return {**options, **shape, **changes}

    return make
