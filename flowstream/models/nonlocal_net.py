"""`nonlocal`: a 3D CNN with self-attention over space and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flowstream.errors import ParameterError
from flowstream.models import MODELS
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.nonlocal_block import Pairwise, check_pairwise, insert_nonlocal
from flowstream.models.model import (
    Classifier,
    ClipShape,
    Model,
    PixelStatistics,
)
from flowstream.ranges import check_at_least
from flowstream.recipe import build


@dataclass(frozen=True)
class Nonlocal(Model):
    """3D CNN with nonlocal blocks after some of its parts (Wang et al. 2018).

    The blocks start as the identity, so that a pretrained CNN initially keeps its scores. The
    paper uses an inflated ResNet: `base = "i3d"`.

    Parameters
    ----------
    base : str
        Name of the 3D CNN in `MODELS`.
    options : table
        Options of the base.
    behind : tuple of str
        Names of the parts that are followed by a block, as `flowstream describe` prints them.
        Parts that contain others are valid, too, such as "network.layer3" of `r3d_18`. The default
        is the end of the maps of `slow_fusion` and `c3d`.
    pairwise : "embedded_gaussian", "gaussian", "dot_product" or "concatenation"
        Function that compares two positions; the paper finds no large difference.
    attended_pool : int
        Side of a spatial pool of the attended maps; the cost of attention is
        (T·H·W)² / attended_pool².
    dropout : float
        Rate before the last layer of the base.
    """

    name: ClassVar[str] = "nonlocal"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Wang et al. 2018, arXiv:1711.07971, section 3"

    base: str = "slow_fusion"
    options: Mapping[str, Any] = field(default_factory=dict)
    behind: tuple[str, ...] = ("maps",)
    pairwise: Pairwise = "embedded_gaussian"
    attended_pool: int = 2
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_pairwise(self.pairwise)
        check_dropout(self.dropout)
        if not self.behind:
            raise ParameterError("behind: got no part, expected at least one")
        check_at_least("attended_pool", self.attended_pool, 1)
        if "dropout" in self.options:
            raise ParameterError("options: got dropout; set dropout of the model itself instead")
        if len(self.base_model.streams) > 1:
            raise ParameterError(f"base: got {self.base!r}, expected a model of one stream")

    @property
    def base_model(self) -> Model:
        """Recipe of the 3D CNN."""
        options = {**self.options, "dropout": self.dropout}
        return build(MODELS[self.base], options, where=f"options of base {self.base!r}")

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB that the base expects."""
        return self.base_model.pixels

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest clip of the base."""
        return self.base_model.min_clip

    def check_weights(self) -> None:
        """Raise `CheckpointError` if files of weights of the base are not valid."""
        self.base_model.check_weights()

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Classifier:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        network = self.base_model.build(clip, classes, blank=blank)
        insert_nonlocal(
            network, self.behind, clip=clip.lengths, pairwise=self.pairwise, pool=self.attended_pool
        )
        return network
