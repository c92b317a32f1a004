"""`nonlocal`: a 3D CNN with spatio-temporal self-attention blocks."""

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
from flowstream.recipe import build


@dataclass(frozen=True)
class Nonlocal(Model):
    """A 3D CNN with nonlocal blocks behind some of its parts (Wang et al. 2018).

    The blocks start as identity, so that a pretrained CNN starts with the scores that it has
    without them. The paper's is an inflated ResNet: `base = "i3d"`.

    Parameters
    ----------
    base : str
        The 3D CNN, a key of `MODELS`.
    options : table
        Of the base.
    behind : tuple of str
        The parts of its network that are followed by a block, as `flowstream describe` names them;
        parts that hold others may be named, too, such as "network.layer3" of `r3d_18`. The default
        is where `slow_fusion` and `c3d` end in maps.
    pairwise : "embedded_gaussian", "gaussian", "dot_product" or "concatenation"
        How two positions are compared; the paper finds no large difference.
    attended_pool : int
        Spatial pool of what is attended to; attention costs (T·H·W)² / attended_pool².
    dropout : float
        Of the base, before its last layer.
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
            raise ParameterError("behind: got no part, expected one at least")
        if self.attended_pool < 1:
            raise ParameterError(f"attended_pool: got {self.attended_pool}, expected at least 1")
        if "dropout" in self.options:
            raise ParameterError("options: got dropout, expected it beside them")
        if len(self.of_base.streams) > 1:
            raise ParameterError(f"base: got {self.base!r}, expected a model of one stream")

    @property
    def of_base(self) -> Model:
        """The 3D CNN with its options."""
        options = {**self.options, "dropout": self.dropout}
        return build(MODELS[self.base], options, where=f"options of base {self.base!r}")

    @property
    def pixels(self) -> PixelStatistics:
        """As the base expects."""
        return self.of_base.pixels

    @property
    def smallest(self) -> tuple[int, int, int]:
        """As the base."""
        return self.of_base.smallest

    def check_weights(self) -> None:
        """As the base."""
        self.of_base.check_weights()

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Classifier:
        """The network for clips of one shape and K classes."""
        self.refuse_smaller(clip)
        network = self.of_base.build(clip, classes, blank=blank)
        insert_nonlocal(
            network, self.behind, clip=clip.lengths, pairwise=self.pairwise, pool=self.attended_pool
        )
        return network
