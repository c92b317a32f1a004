"""Weights of torchvision's 2D vision transformers, for a video transformer."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from flowstream.models.backbones.vit_files import LAYER, square_side


class Transformer(Protocol):
    """The parts that a 2D ViT has weights for."""

    embed: nn.Conv3d
    grid: tuple[int, int]
    class_token: nn.Parameter
    spatial_position: nn.Parameter
    temporal_position: nn.Parameter
    blocks: nn.ModuleList
    norm: nn.LayerNorm


def load_vit(network: Transformer, state: dict[str, Tensor], *, inflation: str) -> None:
    """Copy a 2D ViT's weights into a video transformer of its width and at most its depth.

    Arnab et al. 2021, arXiv:2103.15691, section 3.4. Position embeddings are resampled to the grid
    of the clips (bicubic, as torchvision's `interpolate_embeddings`); what is new in time starts so
    that it changes nothing: temporal positions at zero.

    Parameters
    ----------
    network : Transformer
        Its weights are written into.
    state : mapping from name to Tensor
        Of `vit_files.read_vit` for a transformer of this size.
    inflation : "central" or "average"
        See `inflated_filters`.
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
    filters = inflated_filters(
        state["conv_proj.weight"], frames=network.embed.kernel_size[0], inflation=inflation
    )
    channels = network.embed.in_channels
    if channels != filters.shape[1]:
        # as cross-modality initialisation of a first convolution does
        filters = filters.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1, 1)
    network.embed.load_state_dict({"weight": filters, "bias": state["conv_proj.bias"]})
    network.class_token.copy_(state["class_token"].unsqueeze(1))
    network.spatial_position.copy_(
        resampled_positions(state["encoder.pos_embedding"], network.grid).unsqueeze(1)
    )
    network.temporal_position.zero_()


def inflated_filters(filters: Tensor, *, frames: int, inflation: str) -> Tensor:
    """(D, C, frames, p, p) filters of a tubelet from a patch's (D, C, p, p); section 3.4.

    `average` repeats them over time and divides by the number of frames; `central` puts them at the
    central frame, `frames // 2`, zero elsewhere.
    """
    if inflation == "average":
        return filters.unsqueeze(2).repeat(1, 1, frames, 1, 1) / frames
    inflated = filters.new_zeros(*filters.shape[:2], frames, *filters.shape[2:])
    inflated[:, :, frames // 2] = filters
    return inflated


def resampled_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """(1, 1 + H'W', D) position embeddings on another grid, the class token's unchanged."""
    head, places = positions[:, :1], positions[:, 1:]
    side = square_side(positions)
    if (side, side) == grid:
        return positions
    plane = places.transpose(1, 2).reshape(1, -1, side, side)
    plane = functional.interpolate(plane, size=grid, mode="bicubic", align_corners=True)
    return torch.cat([head, plane.flatten(2).transpose(1, 2)], dim=1)
