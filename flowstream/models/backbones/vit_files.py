"""Weights of 2D vision transformers (ViTs), by torchvision's name or from a file.

A file holds tensors by torchvision's names, as `torch.save(vit.state_dict(), file)` writes it.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision import models

from flowstream.errors import CheckpointError, did_you_mean
from flowstream.models.layers.space_time_attention import make_encoder_block

LAYER = "encoder.layers.encoder_layer_"

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Number of heads of the published ViTs by width; no tensor has it in its shape.

Touvron et al. 2021, arXiv:2012.12877, table 1; Dosovitskiy et al. 2021, arXiv:2010.11929, table 1.
"""

# Names of MLP layers in older files of torchvision, and the current ones.
_RENAMED = {".mlp.linear_1.": ".mlp.0.", ".mlp.linear_2.": ".mlp.3."}


class ViTSize(NamedTuple):
    """Sizes that a transformer must share with its pretrained weights."""

    patch: int
    width: int
    depth: int
    heads: int


def check_vit(weights: str, size: ViTSize) -> None:
    """Raise `CheckpointError` if weights are missing or do not fit; download nothing.

    Raises
    ------
    CheckpointError
        If `weights` is neither a file nor one of torchvision's ViTs, if the file is corrupted or
        holds something else, or if width, patch, heads or depth do not match.
    """
    _read_checked(weights, size)


def read_vit(weights: str, size: ViTSize) -> dict[str, Tensor]:
    """Read the tensors of a ViT, by torchvision's name or from a file.

    Raises
    ------
    CheckpointError
        As `check_vit`, or if the weights cannot be downloaded.
    """
    state = _read_checked(weights, size)
    if weights not in _names():
        return state
    try:
        network: nn.Module = models.get_model(weights, weights="DEFAULT", progress=False)
    except Exception as error:  # hubs, sockets and truncated files raise many types
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"weights {weights!r}: cannot be downloaded: {line}. Connect once, or name a file"
        ) from error
    return dict(network.state_dict())


def _read_checked(weights: str, size: ViTSize) -> dict[str, Tensor]:
    """Read and check the tensors of a file; for torchvision's ViTs, tensors without values."""
    try:
        if weights in _names():
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                network: Any = models.get_model(weights)
            state, heads = dict(network.state_dict()), network.encoder.layers[0].num_heads
        else:
            state, heads = _read(weights), HEADS.get(size.width, size.heads)
        _check_size(state, size, heads=heads)
    except CheckpointError as error:
        raise CheckpointError(f"weights {weights!r}: {error}") from error
    return state


def _names() -> list[str]:
    return [name for name in models.list_models(module=models) if name.startswith("vit_")]


def _read(weights: str) -> dict[str, Tensor]:
    """Read the tensors of a file, memory-mapped where its format allows that."""
    path = Path(weights)
    try:
        if path.is_dir():
            raise CheckpointError("got a directory, expected a file")
        if not path.is_file():
            known = _names()
            raise CheckpointError(
                f"got neither a file nor one of torchvision's names: {', '.join(known)}."
                f"{did_you_mean(weights, known)}"
            )
        with path.open("rb") as file:
            mapped = zipfile.is_zipfile(file)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many types, and advises to trust the file
        raise CheckpointError(
            "not a file of weights, or a truncated one; expected a file written by "
            "torch.save(vit.state_dict(), FILE)"
        ) from error
    return _tensors(state)


def _tensors(state: object) -> dict[str, Tensor]:
    """Check the content of a file and return its tensors by torchvision's current names."""
    if not isinstance(state, Mapping):
        raise CheckpointError(f"got a {type(state).__name__}, expected a dict of tensors")
    renamed = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{name!r} is a {type(value).__name__}, expected tensors by name. Save only the "
                "state_dict() of the transformer"
            )
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not (plain and value.is_floating_point()):
            raise CheckpointError(
                f"{name!r} is {value.dtype}, {value.layout} on {value.device}, expected a dense "
                "floating-point tensor"
            )
        if not value.isfinite().all():
            raise CheckpointError(f"{name!r} has values that are not finite")
        for old, new in _RENAMED.items():
            name = name.replace(old, new)
        renamed[name] = value.float()
    return renamed


def _check_size(state: Mapping[str, Tensor], size: ViTSize, *, heads: int) -> None:
    """Raise `CheckpointError` if tensors are not those of a ViT of a given size."""
    filters = _get(state, "conv_proj.weight")
    if filters.ndim != 4 or filters.shape[2] != filters.shape[3] or not filters.numel():
        raise CheckpointError(
            f"'conv_proj.weight' is {_format_shape(filters)}, "
            "expected width x channels x patch x patch"
        )
    if filters.shape[1] != 3:
        raise CheckpointError(
            f"'conv_proj.weight' has {filters.shape[1]} input channels, expected 3 (RGB)"
        )
    for option, got, own in (
        ("width", size.width, filters.shape[0]),
        ("patch", size.patch, filters.shape[2]),
        ("heads", size.heads, heads),
    ):
        if got != own:
            raise CheckpointError(f"{option}: got {got}, expected {own}; set {option} = {own}")
    _get(state, f"{LAYER}0.ln_1.weight")
    layers = {name[len(LAYER) :].split(".")[0] for name in state if name.startswith(LAYER)}
    if len(layers) < size.depth:
        raise CheckpointError(
            f"depth: got {size.depth}, expected at most {len(layers)}; set depth = {len(layers)}"
        )
    shapes = _expected_shapes(size)
    for name, shape in shapes.items():
        found = _get(state, name)
        if tuple(found.shape) != shape:
            expected = " x ".join(map(str, shape))
            raise CheckpointError(f"{name!r} is {_format_shape(found)}, expected {expected}")
    taken = tuple(f"{LAYER}{index}." for index in range(size.depth))
    for name in state:
        if name.startswith(taken) and name not in shapes:
            raise CheckpointError(
                f"{name!r} does not belong to a ViT, expected torchvision's names"
            )
    positions = _get(state, "encoder.pos_embedding")
    if positions.ndim != 3 or (positions.shape[0], positions.shape[2]) != (1, size.width):
        raise CheckpointError(
            f"'encoder.pos_embedding' is {_format_shape(positions)}, "
            f"expected 1 x positions x {size.width}"
        )
    compute_square_side(positions)


def _expected_shapes(size: ViTSize) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors in use, except patches and positions."""
    width = size.width
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        block = make_encoder_block(width, size.heads, 0.0).state_dict()
    return {
        "class_token": (1, 1, width),
        "conv_proj.bias": (width,),
        "encoder.ln.weight": (width,),
        "encoder.ln.bias": (width,),
        **{
            f"{LAYER}{index}.{name}": tuple(value.shape)
            for index in range(size.depth)
            for name, value in block.items()
        },
    }


def compute_square_side(positions: Tensor) -> int:
    """Return the side of the square grid of (1, 1 + positions, D) position embeddings.

    Raises
    ------
    CheckpointError
        If the grid is not square.
    """
    places = positions.shape[1] - 1
    side = math.isqrt(max(places, 0))
    if side < 1 or side * side != places:
        raise CheckpointError(
            f"'encoder.pos_embedding' has {places} positions, expected a square number"
        )
    return side


def _get(state: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise CheckpointError(
            f"{name!r} is missing; expected the tensors of a ViT by torchvision's names"
        )
    return state[name]


def _format_shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
