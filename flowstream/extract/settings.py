"""Everything that decides what a stack file holds, besides the video itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowstream.codec import Codec
from flowstream.codec.centred8 import Centred8
from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow import FlowMethod
from flowstream.flow.camera import Stabiliser
from flowstream.store import COMPRESSIONS
from flowstream.video import Sampling


@dataclass(frozen=True)
class ExtractSettings:
    """How each video of a batch is turned into a stack.

    Parameters
    ----------
    method : FlowMethod
    sampling : Sampling
        Which frames, and at what size; flow is estimated on the resized frames.
    codec : Codec
        How vectors are quantised. Default: 8 bits, 0.157 px a step, bound 20 px as TSN's.
    compression : str
        A name in `flowstream.store.COMPRESSIONS`.
    rgb : bool
        Whether the sampled frames are stored beside the flow, as JPEG.
    jpeg_quality : int
        1 to 100; 95 is OpenCV's default, and what the field's RGB frames are stored with.
    allow_truncated : bool
        Whether a video that holds clearly fewer frames than its header says is taken as it is.
    backward : bool
        Whether the flow from each frame to the one before it is stored too.
    consistency : bool
        Whether masks are stored of the pixels where forward and backward flow agree, as they were
        estimated. The backward flow is computed for it, and stored only with `backward`.
    stabilise : Stabiliser, optional
        Takes the camera's motion out of the flow of both directions; the homographies are stored.

    Raises
    ------
    ParameterError
        If `compression` is unknown or `jpeg_quality` outside its range.
    """

    method: FlowMethod
    sampling: Sampling = field(default_factory=Sampling)
    codec: Codec = field(default_factory=Centred8)
    compression: str = "lz4hc"
    rgb: bool = True
    jpeg_quality: int = 95
    allow_truncated: bool = False
    backward: bool = False
    consistency: bool = False
    stabilise: Stabiliser | None = None

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            known = ", ".join(COMPRESSIONS)
            hint = did_you_mean(self.compression, COMPRESSIONS)
            raise ParameterError(f"unknown compression {self.compression!r}; known: {known}.{hint}")
        if not 1 <= self.jpeg_quality <= 100:
            raise ParameterError(f"jpeg_quality: got {self.jpeg_quality}, expected 1 to 100")
