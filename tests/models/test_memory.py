"""The memory of a training step, foretold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models import MODELS
from flowstream.models.c3d import C3D
from flowstream.models.cnn_rnn import CNNRNN
from flowstream.models.memory import TrainingMemory, saved_sizes, training_memory
from flowstream.models.model import ClipShape
from flowstream.models.slow_fusion import SlowFusion

SMALL: dict[str, dict[str, Any]] = {
    "c3d": {"width": 4, "features": 8},
    # an LSTM on a CPU keeps oneDNN's workspace besides, which no shape tells
    "cnn_rnn": {"cell": "gru", "fine_tune": True},
    "late_fusion_fc": {"hidden": 8},
    "nonlocal": {"options": {"widths": (4, 6, 8)}},
    "video_transformer": {"depth": 2, "width": 24},
}


@pytest.mark.parametrize("name", list(MODELS))
def test_foretold_activations_are_those_that_a_real_step_keeps_to_the_byte(name: str) -> None:
    model = MODELS[name](**SMALL.get(name, {}))
    frames, rows, columns = model.smallest
    clip = ClipShape(2, max(3, frames), max(32, rows), max(32, columns))
    torch.manual_seed(0)
    network = model.build(clip, 5, blank=True).train()
    sizes = saved_sizes(network, [torch.randn(3, *shape.lengths) for shape in model.inputs(clip)])
    foretold = training_memory(model, clip, 5, batch=3)
    assert foretold.activations == sum(sizes)
    assert foretold.backward == 2 * max(sizes)


def test_a_networks_bytes_counted_by_hand() -> None:
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
    assert memory.backward == 2 * 8 * 4 * maps
    parts = (memory.clips, memory.activations, memory.backward, 3 * 4 * parameters)
    assert memory.total == sum(parts)


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


def test_what_is_shared_is_counted_once_and_what_is_there_anyway_not() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    clips = torch.randn(2, 6)
    # the rectified features, in place of the linear ones; the scores' logarithms; labels; a count
    assert sorted(saved_sizes(network, [clips])) == sorted([2 * 4 * 4, 2 * 3 * 4, 2 * 8, 4])


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_without_clips_is_refused(batch: int) -> None:
    with pytest.raises(ParameterError, match=f"batch: got {batch}, expected at least 1"):
        training_memory(SlowFusion(), ClipShape(3, 4, 16, 16), 5, batch=batch)


def test_a_batch_that_a_norm_cannot_train_on_is_refused() -> None:
    model, clip = SlowFusion(widths=(4, 6), pool=4), ClipShape(3, 4, 4, 4)
    with pytest.raises(ParameterError, match=r"batch: got 1: .*more than 1 value per channel"):
        training_memory(model, clip, 5, batch=1)
