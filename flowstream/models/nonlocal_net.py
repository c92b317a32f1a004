"""`nonlocal`: a 3D CNN with spatio-temporal self-attention blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.layers.nonlocal_block import NonlocalBlock, Pairwise, check_pairwise
from flowstream.models.model import ClipShape
from flowstream.models.slow_fusion import Conv3DNet, SlowFusion


@dataclass(frozen=True)
class Nonlocal(SlowFusion):
    """`slow_fusion` with nonlocal blocks behind its later stages (Wang et al. 2018).

    Other options as in `SlowFusion`. To put blocks into another 3D network, see
    `layers.nonlocal_block.insert_nonlocal`.

    Parameters
    ----------
    pairwise : "embedded_gaussian", "gaussian", "dot_product" or "concatenation"
        How two positions are compared; the paper finds no large difference.
    blocks : int
        How many of the last stages are followed by a block.
    attended_pool : int
        Spatial pool of what is attended to; attention costs (T·H·W)² / attended_pool².
    """

    name: ClassVar[str] = "nonlocal"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Wang et al. 2018, arXiv:1711.07971, section 3"

    pairwise: Pairwise = "embedded_gaussian"
    blocks: int = 1
    attended_pool: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pairwise(self.pairwise)
        if not 1 <= self.blocks <= len(self.widths):
            raise ParameterError(
                f"blocks: got {self.blocks}, expected 1 to {len(self.widths)}, the stages"
            )
        if self.attended_pool < 1:
            raise ParameterError(f"attended_pool: got {self.attended_pool}, expected at least 1")

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One frame of what the pools, and that of what is attended to, leave a pixel of."""
        frames, rows, columns = super().smallest
        return (frames, rows * self.attended_pool, columns * self.attended_pool)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Conv3DNet:
        """The network for clips of one shape and K classes."""
        network = super().build(clip, classes, blank=blank)
        first = len(self.widths) - self.blocks
        network.maps = self._with_blocks(network.maps, first)
        return network

    def _with_blocks(self, maps: nn.Sequential, first: int) -> nn.Sequential:
        """The layers with a block behind the activation of each stage from `first` on."""
        layers: list[nn.Module] = []
        stage, width = -1, 0
        for layer in maps:
            layers.append(layer)
            if isinstance(layer, nn.Conv3d):
                stage, width = stage + 1, layer.out_channels
            if isinstance(layer, nn.ReLU) and stage >= first:
                block = NonlocalBlock(width, pairwise=self.pairwise, pool=self.attended_pool)
                layers.append(block)
        return nn.Sequential(*layers)
