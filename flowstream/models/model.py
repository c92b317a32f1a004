"""Interfaces of models: a recipe of options, and the network that it builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from flowstream.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class ClipShape:
    """Shape `(C, T, H, W)` of the clips that a network is built for."""

    channels: int
    """Number of channels C: 3 for RGB, 2 for flow."""
    frames: int
    """Number of RGB frames, or of flow fields, T."""
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for axis, length, limit in zip(AXES, self.lengths, MAX_LENGTHS, strict=True):
            if not isinstance(length, int) or not 1 <= length <= limit:
                raise ParameterError(f"clip: got {length!r} {axis}, expected 1 to {limit}")

    @property
    def lengths(self) -> tuple[int, int, int, int]:
        """Shape as a tuple (C, T, H, W)."""
        return self.channels, self.frames, self.rows, self.columns


AXES = ("channels", "frames", "rows", "columns")

MAX_LENGTHS = (1000, 10_000, 65_535, 65_535)
"""Largest shape of a clip.

65,535 is the largest side of a JPEG image (ITU-T T.81, B.2.2); 10,000 frames are 400 s at 25 frames
per second. `describe` needs about 0.01 s per frame of a recurrent network.
"""


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation per RGB channel, in 0..1, that normalise the input."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


HALF_TO_ONE = PixelStatistics(mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5))
"""Normalisation from 0..1 to -1..1, for networks without pretrained weights."""


IMAGENET = PixelStatistics(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
"""Normalisation that most of torchvision's weights expect."""


class Model(ABC):
    """Recipe of a video classifier; subclasses are frozen dataclasses of its options."""

    name: ClassVar[str]
    """Name in `MODELS`."""

    sees_order: ClassVar[bool]
    """True if the scores of a fully trained network depend on the order of the frames."""

    paper: ClassVar[str]
    """Publication that describes the model."""

    streams: ClassVar[tuple[str, ...]] = ("clips",)
    """Inputs of the network: one clip of RGB or flow, or both together."""

    has_vectors: ClassVar[bool] = False
    """True if its network is a `VectorClassifier`."""

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB, by default to -1..1; flow is divided by the bound of its codec."""
        return HALF_TO_ONE

    @property
    @abstractmethod
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest valid clip."""

    @property
    def has_frozen_features(self) -> bool:
        """True if the network is a `FeatureClassifier` whose CNN is not trained."""
        return False

    @abstractmethod
    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Classifier:
        """Build the network for clips of one shape and K classes.

        Parameters
        ----------
        clip : ClipShape
            Shape of the input; for a model of both streams, the shape of its flow.
        classes : int
            Number of classes K.
        blank : bool
            Skip pretrained weights, because others will be loaded into the network. Nothing is
            downloaded then.

        Raises
        ------
        ShapeError
            If the clips are smaller than `min_clip`.
        """

    def check_weights(self) -> None:  # noqa: B027
        """Raise `CheckpointError` if a file of weights that the options name is not valid.

        The check is fast and downloads nothing. Callers run it before long work, such as
        extraction. Most models take no files of weights.
        """

    def inputs(self, clip: ClipShape) -> tuple[ClipShape, ...]:
        """Return the shapes that the network built for `clip` takes, one for each of `streams`."""
        return (clip,)

    def prepare_for_receptive_field(self, network: Classifier) -> Classifier:
        """Make a network propagate NaN to exactly those values that depend on it.

        Most operations do. Others, such as attention that masks by adding to its logits, do not;
        a subclass replaces the forward pass of such parts by one that propagates NaN only.
        """
        return network

    def check_size(self, clip: ClipShape) -> None:
        """Raise `ShapeError` if clips are smaller than `min_clip`."""
        for axis, seen, least in zip(AXES[1:], clip.lengths[1:], self.min_clip, strict=True):
            if seen < least:
                raise ShapeError(
                    f"model {self.name!r}: got {seen} {axis}, expected at least {least}"
                )


class Classifier(nn.Module, ABC):
    """Network that returns `(N, K)` unnormalised scores."""

    def __init__(self, clip: ClipShape, classes: int) -> None:
        super().__init__()
        self.clip = clip
        self.classes = classes

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """Dropout and last layer, which `layers = "head"` trains alone."""


class VideoClassifier(Classifier):
    """Network from `(N, C, T, H, W)` float32 clips to `(N, K)` unnormalised scores."""

    @abstractmethod
    def score(self, clips: Tensor) -> Tensor:
        """Compute `(N, K)` scores of clips whose shape has been checked."""

    def forward(self, clips: Tensor) -> Tensor:
        """Compute `(N, K)` scores, before any softmax, of `(N, C, T, H, W)` clips.

        Raises
        ------
        ShapeError
            If the clips differ from the shape that the network was built for.
        """
        check_clips(clips, self.clip)
        return self.score(clips)


class FeatureClassifier(VideoClassifier):
    """CNN that computes features of each frame, and a network over time that scores them.

    If the CNN is not trained, its features of a clip never change and can be cached.
    """

    frozen: bool = False
    """True if the CNN is not trained."""

    def freeze(self) -> None:
        """Stop the training of the CNN and keep it in evaluation mode."""
        self.frozen = True
        self.extractor.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen CNN stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.extractor.eval()
        return self

    @property
    @abstractmethod
    def extractor(self) -> nn.Module:
        """CNN that computes the features."""

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """Compute (N, T, D) features, one vector per frame, of (N, C, T, H, W) clips."""

    @abstractmethod
    def score_features(self, features: Tensor) -> Tensor:
        """Compute (N, T, K) scores at each frame from the (N, T, D) features up to it."""

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores at the last frame."""
        return self.score_features(self.features(clips))[:, -1]


class VectorClassifier(FeatureClassifier):
    """Network that turns a clip into one vector of features and scores it by a linear layer.

    Trainers may compute the linear layer directly, from the features of all clips. Features that
    are statistics of the training clips (a vocabulary) are learnt before, by `learn_vocabulary`
    from what `describe` returns.
    """

    linear: nn.Linear
    dropout: nn.Dropout
    has_vocabulary: ClassVar[bool] = False
    """Whether `learn_vocabulary` must be called before training."""

    def describe(self, clips: Tensor) -> list[Tensor]:
        """Return what `learn_vocabulary` needs of training clips (N, C, T, H, W)."""
        return []

    def learn_vocabulary(self, described: Iterable[list[Tensor]]) -> None:
        """Learn what the features need from the descriptions of training clips, without labels.

        It goes into buffers of the extractor. Most networks learn nothing here.
        """

    @property
    def head(self) -> nn.Module:
        """The linear layer."""
        return self.linear

    def score_features(self, features: Tensor) -> Tensor:
        """Return the (N, T, K) scores of (N, T, D) features; T is 1."""
        scores: Tensor = self.linear(self.dropout(features))
        return scores


class PairClassifier(Classifier):
    """Network from RGB `(N, 3, 1, H, W)` and flow `(N, 2, L, H, W)` to `(N, K)` scores."""

    def __init__(self, inputs: tuple[ClipShape, ClipShape], classes: int) -> None:
        super().__init__(inputs[1], classes)
        self.inputs = inputs

    @abstractmethod
    def score(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Compute `(N, K)` scores of inputs whose shapes have been checked."""

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Compute `(N, K)` scores, before any softmax, of RGB and flow of the same N clips.

        Raises
        ------
        ShapeError
            If a shape differs from the one that the network was built for, or if the batch sizes
            differ.
        """
        check_clips(rgb, self.inputs[0], what="rgb")
        check_clips(flow, self.inputs[1], what="flow")
        if rgb.shape[0] != flow.shape[0]:
            raise ShapeError(
                f"flow: got {flow.shape[0]} clips, expected {rgb.shape[0]}, one for each RGB frame"
            )
        return self.score(rgb, flow)


def check_clips(clips: Tensor, clip: ClipShape, *, what: str = "clips") -> None:
    """Raise `ShapeError` unless a tensor is a batch of clips of one shape."""
    if clips.ndim != 5:
        raise ShapeError(f"{what}: got shape {tuple(clips.shape)}, expected (N, C, T, H, W)")
    for axis, seen, expected in zip(AXES, clips.shape[1:], clip.lengths, strict=True):
        if seen != expected:
            raise ShapeError(f"{what}: got {seen} {axis}, expected {expected} as built")


def check_weights(what: str, pretrained: bool | str, known: Sequence[str]) -> None:
    """Raise `ParameterError` if a network has no such pretrained weights."""
    had = bool(known) if pretrained is True else pretrained in known
    if pretrained is not False and not had:
        listed = ", ".join(known) or "none; set pretrained = false"
        raise ParameterError(f"{what}: no weights {pretrained!r}; known: {listed}")
