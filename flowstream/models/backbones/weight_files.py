"""Weights of image networks from a file, checked before they are loaded."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flowstream.disk import open_regular
from flowstream.errors import CheckpointError, MissingDependencyError

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
"""Suffixes that make the option `pretrained` a file."""

# Tables that training programs store the weights in.
_TABLES = ("state_dict", "model", "model_state_dict")


def is_weight_file(pretrained: bool | str) -> bool:
    """Return true if the option `pretrained` names a file."""
    return isinstance(pretrained, str) and pretrained.lower().endswith(SUFFIXES)


def check_file(path: str) -> None:
    """Raise `CheckpointError` unless a file exists and is a regular one."""
    try:
        open_regular(Path(path)).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"weights {path!r}: cannot be read: {reason}") from error


def load_file(network: nn.Module, path: str) -> None:
    """Load the weights of a file into a network, except those of its last linear layer.

    The last layer is replaced anyway, so a file for any number of classes is valid.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or a tensor is missing, unknown or of another shape.
    """
    state = _read(path)
    expected = network.state_dict()
    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    head = f"{linear[-1]}." if linear else "\0"
    for name, value in expected.items():
        if name.startswith(head) or name.endswith("num_batches_tracked"):
            state[name] = value
        elif name not in state:
            raise CheckpointError(f"weights {path!r}: {name!r} is missing; check the backbone")
        elif state[name].shape != value.shape:
            raise CheckpointError(
                f"weights {path!r}: {name!r} is {tuple(state[name].shape)}, "
                f"expected {tuple(value.shape)}"
            )
    unknown = [name for name in state if name not in expected]
    if unknown:
        raise CheckpointError(f"weights {path!r}: {unknown[0]!r} is unknown; check the backbone")
    network.load_state_dict(state)


def _read(path: str) -> dict[str, Tensor]:
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are refused anyway
            content = _read_tensors(path)
    except MissingDependencyError:
        raise
    except Exception as error:  # torch raises many types, and advises to trust the file
        raise CheckpointError(
            f"weights {path!r}: not a file of weights, or a corrupted one; expected a file written "
            "by torch.save(network.state_dict(), FILE)"
        ) from error
    for table in _TABLES:
        if isinstance(content, Mapping) and isinstance(content.get(table), Mapping):
            content = content[table]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"weights {path!r}: got a {type(content).__name__}, expected a dict")
    state = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"weights {path!r}: {str(name)[:60]!r} is not a tensor")
        state[name.removeprefix("module.")] = value.float() if value.is_floating_point() else value
    return state


def _read_tensors(path: str) -> Any:
    if not path.lower().endswith(".safetensors"):
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        from safetensors.torch import load_file as load_safetensors
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"weights {path!r} need 'safetensors'; install it with: pip install 'flowstream[timm]'"
        ) from error
    return load_safetensors(path)
