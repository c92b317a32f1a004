"""The contract of a model: options in, a network from clips to scores out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from flowstream.errors import ParameterError, ShapeError


@dataclass(frozen=True)
class ClipShape:
    """What a network is built for: `(C, T, H, W)` of one clip."""

    channels: int
    """C: 3 for RGB, 2 for flow."""
    frames: int
    """T: frames of RGB, fields of flow."""
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for axis, length, most in zip(AXES, self.lengths, LONGEST, strict=True):
            if not isinstance(length, int) or length < 1:
                raise ParameterError(f"clip: got {length!r} {axis}, expected at least 1, whole")
            if length > most:
                raise ParameterError(f"clip: got {length} {axis}, expected {most} at most")

    @property
    def lengths(self) -> tuple[int, int, int, int]:
        """(C, T, H, W)."""
        return self.channels, self.frames, self.rows, self.columns


AXES = ("channels", "frames", "rows", "columns")

LONGEST = (1000, 10_000, 65_535, 65_535)
"""What no clip exceeds: JPEG's sides (ITU-T T.81, B.2.2), and 400 s of 25 frames a second.

Recurrent networks take their frames one by one, each a hundredth of a second to be described.
"""


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and deviation of each RGB channel, in 0..1, that a network expects removed."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


HALF_TO_ONE = PixelStatistics(mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5))
"""0..1 to -1..1, for networks that learn from nothing."""


IMAGENET = PixelStatistics(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
"""What torchvision's weights expect, where it does not say otherwise."""


class Model(ABC):
    """A way to classify clips; subclasses are frozen dataclasses of its options."""

    name: ClassVar[str]
    """Its name in MODELS."""

    sees_order: ClassVar[bool]
    """Whether its scores depend on the order of a clip's frames, once all of it is trained."""

    paper: ClassVar[str]
    """Where it comes from."""

    streams: ClassVar[tuple[str, ...]] = ("clips",)
    """What its network takes: clips of RGB or of flow, or both together."""

    @property
    @abstractmethod
    def pixels(self) -> PixelStatistics:
        """How its network wants RGB normalised; flow comes in units of its bound."""

    @property
    @abstractmethod
    def smallest(self) -> tuple[int, int, int]:
        """(T, H, W) of the smallest clips that its network takes."""

    @property
    def keeps_features(self) -> bool:
        """Whether its network is a `FeatureClassifier` with a CNN that training leaves as it is."""
        return False

    @abstractmethod
    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Classifier:
        """The network for clips of one shape and K classes.

        A model of both streams is built for the shape of its flow.

        With `blank`, pretrained weights are left out, because others will be loaded into the same
        modules; nothing is downloaded then.

        Raises
        ------
        ShapeError
            If the clips are smaller than `smallest`.
        """

    def check_weights(self) -> None:  # noqa: B027
        """Refuse pretrained weights in files of the user's that are not there or do not fit.

        Cheap, and fetches nothing: what takes long before it builds its network asks this first.
        Most models have no weights in files, and none to refuse.

        Raises
        ------
        CheckpointError
            With the file, what is wrong with it and what is expected.
        """

    def inputs(self, clip: ClipShape) -> tuple[ClipShape, ...]:
        """What the network that is built for `clip` takes, one shape for each of `streams`."""
        return (clip,)

    def spoilt_apart(self, network: Classifier) -> Classifier:
        """Its network for `receptive_field`: NaN must reach all that depends on it, and no more.

        Nearly all operations do so by themselves. Where one does not, as attention that is masked
        by adding to its logits, its part is given another forward, which does nothing else.
        """
        return network

    def refuse_smaller(self, clip: ClipShape) -> None:
        """Refuse clips below `smallest`, with the axis and what is expected."""
        for axis, seen, least in zip(AXES[1:], clip.lengths[1:], self.smallest, strict=True):
            if seen < least:
                raise ShapeError(
                    f"model {self.name!r}: got {seen} {axis}, expected at least {least}"
                )


class Classifier(nn.Module, ABC):
    """A network that gives `(N, K)` unnormalised scores."""

    def __init__(self, clip: ClipShape, classes: int) -> None:
        super().__init__()
        self.clip = clip
        self.classes = classes

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """Dropout and last layer: what "training the last layer only" trains."""


class VideoClassifier(Classifier):
    """A network from `(N, C, T, H, W)` float32 clips to `(N, K)` unnormalised scores."""

    @abstractmethod
    def score(self, clips: Tensor) -> Tensor:
        """What `forward` returns, for clips of the right shape."""

    def forward(self, clips: Tensor) -> Tensor:
        """(N, K) scores, before any softmax, of `(N, C, T, H, W)` clips.

        Raises
        ------
        ShapeError
            If the clips are not of the shape that the network was built for.
        """
        check_clips(clips, self.clip)
        return self.score(clips)


class FeatureClassifier(VideoClassifier):
    """A CNN that gives features of each moment, and a network over time that scores them.

    Where the CNN is not trained, its features of the same clips stay the same, and can be kept.
    """

    @property
    @abstractmethod
    def extractor(self) -> nn.Module:
        """The CNN."""

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """(N, T, D) features of each moment of (N, C, T, H, W) clips."""

    @abstractmethod
    def score_features(self, features: Tensor) -> Tensor:
        """(N, T, K) scores at each moment, of the (N, T, D) features seen by then."""

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores at the last moment, many to one."""
        return self.score_features(self.features(clips))[:, -1]


class PairClassifier(Classifier):
    """A network from RGB `(N, 3, 1, H, W)` and flow `(N, 2, L, H, W)` to `(N, K)` scores."""

    def __init__(self, inputs: tuple[ClipShape, ClipShape], classes: int) -> None:
        super().__init__(inputs[1], classes)
        self.inputs = inputs

    @abstractmethod
    def score(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """What `forward` returns, for inputs of the right shapes."""

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """(N, K) scores, before any softmax, of RGB and flow of the same N moments.

        Raises
        ------
        ShapeError
            If they are not of the shapes that the network was built for, or not as many.
        """
        check_clips(rgb, self.inputs[0], what="rgb")
        check_clips(flow, self.inputs[1], what="flow")
        if len(rgb) != len(flow):
            raise ShapeError(f"flow: got {len(flow)} clips beside {len(rgb)} RGB frames")
        return self.score(rgb, flow)


def check_clips(clips: Tensor, clip: ClipShape, *, what: str = "clips") -> None:
    """Refuse what is not a batch of clips of one shape."""
    if clips.ndim != 5:
        raise ShapeError(f"{what}: got shape {tuple(clips.shape)}, expected (N, C, T, H, W)")
    for axis, seen, expected in zip(AXES, clips.shape[1:], clip.lengths, strict=True):
        if seen != expected:
            raise ShapeError(f"{what}: got {seen} {axis}, expected {expected} as built")


def check_weights(what: str, pretrained: bool | str, known: Sequence[str]) -> None:
    """Refuse weights that a network does not have; true stands for the best of those it has."""
    had = bool(known) if pretrained is True else pretrained in known
    if pretrained is not False and not had:
        listed = ", ".join(known) or "none; set pretrained = false"
        raise ParameterError(f"{what}: no weights {pretrained!r}; known: {listed}")
