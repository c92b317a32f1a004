"""Initialisation of a video transformer from the weights of a 2D vision transformer."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from flowstream.models.backbones.vit_files import LAYER, compute_square_side


class Transformer(Protocol):
    """Parts of a video transformer that a 2D ViT has weights for."""

    embed: nn.Conv3d
    grid: tuple[int, int]
    class_token: nn.Parameter
    spatial_position: nn.Parameter
    temporal_position: nn.Parameter
    blocks: nn.ModuleList
    norm: nn.LayerNorm


def load_vit(network: Transformer, state: dict[str, Tensor], *, inflation: str) -> None:
    """Copy the weights of a 2D ViT into a video transformer.

    Arnab et al. 2021, arXiv:2103.15691, section 3.4. Position embeddings are resampled to the grid
    of the clips (bicubic, as torchvision's `interpolate_embeddings`). Temporal positions start at
    zero, so that they change nothing at first.

    Parameters
    ----------
    network : Transformer
        Changed in place; its width is that of the ViT, its depth at most that of the ViT.
    state : mapping from name to Tensor
        From `vit_files.read_vit` for a transformer of this size.
    inflation : "central" or "average"
        See `inflate_filters`.
    """
    with torch.no_grad():
        _load_embedding(network, state, inflation=inflation)
        for index, block in enumerate(network.blocks):
            start = f"{LAYER}{index}."
            part = {k[len(start) :]: v for k, v in state.items() if k.startswith(start)}
            block.spatial.load_state_dict(part)  # type: ignore[union-attr]
        network.norm.load_state_dict(
            {name: state[f"encoder.ln.{name}"] for name in ("weight", "bias")}
        )


def _load_embedding(network: Transformer, state: dict[str, Tensor], *, inflation: str) -> None:
    filters = inflate_filters(
        state["conv_proj.weight"], frames=network.embed.kernel_size[0], inflation=inflation
    )
    channels = network.embed.in_channels
    if channels != filters.shape[1]:
        # cross-modality initialisation, as for a first convolution
        filters = filters.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1, 1)
    network.embed.load_state_dict({"weight": filters, "bias": state["conv_proj.bias"]})
    network.class_token.copy_(state["class_token"].unsqueeze(1))
    network.spatial_position.copy_(
        resample_positions(state["encoder.pos_embedding"], network.grid).unsqueeze(1)
    )
    network.temporal_position.zero_()


def inflate_filters(filters: Tensor, *, frames: int, inflation: str) -> Tensor:
    """Inflate the (D, C, p, p) filters of a patch to (D, C, frames, p, p) of a tubelet.

    Arnab et al. 2021, section 3.4: `average` repeats them over time and divides by the number of
    frames; `central` copies them to frame `frames // 2` and sets the others to zero.
    """
    if inflation == "average":
        return filters.unsqueeze(2).repeat(1, 1, frames, 1, 1) / frames
    inflated = filters.new_zeros(*filters.shape[:2], frames, *filters.shape[2:])
    inflated[:, :, frames // 2] = filters
    return inflated


def resample_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample position embeddings to (1, 1 + H'W', D); keep that of the class token."""
    head, places = positions[:, :1], positions[:, 1:]
    side = compute_square_side(positions)
    if (side, side) == grid:
        return positions
    plane = places.transpose(1, 2).reshape(1, -1, side, side)
    plane = functional.interpolate(plane, size=grid, mode="bicubic", align_corners=True)
    return torch.cat([head, plane.flatten(2).transpose(1, 2)], dim=1)
