"""Estimated memory of a training step."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models import MODELS
from flowstream.models.c3d import C3D
from flowstream.models.cnn_rnn import CNNRNN
from flowstream.models.inspect.live_bytes import LiveBytes
from flowstream.models.inspect.memory import TrainingMemory, measure_saved_tensors, training_memory
from flowstream.models.model import Classifier, ClipShape, Model
from flowstream.models.slow_fusion import SlowFusion
from flowstream.train.recipe import StreamRecipe
from flowstream.train.schedule import make_optimiser
from tests.tiny_models import tiny_options

SMALL: dict[str, dict[str, Any]] = {
    # an LSTM on a CPU keeps oneDNN's workspace besides, which no shape tells
    "cnn_rnn": {"cell": "gru", "fine_tune": True},
    "nonlocal": {"options": {"widths": (4, 6, 8)}},
    "video_transformer": {"depth": 2, "width": 24},
}
# With the default CNN, of images and inflated; the others have a small one, which is traced sooner.
PUBLISHED = ("single_frame", "i3d")


@pytest.mark.parametrize("name", list(MODELS))
def test_activations_and_total_are_those_of_a_real_step_to_the_byte(name: str) -> None:
    model, clip = make_small(name)
    estimate = training_memory(model, clip, 5, batch=3)
    network, inputs = build_real(model, clip, batch=3)
    assert estimate.activations == sum(measure_saved_tensors(network, inputs))
    assert estimate.total == measure_second_step(network, inputs, "sgd")


@pytest.mark.parametrize("name", ["slow_fusion", "early_fusion", "mc3_18"])
def test_with_adamw_the_total_differs_only_by_its_temporary_values(name: str) -> None:
    model, clip = make_small(name)
    network, inputs = build_real(model, clip, batch=3)
    peak = measure_second_step(network, inputs, "adamw")
    total = training_memory(model, clip, 5, batch=3, optimiser="adamw").total
    trained = [part.nbytes for part in network.parameters() if part.requires_grad]
    # below: it may take the largest parameter after a small one, and so keep little of that;
    # above: a number of 4 bytes for each parameter, how many steps were made
    assert total - max(trained) <= peak <= total + 4 * len(trained)


def make_small(name: str) -> tuple[Model, ClipShape]:
    options = {} if name in PUBLISHED else {**tiny_options(name), **SMALL.get(name, {})}
    model: Model = MODELS[name](**options)
    frames, rows, columns = model.min_clip
    return model, ClipShape(2, max(3, frames), max(32, rows), max(32, columns))


def build_real(model: Model, clip: ClipShape, *, batch: int) -> tuple[Classifier, list[Tensor]]:
    torch.manual_seed(0)
    network = model.build(clip, 5, blank=True)
    network.train()
    return network, [torch.randn(batch, *shape.lengths) for shape in model.inputs(clip)]


def measure_second_step(
    network: Classifier, inputs: list[Tensor], kind: Literal["sgd", "adamw"]
) -> int:
    """Measure the peak bytes of a step as in `fit`, with the state of the optimiser."""
    optimiser = make_optimiser(StreamRecipe("rgb", "slow_fusion", optimiser=kind), network)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        scores = network(*inputs)
        labels = torch.zeros(len(scores), dtype=torch.long)
        loss = nn.functional.cross_entropy(scores, labels)
        torch.autograd.backward(loss)
        optimiser.step()

    step()
    optimiser.zero_grad(set_to_none=True)
    kept = [value for state in optimiser.state.values() for value in state.values()]
    own = [value for value in kept if isinstance(value, Tensor)]
    live = LiveBytes([*network.parameters(), *network.buffers(), *inputs, *own])
    with live:
        step()
    return live.peak


def test_the_bytes_of_a_small_network_counted_by_hand() -> None:
    model = SlowFusion(widths=(5,), norm=False, dropout=0.0)
    clip = ClipShape(2, 3, 4, 6)
    memory = training_memory(model, clip, 7, batch=8)
    values = 2 * 3 * 4 * 6
    assert memory.raw_video == 8 * values
    assert memory.clips == 4 * 8 * values
    parameters = (2 * 27 + 1) * 5 + (5 + 1) * 7
    assert memory.parameters == memory.gradients == memory.optimiser == 4 * parameters
    # kept: the rectified maps, the five means of each clip for the linear layer, log-probabilities
    # of the loss; its labels (8 bytes each) and the number of them that count (4 bytes)
    maps, means, loss = 5 * 3 * 4 * 6, 5, 7
    assert memory.activations == 8 * (4 * (maps + means + loss) + 8) + 4
    # at the peak, where the maps' gradient is rectified: the maps, and that gradient before and
    # after; the linear layer's gradients; scores, labels, loss and the gradient of one it begins
    # with; clips, parameters and momenta
    linear, clips = 4 * (5 + 1) * 7, memory.clips
    peak = 3 * 8 * 4 * maps + linear + 8 * (4 * loss + 8) + 4 + 4 + clips + 2 * 4 * parameters
    assert memory.total == peak
    assert memory.temporary == peak - clips - memory.activations - 3 * 4 * parameters


def test_with_many_parameters_the_peak_is_the_step_of_the_optimiser() -> None:
    model, clip = C3D(width=4, features=512), ClipShape(3, 4, 32, 32)
    memory = training_memory(model, clip, 5, batch=1)
    # SGD adds the decay to the gradient of the largest layer, and Nesterov's momentum to that;
    # there are still scores, a label and the loss
    passing, results = 2 * 4 * 512 * 512, 4 * 5 + 8 + 4
    assert memory.total == memory.clips + 3 * memory.parameters + passing + results
    assert memory.temporary == passing + results - memory.activations


def test_nothing_is_temporary_if_gradients_are_allocated_after_the_peak() -> None:
    model, clip = SlowFusion(widths=(32,) * 8, pool=1), ClipShape(3, 4, 8, 8)
    memory = training_memory(model, clip, 5, batch=8)
    # early in the backward pass: all parameters' gradients will take more than two maps'
    assert memory.gradients > 2 * 8 * 4 * 32 * 4 * 8 * 8
    there = memory.clips + memory.activations + memory.parameters + memory.optimiser
    assert there < memory.total < there + memory.gradients
    assert memory.temporary == 0


def test_adamw_keeps_two_moments_and_sgd_one() -> None:
    model, clip = SlowFusion(widths=(4, 6)), ClipShape(3, 4, 16, 16)
    sgd = training_memory(model, clip, 5, batch=2)
    adamw = training_memory(model, clip, 5, batch=2, optimiser="adamw")
    assert adamw.optimiser == 2 * sgd.optimiser == 2 * sgd.gradients
    network = model.build(clip, 5)
    optimisers: tuple[tuple[torch.optim.Optimizer, TrainingMemory], ...] = (
        (torch.optim.AdamW(network.parameters(), lr=0.1), adamw),
        (torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), sgd),
    )
    for optimiser, foretold in optimisers:
        network(torch.randn(2, 3, 4, 16, 16)).sum().backward()
        optimiser.step()
        states = optimiser.state_dict()["state"].values()
        kept = sum(v.nbytes for state in states for v in state.values() if v is not None and v.ndim)
        assert kept == foretold.optimiser


def test_activations_grow_with_the_batch_and_parameters_do_not() -> None:
    model, clip = C3D(width=4, features=8), ClipShape(3, 4, 32, 32)
    one, eight = (training_memory(model, clip, 5, batch=batch) for batch in (1, 8))
    # 1 %: a number or two of the loss that there is one of whatever the batch
    assert eight.activations == pytest.approx(8 * one.activations, rel=0.01)
    assert eight.parameters == one.parameters
    assert eight.raw_video == 8 * one.raw_video


def test_a_frozen_cnn_keeps_nothing_and_needs_no_gradients() -> None:
    clip = ClipShape(3, 4, 32, 32)
    frozen = training_memory(CNNRNN(), clip, 5, batch=2)
    tuned = training_memory(CNNRNN(fine_tune=True), clip, 5, batch=2)
    assert frozen.activations < tuned.activations / 20
    assert frozen.gradients < tuned.gradients
    assert frozen.parameters == tuned.parameters


def test_shared_storages_count_once_and_inputs_do_not_count() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    clips = torch.randn(2, 6)
    # the rectified features, in place of the linear ones; the scores' logarithms; labels; a count
    assert sorted(measure_saved_tensors(network, [clips])) == sorted(
        [2 * 4 * 4, 2 * 3 * 4, 2 * 8, 4]
    )


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_without_clips_is_refused(batch: int) -> None:
    with pytest.raises(ParameterError, match=f"batch: expected at least 1, got {batch}"):
        training_memory(SlowFusion(), ClipShape(3, 4, 16, 16), 5, batch=batch)


def test_a_batch_that_a_norm_cannot_train_on_is_refused() -> None:
    model, clip = SlowFusion(widths=(4, 6), pool=4), ClipShape(3, 4, 4, 4)
    with pytest.raises(ParameterError, match=r"batch: got 1: .*more than 1 value per channel"):
        training_memory(model, clip, 5, batch=1)
