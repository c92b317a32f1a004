"""What a stack says about itself, as its attributes in Python."""

from __future__ import annotations

from typing import Any

from flowstream.codec import Codec
from flowstream.plugins import provenance
from flowstream.store.description import Description
from flowstream.store.spec import FlowSpec
from flowstream.types import Size


class Described:
    """What a stack says about itself, of which it reads nothing more."""

    _description: Description

    @property
    def num_fields(self) -> int:
        """T-1."""
        return self.num_frames - 1

    @property
    def num_frames(self) -> int:
        """T."""
        return self._description.num_frames

    @property
    def size(self) -> Size:
        """Rows and columns of the fields and frames."""
        return self._description.size

    @property
    def fps(self) -> float:
        """Frames per second of the source; 0 if unknown."""
        return self._description.fps

    @property
    def method(self) -> dict[str, Any]:
        """Name and parameters of the flow method."""
        return self._description.method

    @property
    def sampling(self) -> dict[str, Any]:
        """Which frames were taken from the source, and at what size."""
        return self._description.sampling

    @property
    def stabiliser(self) -> dict[str, Any] | None:
        """How the camera's motion was found that was taken out of all flow; None: it is in it."""
        return self._description.stabiliser

    @property
    def codec(self) -> Codec:
        """How vectors are stored."""
        return self._description.codec

    @property
    def clipped(self) -> float:
        """Fraction of the vectors that stand at the codec's bound."""
        return self._description.clipped

    @property
    def clipped_backward(self) -> float | None:
        """The same of the backward vectors; None where there are none."""
        return self._description.clipped_backward

    @property
    def source(self) -> str:
        """The video."""
        return self._description.source

    @property
    def source_bytes(self) -> int:
        """Length of the video."""
        return self._description.source_bytes

    @property
    def source_size(self) -> Size:
        """Rows and columns of the video as shown."""
        return self._description.source_size

    @property
    def has_rgb(self) -> bool:
        """Whether the frames' images are stored."""
        return self._description.has_rgb

    @property
    def has_backward(self) -> bool:
        """Whether flow from each frame back to the one before is stored."""
        return self._description.has_backward

    @property
    def has_consistency(self) -> bool:
        """Whether masks say where forward and backward flow agree."""
        return self._description.has_consistency

    @property
    def compression(self) -> str:
        """How `/flow` is compressed."""
        return self._description.compression

    @property
    def checksum(self) -> str:
        """Digest of all that the stack says, 32 hexadecimal digits."""
        return self._description.checksum

    @property
    def spec(self) -> FlowSpec:
        """What a model that is trained on this flow is bound to."""
        return FlowSpec(
            method=self.method,
            sampling=self.sampling,
            size=self.size,
            codec=provenance(self.codec),
            stabiliser=self.stabiliser,
        )
