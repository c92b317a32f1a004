"""Stacks with another compression or codec; readers without plug-ins need `gzip`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flowstream.codec import CODECS, Codec
from flowstream.convert.format import Format
from flowstream.recipe import build
from flowstream.store import COMPRESSIONS, Stack, copy_stack


@dataclass(frozen=True)
class StackFormat(Format):
    """Stack whose flow is not estimated again.

    Parameters
    ----------
    compression : str or None
        Key of COMPRESSIONS; None keeps that of the source.
    codec : str or None
        Key of CODECS; None keeps that of the source.
    bound : float or None
        Bound of `codec` in pixels; None is its default.
    """

    name: ClassVar[str] = "stack"
    suffix: ClassVar[str] = ".h5"

    compression: str | None = None
    codec: str | None = None
    bound: float | None = None

    def __post_init__(self) -> None:
        if self.compression is not None:
            COMPRESSIONS[self.compression]
        self._codec()

    def write(self, stack: Stack, target: Path) -> None:
        """Write the stack."""
        copy_stack(stack.path, target, compression=self.compression, codec=self._codec())

    def _codec(self) -> Codec | None:
        if self.codec is None:
            return None
        values = {} if self.bound is None else {"bound": self.bound}
        return build(CODECS[self.codec], values, where=f"codec {self.codec!r}")
