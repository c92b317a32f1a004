"""`video_transformer`: ViViT and TimeSformer, attention between tubelets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.backbones.vit_files import ViTSize, check_vit, read_vit
from flowstream.models.backbones.vit_weights import load_vit
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.space_time_attention import (
    DividedBlock,
    JointBlock,
    SpatialBlock,
    make_encoder_block,
)
from flowstream.models.model import (
    HALF_TO_ONE,
    IMAGENET,
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)
from flowstream.ranges import check_at_least, check_between

ATTENTIONS = {"joint": JointBlock, "divided": DividedBlock, "factorised": SpatialBlock}


@dataclass(frozen=True)
class VideoTransformer(Model):
    """Transformer over tubelets, with joint, divided or factorised attention.

    Arnab et al. 2021, arXiv:2103.15691 (tubelets, section 3.2; factorised encoder, model 2 of
    section 3.3; initialisation from 2D ViTs, section 3.4); Bertasius et al. 2021,
    arXiv:2102.05095 (joint and divided attention, section 3). Each time step has its own class
    token; the average of the class tokens is scored.

    Parameters
    ----------
    attention : "joint", "divided" or "factorised"
        Attention between all tokens; over time and then over space in each block; or over space in
        all blocks and then over time between the class tokens.
    patch : int
        Number of rows and columns of a tubelet.
    tubelet : int
        Number of frames of a tubelet, at most those of the clip. Frames that do not fill a tubelet
        are ignored.
    width, depth, heads : int
        Size of the (spatial) encoder; 192, 12, 3 is ViT-Tiny, 768, 12, 12 is ViT-Base.
    temporal_depth : int
        Number of blocks over time of the factorised encoder.
    dropout : float
        Rate in the blocks and before the last layer.
    weights : str
        Weights of a 2D ViT: one of torchvision's names (`vit_b_16`, downloaded by torchvision) or
        a file with torchvision's keys. Empty means random. `check_weights` compares patch, width
        and heads (heads only at the published widths, because no file contains them). The first
        `depth` layers are used.
    inflation : "central" or "average"
        Inflation of the 2D filters of a patch: central frame only, others zero; or all frames,
        divided by their number.
    """

    name: ClassVar[str] = "video_transformer"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Arnab et al. 2021, arXiv:2103.15691; Bertasius et al. 2021, 2102.05095"

    attention: Literal["joint", "divided", "factorised"] = "divided"
    patch: int = 16
    tubelet: int = 2
    width: int = 192
    depth: int = 12
    heads: int = 3
    temporal_depth: int = 4
    dropout: float = 0.0
    weights: str = ""
    inflation: Literal["central", "average"] = "central"

    def __post_init__(self) -> None:
        if self.attention not in ATTENTIONS:
            known = ", ".join(ATTENTIONS)
            raise ParameterError(f"attention: got {self.attention!r}, expected one of: {known}")
        if self.inflation not in ("central", "average"):
            raise ParameterError(f"inflation: got {self.inflation!r}, expected central or average")
        for option in ("patch", "tubelet", "width", "heads"):
            check_at_least(option, getattr(self, option), 1)
        for option in ("depth", "temporal_depth"):  # the deepest published: arXiv:2203.00555
            check_between(option, getattr(self, option), (1, 1000))
        if self.width % self.heads:
            raise ParameterError(
                f"heads: got {self.heads}, expected a divisor of width {self.width}"
            )
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB: ImageNet's with pretrained weights, else -1..1."""
        return IMAGENET if self.weights else HALF_TO_ONE

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of one frame with one patch."""
        return (1, self.patch, self.patch)

    def check_weights(self) -> None:
        """Raise `CheckpointError` if the weights are missing or do not fit.

        The constructor does not check this, because checkpoints must load without the file.
        """
        if self.weights:
            check_vit(self.weights, self._size)

    @property
    def _size(self) -> ViTSize:
        return ViTSize(self.patch, self.width, self.depth, self.heads)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> TubeletTransformer:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        network = TubeletTransformer(clip, classes, options=self)
        if self.weights and not blank:
            load_vit(network, read_vit(self.weights, self._size), inflation=self.inflation)
        return network


class TubeletTransformer(VideoClassifier):
    """Network of tubelets with a class token per time step, and transformer blocks."""

    def __init__(self, clip: ClipShape, classes: int, *, options: VideoTransformer) -> None:
        super().__init__(clip, classes)
        tubelet = (min(options.tubelet, clip.frames), options.patch, options.patch)
        self.grid = (clip.rows // options.patch, clip.columns // options.patch)
        steps, width = clip.frames // tubelet[0], options.width
        self.embed = nn.Conv3d(clip.channels, width, tubelet, stride=tubelet)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 1, width))
        positions = 1 + self.grid[0] * self.grid[1]
        self.spatial_position = nn.Parameter(torch.empty(1, 1, positions, width))
        self.temporal_position = nn.Parameter(torch.empty(1, steps, 1, width))
        for position in (self.spatial_position, self.temporal_position):
            nn.init.normal_(position, std=0.02)
        make = ATTENTIONS[options.attention]
        self.blocks = nn.ModuleList(
            make(width, options.heads, options.dropout) for _ in range(options.depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.over_time = nn.Sequential()
        if options.attention == "factorised":
            for _ in range(options.temporal_depth):
                self.over_time.append(make_encoder_block(width, options.heads, options.dropout))
        self.last = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(width, classes))

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def tokens(self, clips: Tensor) -> Tensor:
        """Embed (N, C, T, H, W) clips as (N, T', 1 + H'W', D) tokens with positions."""
        tubes = self.embed(clips).flatten(3).permute(0, 2, 3, 1)  # (N, T', H'W', D)
        heads = self.class_token.expand(*tubes.shape[:2], 1, -1)
        tokens = torch.cat([heads, tubes], dim=2)
        return tokens + self.spatial_position + self.temporal_position

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        tokens = self.tokens(clips)
        for block in self.blocks:
            tokens = block(tokens)
        seen = self.over_time(self.norm(tokens[:, :, 0]))  # (N, T', D)
        scores: Tensor = self.last(seen.mean(dim=1))
        return scores
