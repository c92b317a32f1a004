"""Deep flow of the networks in PTLFlow, by name.

H. Morimitsu, "PyTorch Lightning Optical Flow", https://github.com/hmorimitsu/ptlflow. Its models
keep the names of their authors' layers, so files of the original authors often fit, too.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from flowstream.device import choose_device
from flowstream.errors import (
    FlowstreamError,
    MissingDependencyError,
    ParameterError,
    did_you_mean,
)
from flowstream.flow.raft_weights import read_tensors
from flowstream.flow.tensor_method import TensorMethod
from flowstream.ranges import check_at_least

_SHOWN = 20


@dataclass(frozen=True)
class PTLFlow(TensorMethod):
    """Any network of PTLFlow that estimates flow from two frames.

    Parameters
    ----------
    model : str
        Name in PTLFlow, such as `raft_small`, `gmflow`, `sea_raft_s` or `rpknet`.
    weights : str
        Path of a checkpoint file, of PTLFlow or of the model's authors, or a name for which PTLFlow
        downloads a checkpoint, such as `things`. There is no default, because random weights do not
        give meaningful flow.
    updates : int
        Number of iterations of the models that have a parameter `iters`; 0 keeps their default.
    pairs : int
        Number of pairs in a batch; it is halved when memory runs out.
    device : {"auto", "cpu", "cuda", "cuda:<i>", "mps"}
        "auto" selects a GPU if there is one.
    """

    name: ClassVar[str] = "ptlflow"
    colour: ClassVar[bool] = True

    model: str = ""
    weights: str = ""
    updates: int = 0
    pairs: int = field(default=8, compare=False)
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        known = _library().get_model_names()
        if self.model not in known:
            names = ", ".join(known[:_SHOWN])
            raise ParameterError(
                f"flow method 'ptlflow': unknown model {self.model!r}; known: {names} and "
                f"{len(known) - _SHOWN} more.{did_you_mean(self.model, known)}"
            )
        stored = list(getattr(_model_class(self.model), "pretrained_checkpoints", None) or {})
        if not Path(self.weights).is_file() and self.weights not in stored:
            hint = did_you_mean(self.weights, stored)
            raise ParameterError(
                f"flow method 'ptlflow': weights {self.weights!r} is neither a file nor a "
                f"checkpoint of {self.model!r}; known: {', '.join(stored)}.{hint}"
            )
        check_at_least("updates", self.updates, 0)
        check_at_least("pairs", self.pairs, 1)
        object.__setattr__(self, "device", str(choose_device(self.device)))

    @property
    def batch(self) -> int:
        """Preferred number of pairs in a batch."""
        return self.pairs

    @torch.inference_mode()
    def estimate_tensors(self, frames: Tensor, pairs: Tensor, *, directions: int) -> Tensor:
        """Estimate the flow of pairs; the network receives BGR images in [0, 1]."""
        network = _load(self.model, self.weights, self.updates, device=str(frames.device))
        images = frames.flip(3).permute(0, 3, 1, 2).float() / 255
        found = []
        for ends in (pairs, pairs.flip(1))[:directions]:
            flows = network({"images": images[ends]})["flows"]
            expected = (len(pairs), 1, 2, *frames.shape[1:3])
            if flows.shape != expected:
                raise FlowstreamError(
                    f"flow method 'ptlflow': {self.model!r} does not estimate one field from two "
                    f"frames; expected shape {expected}, got {tuple(flows.shape)}"
                )
            found.append(flows[:, 0].float())
        return torch.stack(found)


def _library() -> Any:
    """Import PTLFlow, which takes seconds, when a method is built or computes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library about its own dependencies
            import ptlflow
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"flow method 'ptlflow' needs {error.name!r}; install it with: "
            "pip install 'flowstream[ptlflow]'"
        ) from error
    return ptlflow


def _model_class(model: str) -> Any:
    return _library().get_model_reference(model)


@functools.lru_cache(maxsize=2)
def _load(model: str, weights: str, updates: int, *, device: str) -> Any:
    """Load a network in evaluation mode; nothing is unpickled but tensors and plain values."""
    kind = _model_class(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            network = kind(**({"iters": updates} if updates else {}))
        except TypeError as error:
            raise ParameterError(f"flow method 'ptlflow': model {model!r}: {error}") from error
    if Path(weights).is_file():
        state = read_tensors(Path(weights))
    else:
        state = _library().load_checkpoint(weights, kind)["state_dict"]
    _load_exactly(network, state, where=f"{weights}: not weights of {model!r}")
    return network.eval().to(device)


def _load_exactly(network: Any, state: Mapping[str, Tensor], *, where: str) -> None:
    # Files of authors who trained on several GPUs name each tensor "module.…".
    state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # another shape
        raise ParameterError(f"{where}: {' '.join(str(error).split())}") from error
    missing = [key for key in missing if not key.endswith(".num_batches_tracked")]
    for what, keys in (("missing", missing), ("unexpected", unexpected)):
        if keys:
            shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
            raise ParameterError(f"{where}: {len(keys)} {what}: {shown}")
