"""Properties of every model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ShapeError
from flowstream.models import MODELS, build_model
from flowstream.models.model import AXES, Classifier, ClipShape, Model
from tests.tiny_models import single_thread

CLASSES = 4

Arguments = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture(scope="module")
def clip(model: Model) -> ClipShape:
    """Return the shape of a short flow clip, slightly larger than the smallest."""
    frames, rows, columns = model.min_clip
    return ClipShape(2, max(3, frames), max(16, rows), max(20, columns + 2))


@pytest.fixture(scope="module")
def network(model: Model, clip: ClipShape) -> Classifier:
    """Build a network in evaluation mode, in which all parts have an effect.

    Some parts start at zero (the norm of a nonlocal block, the join of divided attention) or equal
    at all frames (inflated filters); noise on all parameters replaces training. Norms get the
    statistics of some clips, so that the maps of deep networks do not vanish. Tests must not
    change the network.
    """
    torch.manual_seed(0)
    made = add_noise(model.build(clip, CLASSES)).train()
    norms = [part for part in made.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        made(*make_batch(model, clip, 8))
    return made.eval()


@pytest.fixture(scope="module")
def exact(network: Classifier) -> Classifier:
    """Return the network in float64, for comparisons that rounding would disturb."""
    return copy.deepcopy(network).double()


def add_noise(network: Classifier, *, seed: int = 1) -> Classifier:
    """Add noise to all parameters: a tenth of their standard deviation, or 0.1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.1 * spread or 0.1)
    return network


def make_batch(model: Model, clip: ClipShape, count: int = 2) -> list[Tensor]:
    """Return random inputs of the network."""
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(count, *shape.lengths, generator=generator) for shape in model.inputs(clip)]


def test_scores_have_one_number_per_class(
    model: Model, clip: ClipShape, network: Classifier
) -> None:
    scores = network(*make_batch(model, clip, 3))
    assert scores.shape == (3, CLASSES)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@pytest.mark.parametrize("longer", [(0, 0, 0), (1, 1, 5), (5, 16, 3)])
def test_clips_of_any_valid_shape_are_scored(
    model_name: str,
    model: Model,
    arguments: Arguments,
    channel_numbers: tuple[int | None, ...],
    longer: tuple[int, int, int],
) -> None:
    frames, rows, columns = (a + b for a, b in zip(model.min_clip, longer, strict=True))
    for channels in channel_numbers:
        with torch.device("meta"):  # shapes alone: nothing is computed
            shape = arguments(channels=channels, frames=frames, size=(rows, columns))
            built = build_model(model_name, **shape).eval()
            inputs = model.inputs(ClipShape(channels or 2, frames, rows, columns))
            scores = built(*(torch.zeros(3, *one.lengths) for one in inputs))
        assert scores.shape == (3, CLASSES)


def test_one_number_sets_both_sides(model_name: str, model: Model, arguments: Arguments) -> None:
    with torch.device("meta"):
        frames = max(3, model.min_clip[0])
        assert build_model(model_name, **arguments(size=35, frames=frames)).clip == ClipShape(
            2, frames, 35, 35
        )


def test_every_parameter_that_is_not_frozen_receives_a_gradient(
    model: Model, clip: ClipShape, network: Classifier
) -> None:
    training = copy.deepcopy(network).train()
    torch.manual_seed(0)
    scores = training(*make_batch(model, clip, 8))
    torch.autograd.backward(nn.functional.cross_entropy(scores, torch.arange(8) % CLASSES))
    for parameter_name, parameter in training.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().max() > 0, parameter_name
        else:
            assert parameter.grad is None, parameter_name


def test_samples_of_a_batch_do_not_influence_each_other_in_evaluation(
    model: Model, clip: ClipShape, exact: Classifier
) -> None:
    inputs = [part.double() for part in make_batch(model, clip, 3)]
    with torch.inference_mode():
        together = exact(*inputs)
        alone = torch.cat([exact(*(part[i : i + 1] for part in inputs)) for i in range(3)])
    # 1e-9: other batch sizes add float64 terms in another order, through up to a hundred layers
    torch.testing.assert_close(together, alone, atol=1e-9, rtol=1e-9)


def test_saved_and_loaded_weights_give_the_same_scores(
    model: Model, clip: ClipShape, network: Classifier, tmp_path: Path
) -> None:
    inputs = make_batch(model, clip)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = add_noise(copy.deepcopy(network), seed=9)
    assert not torch.equal(network(*inputs), other(*inputs))
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(network(*inputs), other(*inputs))


def test_one_seed_gives_one_network(model: Model, clip: ClipShape, network: Classifier) -> None:
    torch.manual_seed(0)
    own = dict(network.named_parameters())
    other = dict(add_noise(model.build(clip, CLASSES)).named_parameters())
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize("axis", range(4))
def test_a_clip_of_another_length_along_an_axis_is_refused(
    model: Model, clip: ClipShape, network: Classifier, axis: int
) -> None:
    inputs = make_batch(model, clip)
    for index, right in enumerate(inputs):
        shape = list(right.shape)
        shape[axis + 1] += 1
        wrong = [*inputs[:index], torch.zeros(shape), *inputs[index + 1 :]]
        with pytest.raises(ShapeError, match=rf"got {shape[axis + 1]} {AXES[axis]}, expected"):
            network(*wrong)


def test_clips_without_the_batch_axis_are_refused(
    model: Model, clip: ClipShape, network: Classifier
) -> None:
    with pytest.raises(ShapeError, match=r"expected \(N, C, T, H, W\)"):
        network(*(part[0] for part in make_batch(model, clip)))


def test_reversing_time_changes_the_scores_exactly_if_sees_order(
    model: Model, clip: ClipShape, exact: Classifier
) -> None:
    inputs = [part.double() for part in make_batch(model, clip)]
    with torch.inference_mode():
        difference = (exact(*inputs) - exact(*(part.flip(2) for part in inputs))).abs().max()
    # In float64 an average over reversed frames differs by 1e-15, an order-sensitive score by 1e-3
    # and more.
    assert bool(difference > 1e-6) is model.sees_order


def test_training_the_head_alone_is_possible(network: Classifier) -> None:
    inside = {id(parameter) for parameter in network.parameters()}
    head = list(network.head.parameters())
    assert head
    assert all(id(parameter) in inside for parameter in head)


def test_a_blank_network_accepts_the_weights_of_a_full_one(
    model: Model, clip: ClipShape, network: Classifier
) -> None:
    with torch.device("meta"):  # no weights at all, but those that are loaded
        blank = model.build(clip, CLASSES, blank=True).eval()
    blank.load_state_dict(network.state_dict(), assign=True)
    inputs = make_batch(model, clip)
    assert torch.equal(network(*inputs), blank(*inputs))


def test_a_blank_network_is_whole_without_the_pretrained_weights(
    model_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[model_name]()
    shape = ClipShape(2, max(3, model.min_clip[0]), 32, 32)
    if not getattr(model, "pretrained", False):
        pytest.skip("starts at random by itself")
    full = model.build(shape, CLASSES).eval()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("weights were read"))
    blank = model.build(shape, CLASSES, blank=True).eval()
    blank.load_state_dict(full.state_dict())
    inputs = make_batch(model, shape)
    with torch.inference_mode():
        assert torch.equal(full(*inputs), blank(*inputs))


def test_paper_and_normalisation_are_documented(model: Model) -> None:
    assert any(number in model.paper for number in ("arXiv:", "doi:"))
    assert all(0 <= mean <= 1 for mean in model.pixels.mean)
    assert all(deviation > 0 for deviation in model.pixels.deviation)
