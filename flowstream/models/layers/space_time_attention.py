"""Transformer blocks that attend over space and time.

Tokens are (N, T, S, D): for each of T frames a class token and the patches, S in total. The blocks
are torchvision's, so that they accept the weights of its 2D ViTs.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torchvision.models.vision_transformer import EncoderBlock


def make_encoder_block(width: int, heads: int, dropout: float) -> nn.Module:
    """Build a pre-norm transformer block for (N, S, D) tokens, its MLP four times as wide."""
    block: nn.Module = EncoderBlock(
        num_heads=heads,
        hidden_dim=width,
        mlp_dim=4 * width,
        dropout=dropout,
        attention_dropout=0.0,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    return block


class SpatialBlock(nn.Module):
    """Attention within each frame, as in a 2D ViT."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.spatial = make_encoder_block(width, heads, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute (N, T, S, D) tokens of (N, T, S, D) tokens."""
        result: Tensor = self.spatial(tokens.flatten(0, 1))
        return result.reshape(tokens.shape)


class JointBlock(SpatialBlock):
    """Attention between all tokens of the clip: joint in TimeSformer, model 1 in ViViT."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute (N, T, S, D) tokens of (N, T, S, D) tokens."""
        result: Tensor = self.spatial(tokens.flatten(1, 2))
        return result.reshape(tokens.shape)


class DividedBlock(SpatialBlock):
    """Attention over time at each position, then over space in each frame.

    Bertasius et al. 2021, arXiv:2102.05095, section 3, "divided space-time". The layer after the
    temporal attention starts at zero, as in the authors' code, so that a new block computes the
    same as the 2D block that it was initialised from.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.temporal = nn.MultiheadAttention(width, heads, batch_first=True)
        self.join = nn.Linear(width, width)
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute (N, T, S, D) tokens of (N, T, S, D) tokens."""
        lines = self.norm(tokens.transpose(1, 2).flatten(0, 1))  # (N·S, T, D)
        seen, _ = self.temporal(lines, lines, lines, need_weights=False)
        joined: Tensor = self.join(seen)
        joined = joined.reshape(tokens.transpose(1, 2).shape).transpose(1, 2)
        return super().forward(tokens + joined)
