"""Interface of an output that is computed from flow while a stack is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from flowstream.store.item import Item
from flowstream.types import Images, Vectors

if TYPE_CHECKING:
    from flowstream.store.stack import Stack


@dataclass(frozen=True, eq=False)
class Pairs:
    """Consecutive pairs of frames and their flow, before it is quantised or stabilised.

    Parameters
    ----------
    frames : (n + 1, H, W) or (n + 1, H, W, 3), uint8
        Luma, or RGB if the flow method uses colour.
    forward : (n, 2, H, W), float32
    backward : (n, 2, H, W), float32, or None
        Anchored on the later frame of each pair; None unless an output needs it.
    """

    frames: Images
    forward: Vectors
    backward: Vectors | None = None


class Output(ABC):
    """Optional output of a stack; subclasses are not instantiated."""

    name: ClassVar[str]
    """Name in `OUTPUTS`; the option of `flowstream extract` is `--NAME`."""

    items: ClassVar[tuple[Item, ...]]
    """Items of the output, each with `output=name`."""

    needs_backward: ClassVar[bool] = False
    """True if `compute` needs backward flow, which is then estimated but not stored."""

    @classmethod
    @abstractmethod
    def compute(cls, pairs: Pairs) -> Mapping[str, NDArray[Any]]:
        """Return n entries of each item that has an entry per pair."""

    @classmethod
    def summarise(cls, stack: Stack) -> Mapping[str, float]:
        """Return numbers that `flowstream info` shows of a stack with this output."""
        return {}
