"""Settings that determine the content of a stack, besides the video itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowstream.codec import Codec
from flowstream.codec.centred8 import Centred8
from flowstream.errors import ParameterError, did_you_mean
from flowstream.extract.stack_options import StackOptions
from flowstream.flow import FlowMethod
from flowstream.flow.camera import Stabiliser
from flowstream.ranges import check_at_least, check_between
from flowstream.store import COMPRESSIONS, OUTPUTS
from flowstream.video import Sampling


@dataclass(frozen=True)
class ExtractSettings(StackOptions):
    """Settings by which each video of a batch becomes a stack.

    `StackOptions` documents the other parameters.

    Parameters
    ----------
    method : FlowMethod
    sampling : Sampling
        Selection and size of the frames; flow is estimated on the resized frames.
    codec : Codec
        Quantisation of the vectors. Default: 8 bits, 0.157 px per step, bound 20 px as in TSN.
    stabilise : Stabiliser, optional
        Removes the camera motion from the flow of both directions; the homographies are stored.

    Raises
    ------
    ParameterError
        If `compression` is unknown or `jpeg_quality` outside its range.
    UnknownNameError
        If an output is unknown.
    """

    method: FlowMethod
    sampling: Sampling = field(default_factory=Sampling)
    codec: Codec = field(default_factory=Centred8)
    stabilise: Stabiliser | None = None

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            hint = did_you_mean(self.compression, COMPRESSIONS)
            raise ParameterError(f"unknown compression {self.compression!r}; known: {known}.{hint}")
        check_between("jpeg_quality", self.jpeg_quality, (1, 100))
        check_at_least("max_corrupt", self.max_corrupt, 0)
        for name in self.outputs:
            OUTPUTS[name]

    @property
    def needs_backward(self) -> bool:
        """True if backward flow has to be estimated."""
        return self.backward or any(OUTPUTS[name].needs_backward for name in self.outputs)

    @property
    def stored_outputs(self) -> frozenset[str]:
        """All optional outputs of the stacks; see `flowstream.store.items`."""
        wanted = {
            "rgb": self.rgb,
            "backward": self.backward,
            "camera": self.stabilise is not None,
            # Of a truncated video the last frames may be corrupt.
            "corrupt": self.max_corrupt > 0 or self.allow_truncated,
        }
        return frozenset(name for name, is_wanted in wanted.items() if is_wanted) | {*self.outputs}
