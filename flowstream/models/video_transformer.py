"""`video_transformer`: tubelets as tokens, attention over space and time."""

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
    encoder_block,
)
from flowstream.models.model import (
    HALF_TO_ONE,
    IMAGENET,
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)

ATTENTIONS = {"joint": JointBlock, "divided": DividedBlock, "factorised": SpatialBlock}


@dataclass(frozen=True)
class VideoTransformer(Model):
    """ViViT and TimeSformer: tubelet embedding, then one of three ways to attend.

    Arnab et al. 2021, arXiv:2103.15691 (tubelets, section 3.2; factorised encoder, model 2 of
    section 3.3; initialisation from 2D ViTs, section 3.4); Bertasius et al. 2021,
    arXiv:2102.05095 (joint and divided attention, section 3). Each moment has a class token of its
    own; their average is scored.

    Parameters
    ----------
    attention : "joint", "divided" or "factorised"
        Between all tokens; in turns over time and over space; over space first, then over time
        between the class tokens.
    patch : int
        Rows and columns of a tubelet.
    tubelet : int
        Its frames; at most those of the clip. Frames that fill no tubelet are left out.
    width, depth, heads : int
        Of the (spatial) encoder; 192, 12, 3 is ViT-Tiny, 768, 12, 12 ViT-Base.
    temporal_depth : int
        Blocks over time of the factorised encoder.
    dropout : float
        In the blocks and before the last layer.
    weights : str
        A 2D ViT's: the name of one of torchvision's (`vit_b_16`, fetched by torchvision) or a file
        with its keys. Empty is random. Patch, width and heads must be its own, as `check_weights`
        makes sure (of heads at the published widths: no file tells them); of its layers the first
        `depth` are taken.
    inflation : "central" or "average"
        How a patch's 2D filter becomes a tubelet's: at the central frame, others zero; or at every
        frame, divided by their number.
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
        for option in ("patch", "tubelet", "width", "depth", "heads", "temporal_depth"):
            if getattr(self, option) < 1:
                raise ParameterError(f"{option}: got {getattr(self, option)}, expected at least 1")
        for option in ("depth", "temporal_depth"):
            if getattr(self, option) > 1000:  # the deepest published: arXiv:2203.00555
                got = getattr(self, option)
                raise ParameterError(f"{option}: got {got}, expected 1000 at most")
        if self.width % self.heads:
            raise ParameterError(f"heads: got {self.heads}, which do not divide width {self.width}")
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """ImageNet's, as torchvision's ViTs expect, where there are weights; else -1..1."""
        return IMAGENET if self.weights else HALF_TO_ONE

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One frame of one patch."""
        return (1, self.patch, self.patch)

    def check_weights(self) -> None:
        """Refuse a ViT that is not there or does not fit.

        Not done on construction: a checkpoint is read where the file is gone.
        """
        if self.weights:
            check_vit(self.weights, self._size)

    @property
    def _size(self) -> ViTSize:
        return ViTSize(self.patch, self.width, self.depth, self.heads)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> TubeletTransformer:
        """The network for clips of one shape and K classes."""
        self.refuse_smaller(clip)
        network = TubeletTransformer(clip, classes, options=self)
        if self.weights and not blank:
            load_vit(network, read_vit(self.weights, self._size), inflation=self.inflation)
        return network


class TubeletTransformer(VideoClassifier):
    """Tubelets and a class token a moment, blocks over them, the class tokens' average."""

    def __init__(self, clip: ClipShape, classes: int, *, options: VideoTransformer) -> None:
        super().__init__(clip, classes)
        tubelet = (min(options.tubelet, clip.frames), options.patch, options.patch)
        self.grid = (clip.rows // options.patch, clip.columns // options.patch)
        moments, width = clip.frames // tubelet[0], options.width
        self.embed = nn.Conv3d(clip.channels, width, tubelet, stride=tubelet)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 1, width))
        positions = 1 + self.grid[0] * self.grid[1]
        self.spatial_position = nn.Parameter(torch.empty(1, 1, positions, width))
        self.temporal_position = nn.Parameter(torch.empty(1, moments, 1, width))
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
                self.over_time.append(encoder_block(width, options.heads, options.dropout))
        self.last = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(width, classes))

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def tokens(self, clips: Tensor) -> Tensor:
        """(N, T', 1 + H'W', D) of (N, C, T, H, W): class tokens, tubelets, positions added."""
        tubes = self.embed(clips).flatten(3).permute(0, 2, 3, 1)  # (N, T', H'W', D)
        heads = self.class_token.expand(*tubes.shape[:2], 1, -1)
        tokens = torch.cat([heads, tubes], dim=2)
        return tokens + self.spatial_position + self.temporal_position

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores."""
        tokens = self.tokens(clips)
        for block in self.blocks:
            tokens = block(tokens)
        seen = self.over_time(self.norm(tokens[:, :, 0]))  # (N, T', D)
        scores: Tensor = self.last(seen.mean(dim=1))
        return scores
