"""Options of stacks that recipes and settings of the batch stage have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """Content of a stack, and videos that are accepted.

    Parameters
    ----------
    compression : str
        A name in `flowstream.store.COMPRESSIONS`.
    rgb : bool
        Store the sampled frames as JPEG images beside the flow.
    jpeg_quality : int
        1 to 100; 95 is OpenCV's default, with which published RGB frames were stored.
    max_corrupt : int
        Number of frames marked as corrupt by the decoder above which a video fails.
    allow_truncated : bool
        Accept a video that holds clearly fewer frames than its header says.
    backward : bool
        Also store the flow from each frame to the one before it.
    outputs : tuple of str
        Computed outputs, keys of `flowstream.store.OUTPUTS`, such as "consistency". Backward flow
        that they need is estimated, but stored only with `backward`.
    """

    compression: str = "lz4hc"
    rgb: bool = True
    jpeg_quality: int = 95
    max_corrupt: int = 0
    allow_truncated: bool = False
    backward: bool = False
    outputs: tuple[str, ...] = ()
