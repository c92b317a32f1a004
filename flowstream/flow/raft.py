"""RAFT (recurrent all-pairs field transforms) with torchvision's network.

Pairs are computed in batches; a frame that two pairs share is encoded once.

Teed & Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020,
arXiv:2003.12039.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from flowstream.device import choose_device
from flowstream.errors import ParameterError
from flowstream.flow.raft_weights import BUILDERS, load_raft
from flowstream.flow.tensor_method import TensorMethod

# The correlation pyramid halves the 1/8 grid three times and needs two values at its top level.
SMALLEST_INPUT = 128
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class RAFT(TensorMethod):
    """RAFT network: iterative updates from all-pairs correlations.

    Parameters
    ----------
    weights : str
        Name of torchvision's weights for the variant, such as `C_T_SKHT_V2`, which torchvision
        downloads, or path of a file of torchvision or of the original authors. There is no
        default, because random weights do not give meaningful flow.
    variant : {"large", "small"}
        Size of the network.
    updates : int
        Number of iterations of the update block; the paper uses 12 in training and 32 in its Sintel
        tests.
    precision : {"float32", "float16", "bfloat16"}
        Precision of the convolutions; correlations stay in float32, as in the authors' code.
    pairs : int
        Number of pairs in a batch; it is halved when memory runs out.
    device : {"auto", "cpu", "cuda", "cuda:<i>", "mps"}
        "auto" selects a GPU if there is one.
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
            raise ParameterError(f"variant: expected 'large' or 'small', got {self.variant!r}")
        if not self.weights:
            known = ", ".join(BUILDERS[self.variant][1].__members__)
            raise ParameterError(
                "flow method 'raft': missing weights; give weights=FILE (torchvision's or the "
                f"authors' .pth), or a name that torchvision downloads: {known}"
            )
        for name in ("updates", "pairs"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.precision not in ("float32", *DTYPES):
            raise ParameterError(
                f"precision: expected float32, float16 or bfloat16, got {self.precision!r}"
            )
        # resolve "auto" now, so that `device` names the actual device
        object.__setattr__(self, "device", str(choose_device(self.device)))
        if self.precision == "float16" and self.device == "cpu":
            raise ParameterError("precision: float16 needs a GPU; use float32 on the CPU")

    @property
    def batch(self) -> int:
        """Preferred number of pairs in a batch."""
        return self.pairs

    @torch.inference_mode()
    def estimate_tensors(self, frames: Tensor, pairs: Tensor, *, directions: int) -> Tensor:
        """Estimate the flow of pairs; the features of a shared frame are computed once."""
        device = frames.device
        network = _load_network(self.variant, self.weights, str(device))
        if self.precision != "float32" and device.type == "cuda":
            network = network.to(memory_format=torch.channels_last)
        images, (top, left) = _pad(frames.permute(0, 3, 1, 2).float() / 127.5 - 1)
        one, other = pairs.unbind(1)
        found = []
        with self._autocast(device):
            features = network.feature_encoder(images).float()
            starts = images if directions == 2 else images[one]
            context = network.context_encoder(starts).float()
            for start, end in [(one, other), (other, one)][:directions]:
                its = context[start] if directions == 2 else context
                found.append(self._iterate(network, features[start], features[end], context=its))
        rows, columns = frames.shape[1:3]
        return torch.stack(found)[..., top : top + rows, left : left + columns].float()

    def _iterate(self, network: Any, first: Tensor, second: Tensor, *, context: Tensor) -> Tensor:
        """Run the update loop of torchvision's `RAFT.forward`; upsample the last result."""
        network.corr_block.build_pyramid(first.contiguous(), second.contiguous())
        hidden_size = network.update_block.hidden_state_size
        sizes = [hidden_size, context.shape[1] - hidden_size]
        hidden, context = torch.split(context, sizes, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        origin = _make_grid(len(first), first.shape[-2], first.shape[-1], device=first.device)
        position = origin
        for _ in range(self.updates):
            correlation = network.corr_block.index_pyramid(centroids_coords=position)
            hidden, step = network.update_block(hidden, context, correlation, position - origin)
            position = position + step.float()
        coarse = position - origin
        if network.mask_predictor is None:
            # align_corners=True as in the authors' upflow8
            return 8 * F.interpolate(coarse, scale_factor=8, mode="bilinear", align_corners=True)
        return _upsample_convex(coarse, network.mask_predictor(hidden).float())

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=DTYPES[self.precision])


@functools.lru_cache(maxsize=2)
def _load_network(variant: str, weights: str, device: str) -> Any:
    return load_raft(variant, weights).to(device)


def _pad(images: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Pad both sides equally to a multiple of 8 and to the smallest input size."""
    rows, columns = images.shape[-2:]
    down, right = (max(SMALLEST_INPUT, -(-side // 8) * 8) - side for side in (rows, columns))
    top, left = down // 2, right // 2
    padding = [left, right - left, top, down - top]
    return F.pad(images, padding, mode="replicate"), (top, left)


def _make_grid(count: int, rows: int, columns: int, *, device: torch.device) -> Tensor:
    """Return x and y of each pixel, `(N, 2, H, W)`."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack([x, y]).float().expand(count, -1, -1, -1)


def _upsample_convex(coarse: Tensor, mask: Tensor) -> Tensor:
    """Upsample a field eightfold by convex combinations of 3 x 3 coarse neighbours.

    See Teed & Deng 2020, section 3.3. `mask` is `(N, 9 * 8 * 8, H, W)`; the softmax is over the
    nine neighbours.
    """
    count, _, rows, columns = coarse.shape
    weights = mask.view(count, 1, 9, 8, 8, rows, columns).softmax(dim=2)
    neighbours = F.unfold(8 * coarse, kernel_size=3, padding=1)
    neighbours = neighbours.view(count, 2, 9, 1, 1, rows, columns)
    fine = (weights * neighbours).sum(dim=2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(count, 2, 8 * rows, 8 * columns)
