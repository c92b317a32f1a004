"""Recurrent cells over maps, compared with torch's cells over vectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.layers.conv_rnn import GATES, ConvRNN
from flowstream.models.recurrent_conv import RecurrentConv

TORCH: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

every_cell = pytest.mark.parametrize("cell", list(GATES))


def copy_cell(cell: str, recurrent: nn.RNNBase) -> ConvRNN:
    """Return a convolutional cell with 1 x 1 kernels equal to torch's matrices."""
    conv = ConvRNN(recurrent.input_size, recurrent.hidden_size, cell=cell, kernel=1)
    with torch.no_grad():
        for ours, theirs in ((conv.of_input, "ih"), (conv.of_state, "hh")):
            matrix: Tensor = getattr(recurrent, f"weight_{theirs}_l0")
            ours.weight.copy_(matrix[:, :, None, None])
            assert ours.bias is not None
            ours.bias.copy_(getattr(recurrent, f"bias_{theirs}_l0"))
    return conv


@every_cell
def test_1x1_kernels_equal_torchs_recurrence_at_each_position(cell: str) -> None:
    torch.manual_seed(0)
    recurrent = TORCH[cell](3, 5, batch_first=True)
    maps = torch.randn(2, 7, 3, 4, 6)
    states = copy_cell(cell, recurrent)(maps)
    assert states.shape == (2, 7, 5, 4, 6)
    for row in range(4):
        for column in range(6):
            expected, _ = recurrent(maps[..., row, column])
            # 1e-6: float32 sums of eight terms, seven times over
            torch.testing.assert_close(states[..., row, column], expected, atol=1e-6, rtol=1e-5)


@every_cell
def test_later_frames_do_not_change_earlier_states(cell: str) -> None:
    torch.manual_seed(0)
    conv = ConvRNN(2, 3, cell=cell)
    maps = torch.randn(1, 6, 2, 5, 5)
    changed = maps.clone()
    changed[:, 4] += 1
    before, after = conv(maps), conv(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=0, rtol=0)
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=(0, 2, 3, 4)).min() > 1e-4


@every_cell
def test_the_receptive_field_of_a_state_grows_by_one_pixel_per_frame(cell: str) -> None:
    torch.manual_seed(0)
    conv = ConvRNN(1, 2, cell=cell, kernel=3)
    maps = torch.zeros(1, 4, 1, 1, 15)
    changed = maps.clone()
    changed[0, 0, 0, 0, 7] = 1
    differs = (conv(maps) != conv(changed)).any(dim=2)[0, :, 0]  # (T, columns)
    for moment, columns in enumerate(differs):
        touched = columns.nonzero().flatten().tolist()
        # 3 columns by the convolution of the input, then one more on each side at each step
        assert touched == list(range(7 - 1 - moment, 7 + 2 + moment))


@every_cell
def test_weights_are_shared_over_time_and_differ_between_layers(cell: str) -> None:
    def parameters(frames: int) -> list[torch.Size]:
        network = build_model(
            "recurrent_conv", channels=2, frames=frames, size=8, classes=3, cell=cell, widths=(4, 5)
        )
        return [part.shape for part in network.parameters()]

    assert parameters(2) == parameters(9)
    gates = GATES[cell]
    assert parameters(2)[:8:2] == [
        (gates * 4, 2, 3, 3),
        (gates * 4, 4, 3, 3),
        (gates * 5, 4, 3, 3),
        (gates * 5, 5, 3, 3),
    ]


def test_maps_are_halved_between_layers_and_reduced_by_the_first_stride() -> None:
    network = build_model(
        "recurrent_conv", channels=2, frames=3, size=(16, 24), classes=3, widths=(4, 5), stride=2
    )
    sizes = []
    for part in network.modules():
        if isinstance(part, ConvRNN):
            part.register_forward_hook(lambda _, __, states: sizes.append(tuple(states.shape)))
    network(torch.zeros(1, 2, 3, 16, 24))
    assert sizes == [(1, 3, 4, 8, 12), (1, 3, 5, 4, 6)]


@pytest.mark.parametrize("kernel", [0, 2])
def test_an_even_kernel_is_refused(kernel: int) -> None:
    with pytest.raises(ParameterError, match=f"kernel: got {kernel}, expected an odd number"):
        ConvRNN(2, 3, cell="gru", kernel=kernel)
    with pytest.raises(ParameterError, match=f"kernel: got {kernel}, expected an odd number"):
        RecurrentConv(kernel=kernel)


def test_an_unknown_cell_and_layers_without_maps_are_refused() -> None:
    with pytest.raises(ParameterError, match="cell: got 'mlp', expected one of: rnn, gru, lstm"):
        ConvRNN(2, 3, cell="mlp")
    with pytest.raises(ParameterError, match="cell: got 'mlp'"):
        RecurrentConv(cell="mlp")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="widths: got"):
        RecurrentConv(widths=())
    with pytest.raises(ParameterError, match=r"stride: .*got 0"):
        RecurrentConv(stride=0)
