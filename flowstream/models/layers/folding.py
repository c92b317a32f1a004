"""Clips folded into the batch, so that a network of images runs on their frames, and back."""

from __future__ import annotations

from torch import Tensor, nn


def fold(clips: Tensor) -> Tensor:
    """(N·T, C, H, W) frames of (N, C, T, H, W) clips, channels last in memory.

    Channels last is a quarter faster for 2D networks on a CPU and what a GPU's half-precision
    convolutions want; and frames that lie so unfold to clips that lie so, without a copy.
    """
    frames = clips.permute(0, 2, 3, 4, 1).contiguous().flatten(0, 1)
    return frames.permute(0, 3, 1, 2)


def unfold(frames: Tensor, count: int) -> Tensor:
    """(N, C, T, H, W) clips of (N·T, C, H, W) frames, N = `count`."""
    clips: Tensor = frames.unflatten(0, (count, -1))  # type: ignore[no-untyped-call]
    return clips.transpose(1, 2)


class Folded(nn.Module):
    """A part of a network of frames that looks at the clips which they come from."""

    count = 1
    """N of the batch to come; set by `tell_count`."""


def tell_count(network: nn.Module, count: int) -> None:
    """Tell all `Folded` parts of a network how many clips its frames are."""
    for part in network.modules():
        if isinstance(part, Folded):
            part.count = count


class OnClips(Folded):
    """A 3D part among 2D ones: it is given the frames as the clips that they are.

    Parameters
    ----------
    part : torch.nn.Module
        From (N, C, T, H, W) to (N, D, T, H', W').
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, D, H', W') of (N·T, C, H, W)."""
        return fold(self.part(unfold(frames, self.count)))
