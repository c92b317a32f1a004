"""Weights of 2D vision transformers, by torchvision's name or in a file, and whether they fit.

Expected are torchvision's names of the tensors, as `torch.save(vit.state_dict(), file)` writes.
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
from flowstream.models.layers.space_time_attention import encoder_block

LAYER = "encoder.layers.encoder_layer_"

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Heads of the published ViTs by width, which no tensor's shape shows.

Touvron et al. 2021, arXiv:2012.12877, table 1; Dosovitskiy et al. 2021, arXiv:2010.11929, table 1.
"""

# What torchvision called the layers of an MLP when it made its files, and what it calls them now.
_RENAMED = {".mlp.linear_1.": ".mlp.0.", ".mlp.linear_2.": ".mlp.3."}


class ViTSize(NamedTuple):
    """What a transformer has to share with the weights that it is made from."""

    patch: int
    width: int
    depth: int
    heads: int


def check_vit(weights: str, size: ViTSize) -> None:
    """Refuse weights that are not there or do not fit a transformer; fetches none.

    Raises
    ------
    CheckpointError
        If they are neither a file nor one of torchvision's ViTs, the file is damaged or holds
        something else, or another width, patch or number of heads, or fewer layers, is expected.
    """
    _checked(weights, size)


def read_vit(weights: str, size: ViTSize) -> dict[str, Tensor]:
    """The tensors of one of torchvision's ViTs, by its name or in a file.

    Raises
    ------
    CheckpointError
        As `check_vit` does, or if they cannot be downloaded.
    """
    state = _checked(weights, size)
    if weights not in _names():
        return state
    try:
        network: nn.Module = models.get_model(weights, weights="DEFAULT", progress=False)
    except Exception as error:  # hubs, sockets and files that were cut off raise many kinds
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"weights {weights!r}: cannot be downloaded: {line}; go online once, or give a file"
        ) from error
    return dict(network.state_dict())


def _checked(weights: str, size: ViTSize) -> dict[str, Tensor]:
    """The tensors of a file, or without values those of one of torchvision's, which all fit."""
    try:
        if weights in _names():
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                network: Any = models.get_model(weights)
            state, heads = dict(network.state_dict()), network.encoder.layers[0].num_heads
        else:
            state, heads = _read(weights), HEADS.get(size.width, size.heads)
        _refuse_misfit(state, size, heads=heads)
    except CheckpointError as error:
        raise CheckpointError(f"weights {weights!r}: {error}") from error
    return state


def _names() -> list[str]:
    return [name for name in models.list_models(module=models) if name.startswith("vit_")]


def _read(weights: str) -> dict[str, Tensor]:
    """The tensors of a file, mapped into memory rather than read where the format lets them be."""
    path = Path(weights)
    try:
        if path.is_dir():
            raise CheckpointError("a folder, expected a file")
        if not path.is_file():
            known = _names()
            raise CheckpointError(
                f"neither a file nor one of torchvision's: {', '.join(known)}."
                f"{did_you_mean(weights, known)}"
            )
        with path.open("rb") as file:
            mapped = zipfile.is_zipfile(file)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kinds of files that are refused anyway
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds, and advises to trust the file
        raise CheckpointError(
            "not a file of weights, or one that was cut off; expected what "
            "torch.save(vit.state_dict(), FILE) writes"
        ) from error
    return _tensors(state)


def _tensors(state: object) -> dict[str, Tensor]:
    """The content of a file, by the names that torchvision gives its parts now."""
    if not isinstance(state, Mapping):
        raise CheckpointError(f"holds a {type(state).__name__}, expected a dict of tensors")
    renamed = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{name!r} is a {type(value).__name__}, expected tensors by name; save the "
                "transformer's state_dict() alone"
            )
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not (plain and value.is_floating_point()):
            raise CheckpointError(
                f"{name!r} is of {value.dtype}, {value.layout} on {value.device}, expected dense "
                "floating-point numbers"
            )
        if not value.isfinite().all():
            raise CheckpointError(f"{name!r} holds numbers that are not finite")
        for old, new in _RENAMED.items():
            name = name.replace(old, new)
        renamed[name] = value.float()
    return renamed


def _refuse_misfit(state: Mapping[str, Tensor], size: ViTSize, *, heads: int) -> None:
    """Refuse tensors that are not those of a ViT of a size, one check for each of its numbers."""
    filters = _found(state, "conv_proj.weight")
    if filters.ndim != 4 or filters.shape[2] != filters.shape[3] or not filters.numel():
        raise CheckpointError(
            f"'conv_proj.weight' is {_times(filters)}, expected width x channels x patch x patch"
        )
    if filters.shape[1] != 3:
        raise CheckpointError(
            f"'conv_proj.weight' takes {filters.shape[1]} channels, expected 3: RGB"
        )
    for option, got, own in (
        ("width", size.width, filters.shape[0]),
        ("patch", size.patch, filters.shape[2]),
        ("heads", size.heads, heads),
    ):
        if got != own:
            raise CheckpointError(f"{option}: got {got}, expected {own}; set {option} = {own}")
    _found(state, f"{LAYER}0.ln_1.weight")
    layers = {name[len(LAYER) :].split(".")[0] for name in state if name.startswith(LAYER)}
    if len(layers) < size.depth:
        raise CheckpointError(
            f"depth: got {size.depth}, expected {len(layers)} at most; set depth = {len(layers)}"
        )
    shapes = _shapes(size)
    for name, shape in shapes.items():
        found = _found(state, name)
        if tuple(found.shape) != shape:
            expected = " x ".join(map(str, shape))
            raise CheckpointError(f"{name!r} is {_times(found)}, expected {expected}")
    taken = tuple(f"{LAYER}{index}." for index in range(size.depth))
    for name in state:
        if name.startswith(taken) and name not in shapes:
            raise CheckpointError(f"{name!r} is no part of a ViT, expected torchvision's names")
    positions = _found(state, "encoder.pos_embedding")
    if positions.ndim != 3 or (positions.shape[0], positions.shape[2]) != (1, size.width):
        raise CheckpointError(
            f"'encoder.pos_embedding' is {_times(positions)}, expected 1 x places x {size.width}"
        )
    square_side(positions)


def _shapes(size: ViTSize) -> dict[str, tuple[int, ...]]:
    """Of all tensors that are taken, but for patches and positions."""
    width = size.width
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        block = encoder_block(width, size.heads, 0.0).state_dict()
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


def square_side(positions: Tensor) -> int:
    """Rows, and columns, of the grid of (1, 1 + places, D) position embeddings.

    Raises
    ------
    CheckpointError
        If it is no square.
    """
    places = positions.shape[1] - 1
    side = math.isqrt(max(places, 0))
    if side < 1 or side * side != places:
        raise CheckpointError(f"'encoder.pos_embedding' has {places} places, expected a square")
    return side


def _found(state: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise CheckpointError(f"lacks {name!r}, expected a ViT's tensors by torchvision's names")
    return state[name]


def _times(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
