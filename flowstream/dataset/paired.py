"""Clips of RGB and flow together, for models that see both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowstream.dataset.clips import FlowClips, Item, RgbClips
from flowstream.dataset.split import Sample
from flowstream.store import FlowSpec


class PairedClips:
    """An RGB frame and the flow around it, of the same moments, crops and flips.

    A pair is one array, `(3 + 2L, 1, H, W)`: the frame's channels, then dx0 dy0 dx1 dy1 ...; so it
    is batched, split and moved as any other clip. `flowstream.train.pairs` takes it apart again.

    Parameters
    ----------
    rgb : RgbClips
        Of one frame.
    flow : FlowClips
        Of the same samples, window, seed and random steps: what is drawn for both is then equal.
    """

    def __init__(self, rgb: RgbClips, flow: FlowClips) -> None:
        self.rgb = rgb
        self.flow = flow

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The videos, one an item."""
        return self.flow.samples

    @property
    def spec(self) -> FlowSpec:
        """How their stacks were made."""
        return self.flow.spec

    @property
    def views(self) -> int:
        """V, how many pairs of a video an item has."""
        return self.flow.views

    def __len__(self) -> int:
        return len(self.flow)

    def __getitem__(self, index: int) -> Item:
        rgb, flow = self.rgb[index], self.flow[index]
        fields = np.moveaxis(flow.values, -3, -4)  # (..., L, 2, H, W)
        stack = fields.reshape(*fields.shape[:-4], -1, 1, *fields.shape[-2:])
        return flow._replace(values=np.concatenate([rgb.values, stack], axis=-4))

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Draw other moments, crops and flips from now on: those of that epoch."""
        self.rgb.set_epoch(epoch)
        self.flow.set_epoch(epoch)
