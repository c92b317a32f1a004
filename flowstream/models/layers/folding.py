"""Conversion between clips and batches of frames, so that image networks process clips."""

from __future__ import annotations

from torch import Tensor, nn


def fold(clips: Tensor) -> Tensor:
    """Convert (N, C, T, H, W) clips to (N·T, C, H, W) frames, channels last in memory.

    Channels last is a quarter faster for 2D networks on a CPU, and required for fast half-precision
    convolutions on a GPU. Such frames unfold to clips of the same layout without a copy.
    """
    frames = clips.permute(0, 2, 3, 4, 1).contiguous().flatten(0, 1)
    return frames.permute(0, 3, 1, 2)


def unfold(frames: Tensor, count: int) -> Tensor:
    """Convert (N·T, C, H, W) frames to (N, C, T, H, W) clips, where N is `count`."""
    clips: Tensor = frames.unflatten(0, (count, -1))  # type: ignore[no-untyped-call]
    return clips.transpose(1, 2)


class Folded(nn.Module):
    """Part of an image network that needs to know which frames belong to one clip."""

    count = 1
    """Number of clips N in the batch; set by `set_clip_count`."""


def set_clip_count(network: nn.Module, count: int) -> None:
    """Set the number of clips in the batch for all `Folded` parts of a network."""
    for part in network.modules():
        if isinstance(part, Folded):
            part.count = count


class OnClips(Folded):
    """Wrapper that runs a 3D part inside an image network.

    Parameters
    ----------
    part : torch.nn.Module
        From (N, C, T, H, W) to (N, D, T, H', W').
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, frames: Tensor) -> Tensor:
        """Compute (N·T, D, H', W') maps of (N·T, C, H, W) frames."""
        return fold(self.part(unfold(frames, self.count)))
