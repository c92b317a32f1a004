"""Recurrent cells that use 2D convolutions instead of matrix products."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""Number of gates of each cell; a gate has as many maps as the state."""


class ConvRNN(nn.Module):
    """Recurrent layer over time on maps, with weights shared between frames.

    The equations are torch's for the vanilla RNN, the GRU (Cho et al. 2014, arXiv:1406.1078) and
    the LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000). W x becomes
    a convolution of the layer below, U h a convolution of the layer's own state at the previous
    frame (Shi et al. 2015, arXiv:1506.04214, section 3.1, without peepholes; Ballas et al. 2016,
    arXiv:1511.06432, equations 6 to 9).

    Parameters
    ----------
    channels : int
        Number of input maps.
    width : int
        Number of maps of the state.
    cell : "rnn", "gru" or "lstm"
    kernel : int
        Side of both convolutions, odd; padding keeps the size of the maps.
    """

    def __init__(self, channels: int, width: int, *, cell: str, kernel: int = 3) -> None:
        super().__init__()
        if cell not in GATES:
            raise ParameterError(f"cell: got {cell!r}, expected one of: {', '.join(GATES)}")
        if kernel < 1 or kernel % 2 == 0:
            raise ParameterError(f"kernel: got {kernel}, expected an odd number")
        self.cell, self.width = cell, width
        gates = GATES[cell] * width
        self.of_input = nn.Conv2d(channels, gates, kernel, padding=kernel // 2)
        self.of_state = nn.Conv2d(width, gates, kernel, padding=kernel // 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute (N, T, width, H, W) states of (N, T, C, H, W) maps; the first state is zero."""
        count, frames = maps.shape[:2]
        # The input does not depend on the state: one convolution for all frames.
        below = self.of_input(maps.flatten(0, 1)).reshape(count, frames, -1, *maps.shape[-2:])
        state = below.new_zeros(count, self.width, *maps.shape[-2:])
        memory = torch.zeros_like(state)
        states = []
        for frame in below.unbind(dim=1):
            state, memory = self._step(frame, state, memory)
            states.append(state)
        return torch.stack(states, dim=1)

    def _step(self, below: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        own = self.of_state(state)
        if self.cell == "rnn":
            return torch.tanh(below + own), memory
        if self.cell == "gru":
            x_reset, x_update, x_new = below.chunk(3, dim=1)
            h_reset, h_update, h_new = own.chunk(3, dim=1)
            update = torch.sigmoid(x_update + h_update)
            new = torch.tanh(x_new + torch.sigmoid(x_reset + h_reset) * h_new)
            return (1 - update) * new + update * state, memory
        enter, forget, cell, leave = (below + own).chunk(4, dim=1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(cell)
        return torch.sigmoid(leave) * torch.tanh(memory), memory
