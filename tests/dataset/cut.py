"""Clips of one input, as most tests of clips use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.dataset.clips import Item, StackClips
from flowstream.dataset.inputs.flow import Flow
from flowstream.dataset.inputs.rgb import Rgb
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Step
from flowstream.dataset.window import Window


def flow_clips(
    samples: Sequence[Sample],
    window: Window,
    transform: tuple[Step, ...] = (),
    *,
    training: bool,
    seed: int = 0,
    **options: Any,
) -> StackClips:
    """Clips of flow; `options` are those of the input."""
    inputs = {"flow": Flow(**options)}
    return StackClips(samples, window, inputs, transform=transform, training=training, seed=seed)


def rgb_clips(
    samples: Sequence[Sample],
    window: Window,
    transform: tuple[Step, ...] = (),
    *,
    training: bool,
    seed: int = 0,
    frames: int = 1,
) -> StackClips:
    """Clips of RGB frames."""
    inputs = {"rgb": Rgb(frames)}
    return StackClips(samples, window, inputs, transform=transform, training=training, seed=seed)


def only(item: Item) -> NDArray[np.float32]:
    """The values of an item of one input."""
    (values,) = item.inputs.values()
    return values
