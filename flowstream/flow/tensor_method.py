"""Flow methods that compute with torch: one batch may hold pairs of several videos."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Size, Vectors

if TYPE_CHECKING:
    from torch import Tensor


# Pixels of a batch on a GPU: 64 pairs of 340 x 256, 16 of 640 x 480, 4 of 1280 x 720. Not chosen by
# measured time.
_BATCH_PIXELS = 6 << 20


class TensorMethod(FlowMethod):
    """Method that can estimate flow from tensors on its device."""

    @abstractmethod
    def estimate_tensors(self, frames: Tensor, pairs: Tensor, *, directions: int) -> Tensor:
        """Estimate the flow of pairs of frames, without waiting for the device.

        Parameters
        ----------
        frames : (F, H, W), or (F, H, W, 3) if `colour`, uint8
            On the device of the method; pairs may share them.
        pairs : (N, 2), int64
            Indices of the first and the second frame of each pair, on the same device.
        directions : {1, 2}

        Returns
        -------
        (directions, N, 2, H, W), float32
            Forward flow and, if `directions` is 2, backward flow.
        """

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow of pairs in batches that fit into the memory of the device."""
        forward: Vectors = estimate_in_batches(self, first, second, directions=1)[0]
        return forward

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Estimate the flow in both directions, in the same batches."""
        forward, backward = estimate_in_batches(self, first, second, directions=2)
        return forward, backward

    def pairs_at_once(self, size: Size) -> int:
        """Return the largest number of pairs of frames of this size in a batch."""
        return self.batch


def fit_pairs(size: Size) -> int:
    """Return a power of two: pairs of frames of this size that a GPU computes at once."""
    most = _BATCH_PIXELS // (size[0] * size[1])
    return 1 << min(6, max(0, most.bit_length() - 1))


def estimate_in_batches(
    method: TensorMethod, first: Images, second: Images, *, directions: int
) -> Vectors:
    """Estimate the flow of pairs (N, H, W[, 3]) in memory of the host.

    A batch that does not fit into the memory of the device is halved.

    Returns
    -------
    (directions, N, 2, H, W), float32
    """
    import torch

    size = first.shape[1], first.shape[2]
    result = np.empty((directions, len(first), 2, *size), np.float32)
    start, most = 0, method.pairs_at_once(size)
    while start < len(first):
        part = slice(start, min(start + most, len(first)))
        frames, pairs = (
            torch.from_numpy(values).to(method.device)
            for values in share_frames(first[part], second[part])
        )
        try:
            fields = method.estimate_tensors(frames, pairs, directions=directions)
            result[:, part] = fields.cpu().numpy()
        except torch.OutOfMemoryError:
            if most == 1:
                raise
            most //= 2
            torch.cuda.empty_cache()
            continue
        start = part.stop
    return result


def share_frames(first: Images, second: Images) -> tuple[Images, NDArray[np.int64]]:
    """Return the frames of pairs, those that neighbouring pairs share only once.

    Returns
    -------
    frames : (F, H, W[, 3]), uint8
    pairs : (N, 2), int64
        Indices of the frames of each pair.
    """
    frames: list[Images] = []
    pairs = np.empty((len(first), 2), np.int64)
    for k, ends in enumerate(zip(first, second, strict=True)):
        for end, image in enumerate(ends):
            recent = range(max(0, len(frames) - 2), len(frames))
            place = next((j for j in recent if np.array_equal(frames[j], image)), len(frames))
            if place == len(frames):
                frames.append(image)
            pairs[k, end] = place
    return np.stack(frames), pairs
