"""RAFT by torchvision's network, batched over pairs, frames shared between pairs encoded once.

Teed & Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020,
arXiv:2003.12039.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowstream.device import choose_device
from flowstream.errors import ParameterError
from flowstream.flow.method import FlowMethod
from flowstream.flow.raft_weights import BUILDERS, load_raft
from flowstream.types import Images, Vectors

# The correlation pyramid halves the 1/8 grid three times and needs two values at the top.
SMALLEST_INPUT = 128
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class RAFT(FlowMethod):
    """Deep flow by iterated updates on all-pairs correlations (Teed & Deng 2020).

    Parameters
    ----------
    weights : str
        A name of torchvision's weights for the variant (`C_T_SKHT_V2`), fetched by torchvision, or
        a file: torchvision's or the original authors'. There is no default: flow of random weights
        is no flow.
    variant : "large" or "small"
    updates : int
        Iterations of the update block; 12 in the paper's training, 32 in its Sintel tests.
    precision : "float32", "float16" or "bfloat16"
        Of the convolutions; correlations stay in float32, as in the authors' code.
    pairs : int
        How many pairs are computed at once; halved and tried again when memory runs out.
    device : "auto", "cpu", "cuda", "cuda:1", "mps"
    """

    name: ClassVar[str] = "raft"
    colour: ClassVar[bool] = True

    weights: str = ""
    variant: Literal["large", "small"] = "large"
    updates: int = 12
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    pairs: int = field(default=8, compare=False)
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        if self.variant not in BUILDERS:
            raise ParameterError(f"variant: got {self.variant!r}, expected large or small")
        if not self.weights:
            known = ", ".join(BUILDERS[self.variant][1].__members__)
            raise ParameterError(
                "flow method 'raft' needs weights: give weights=FILE (torchvision's or the "
                f"authors' .pth), or a name that torchvision fetches: {known}"
            )
        for name in ("updates", "pairs"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if self.precision not in ("float32", *DTYPES):
            raise ParameterError(
                f"precision: got {self.precision!r}, expected float32, float16 or bfloat16"
            )
        # now, so that whoever asks where it computes is told the device itself
        object.__setattr__(self, "device", str(choose_device(self.device)))
        if self.precision == "float16" and self.device == "cpu":
            raise ParameterError("precision: float16 needs a GPU; on the CPU use float32")

    @property
    def batch(self) -> int:
        """How many pairs it likes to be given at once."""
        return self.pairs

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Fields `(N, 2, H, W)` of RGB pairs, in batches of `pairs`, fewer where memory ends."""
        forward: Vectors = self._directions(first, second, both=False)[0]
        return forward

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Fields of both directions, the features of each frame computed once."""
        forward, backward = self._directions(first, second, both=True)
        return forward, backward

    def _directions(self, first: Images, second: Images, *, both: bool) -> Vectors:
        """(1 or 2, N, 2, H, W): forward, and backward where asked for."""
        device = torch.device(self.device)
        network = _network(self.variant, self.weights, self.device)
        if self.precision != "float32" and device.type == "cuda":
            network = network.to(memory_format=torch.channels_last)
        result = np.empty((1 + both, len(first), 2, *first.shape[1:3]), np.float32)
        start, pairs = 0, self.pairs
        while start < len(first):
            part = slice(start, min(start + pairs, len(first)))
            try:
                result[:, part] = self._fields(network, first[part], second[part], both=both)
            except torch.OutOfMemoryError:
                if pairs == 1:
                    raise
                pairs //= 2
                torch.cuda.empty_cache()
                continue
            start = part.stop
        return result

    def _fields(self, network: Any, first: Images, second: Images, *, both: bool) -> Vectors:
        # Consecutive pairs of a video share a frame: N+1 encodings instead of 2N.
        chained = len(first) > 1 and np.array_equal(first[1:], second[:-1])
        frames = np.concatenate([first, second[-1:]] if chained else [first, second])
        device = torch.device(self.device)
        images, (top, left) = _padded(_normalised(frames, device))
        pairs = len(first)
        ends = [slice(0, pairs), slice(1, None) if chained else slice(pairs, None)]
        found = []
        with torch.inference_mode(), self._autocast(device):
            features = network.feature_encoder(images).float()
            context = network.context_encoder(images if both else images[:pairs]).float()
            for one, other in [ends, ends[::-1]][: 1 + both]:
                found.append(
                    self._iterated(network, features[one], features[other], context=context[one])
                )
        rows, columns = first.shape[1:3]
        cut = torch.stack(found)[..., top : top + rows, left : left + columns]
        vectors: Vectors = cut.float().cpu().numpy()
        return vectors

    def _iterated(self, network: Any, first: Tensor, second: Tensor, *, context: Tensor) -> Tensor:
        """The update loop of torchvision's `RAFT.forward`, upsampling only the last estimate."""
        network.corr_block.build_pyramid(first.contiguous(), second.contiguous())
        hidden_size = network.update_block.hidden_state_size
        sizes = [hidden_size, context.shape[1] - hidden_size]
        hidden, context = torch.split(context, sizes, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        origin = _grid(len(first), first.shape[-2], first.shape[-1], device=first.device)
        position = origin
        for _ in range(self.updates):
            correlation = network.corr_block.index_pyramid(centroids_coords=position)
            hidden, step = network.update_block(hidden, context, correlation, position - origin)
            position = position + step.float()
        coarse = position - origin
        if network.mask_predictor is None:
            # align_corners as in the authors' upflow8
            return 8 * F.interpolate(coarse, scale_factor=8, mode="bilinear", align_corners=True)
        return _convex_upsampled(coarse, network.mask_predictor(hidden).float())

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=DTYPES[self.precision])


@functools.lru_cache(maxsize=2)
def _network(variant: str, weights: str, device: str) -> Any:
    return load_raft(variant, weights).to(device)


def _normalised(frames: Images, device: torch.device) -> Tensor:
    """(N, 3, H, W) in [-1, 1], as RAFT was trained."""
    images = torch.from_numpy(np.ascontiguousarray(frames)).to(device)
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _padded(images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Replicate the border, evenly about the image, to multiples of 8 and the smallest input."""
    rows, columns = images.shape[-2:]
    down, right = (max(SMALLEST_INPUT, -(-side // 8) * 8) - side for side in (rows, columns))
    top, left = down // 2, right // 2
    padding = [left, right - left, top, down - top]
    return F.pad(images, padding, mode="replicate"), (top, left)


def _grid(count: int, rows: int, columns: int, *, device: torch.device) -> Tensor:
    """(N, 2, H, W): x then y of each pixel."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack([x, y]).float().expand(count, -1, -1, -1)


def _convex_upsampled(coarse: Tensor, mask: Tensor) -> Tensor:
    """Eight times finer, each vector a convex combination of its 3x3 coarse neighbours.

    Teed & Deng 2020, section 3.3: `mask` is (N, 9*8*8, H, W), softmax over the nine.
    """
    count, _, rows, columns = coarse.shape
    weights = mask.view(count, 1, 9, 8, 8, rows, columns).softmax(dim=2)
    neighbours = F.unfold(8 * coarse, kernel_size=3, padding=1)
    neighbours = neighbours.view(count, 2, 9, 1, 1, rows, columns)
    fine = (weights * neighbours).sum(dim=2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(count, 2, 8 * rows, 8 * columns)
