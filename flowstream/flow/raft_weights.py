"""RAFT weights of torchvision and of the original authors.

The files of the original authors (Teed & Deng 2020, https://github.com/princeton-vl/RAFT) use
different names for the same layers. `rename` maps every key by rules; a missing or unexpected key
is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.optical_flow import (
    Raft_Large_Weights,
    Raft_Small_Weights,
    raft_large,
    raft_small,
)

from flowstream.errors import ParameterError, did_you_mean

BUILDERS = {"small": (raft_small, Raft_Small_Weights), "large": (raft_large, Raft_Large_Weights)}

# Pattern of the authors' name and torchvision's replacement, applied in this order. Norm n of a
# residual block follows its convolution n.
_RULES = [
    (r"^module\.", ""),
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^(\w+_encoder)\.norm1\.", r"\1.convnormrelu.1."),
    (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
    (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (
        r"^update_block\.gru\.conv([zrq])([12]?)\.",
        r"update_block.recurrent_block.convgru\2.conv\1.",
    ),
    (r"\.convgru\.", ".convgru1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
]


def load_raft(variant: str, weights: str) -> nn.Module:
    """Load torchvision's RAFT network with weights, in evaluation mode.

    Parameters
    ----------
    variant : {"small", "large"}
        Size of the network.
    weights : str
        Name in torchvision's enum, such as `C_T_V2`, which torchvision downloads, or path of a file
        with the keys of torchvision or of the original authors.

    Raises
    ------
    ParameterError
        If the name is unknown, or the tensors of the file are not those of the variant.
    """
    build, names = BUILDERS[variant]
    if weights in names.__members__:
        return _download(build, names[weights]).eval()
    path = Path(weights)
    if not path.is_file():
        known = ", ".join(names.__members__)
        hint = did_you_mean(weights, names.__members__)
        raise ParameterError(
            f"flow method 'raft': weights {weights!r} is neither a file nor a name of "
            f"torchvision's {variant!r} weights; known: {known}.{hint}"
        )
    network: nn.Module = build(weights=None)
    _load_exactly(network, read_tensors(path), where=f"{path}: not RAFT {variant} weights")
    return network.eval()


def _download(build: Any, weights: Any) -> nn.Module:
    try:
        network: nn.Module = build(weights=weights, progress=False)
    except OSError as error:
        raise ParameterError(
            f"flow method 'raft': cannot download {weights.url}: {error}; download it elsewhere "
            "and give weights=PATH"
        ) from error
    return network


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file, or those below `state_dict` of a checkpoint.

    Raises
    ------
    ParameterError
        If the file holds anything else; only tensors and plain values are unpickled.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for an invalid file
        raise ParameterError(f"{path}: not a weight file: {_first_line(error)}") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise ParameterError(f"{path}: not a weight file; expected a mapping of tensors")
    return dict(state)


def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with torchvision's names, from either naming.

    The authors' residual blocks register the norm of their shortcut twice, as `downsample.1` and as
    their last norm; an identical copy is dropped.
    """
    if any(key.startswith("feature_encoder.") for key in state):
        return dict(state)
    copies = _shortcut_norms(state)
    renamed = {}
    for key, tensor in state.items():
        if key in copies and torch.equal(tensor, state[copies[key]]):
            continue
        name = key
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _shortcut_norms(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Map the second name of each tensor of a shortcut norm to its first name."""
    pattern = re.compile(r"(.*layer\d\.0)\.norm[34]\.(\w+)$")
    matches = ((key, pattern.match(key)) for key in state)
    firsts = {key: f"{m[1]}.downsample.1.{m[2]}" for key, m in matches if m}
    return {key: first for key, first in firsts.items() if first in state}


def _load_exactly(network: nn.Module, state: Mapping[str, Tensor], *, where: str) -> None:
    expected, found = network.state_dict(), rename(state)
    # A counter that is not used in evaluation; files of old torch versions lack it.
    optional = {key for key in expected if key.endswith(".num_batches_tracked")}
    problems = {
        "missing": sorted(expected.keys() - found.keys() - optional),
        "unexpected": sorted(found.keys() - expected.keys()),
        "with another shape": sorted(
            key for key in found.keys() & expected.keys() if found[key].shape != expected[key].shape
        ),
    }
    if any(problems.values()):
        listed = "; ".join(f"{len(k)} {what}: {', '.join(k)}" for what, k in problems.items() if k)
        raise ParameterError(f"{where}: {listed}")
    network.load_state_dict({**{key: expected[key] for key in optional}, **found})


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
