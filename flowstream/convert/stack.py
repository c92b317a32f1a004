"""Stacks with another compression or codec; readers without plug-ins need `gzip`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from flowstream.codec import CODECS, Codec
from flowstream.convert.format import Format
from flowstream.errors import ParameterError
from flowstream.recipe import build
from flowstream.store import COMPRESSIONS, Stack, copy_stack, open_stack


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

    def find_difference(self, stack: Stack, target: Path) -> str:
        """Return how an existing stack differs from what would be written."""
        with open_stack(target) as found:
            return describe_difference(
                found,
                source=stack.header.source,
                codec=self._codec() or stack.codec,
                compression=self.compression or stack.compression,
            )

    def _codec(self) -> Codec | None:
        if self.codec is None:
            if self.bound is not None:
                raise ParameterError("bound: needs a codec, such as --set codec=centred8")
            return None
        values = {} if self.bound is None else {"bound": self.bound}
        return build(CODECS[self.codec], values, where=f"codec {self.codec!r}")


def describe_difference(found: Stack, **requested: Any) -> str:
    """Return how a stack differs from values of its header; empty if it does not."""
    for key, value in requested.items():
        stored = getattr(found.header, key)
        if stored != value:
            return f"has {key} {stored}, requested: {value}"
    return ""
