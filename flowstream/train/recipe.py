"""What one stream is trained with: a documented, checked, frozen dataclass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flowstream.errors import ParameterError, RecipeError, ShapeError, UnknownNameError
from flowstream.models import MODELS
from flowstream.recipe import build
from flowstream.types import Size

if TYPE_CHECKING:
    from flowstream.models.model import ClipShape, Model

CHANNELS = {"rgb": 3, "flow": 2, "both": 2}
"""C of each stream; a model of both is built for the shape of its flow."""


MOST = {
    "step": 10_000,
    "segments": 10_000,
    "batch": 1_000_000,
    "epochs": 1_000_000,
    "validate_every": 1_000_000,
    "workers": 1_000,
    "seed": 2**63 - 1,
}
"""What no training needs more of; torch takes no larger seed."""


class _Checked:
    """What checks itself when it is made."""

    def _expect(self, name: str, expected: str, holds: object) -> None:
        if not holds:
            raise ParameterError(f"{name}: got {getattr(self, name)!r}, expected {expected}")


@dataclass(frozen=True)
class Augmentation(_Checked):
    """What is drawn at random in training.

    Parameters
    ----------
    scales : tuple of float
        Of multi-scale corner crops, as parts of the largest crop that fits; TSN's (Wang et al.
        2016, arXiv:1608.00859, section 3.2). `(1.0,)` keeps the largest.
    flip : float
        Probability of a mirrored clip, flow's dx negated with it. 0 where left and right are
        different actions.
    jitter : float
        Of brightness, contrast and saturation, RGB only. TSN has none.
    """

    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flip: float = 0.5
    jitter: float = 0.0

    def __post_init__(self) -> None:
        scales = self.scales
        self._expect("scales", "some, above 0, up to 1", scales and all(0 < s <= 1 for s in scales))
        self._expect("flip", "0 to 1", 0 <= self.flip <= 1)
        self._expect("jitter", "0 or more, below 1", 0 <= self.jitter < 1)


@dataclass(frozen=True)
class Evaluation(_Checked):
    """The clips of a video whose probabilities are averaged.

    Parameters
    ----------
    segments : int
        Moments, evenly spaced.
    crops : int
        1 (centre), 5 (with the corners) or 10 (with the mirror images) of each.
    """

    segments: int = 25
    crops: int = 10

    def __post_init__(self) -> None:
        most = MOST["segments"]
        self._expect("segments", f"1 to {most}", 1 <= self.segments <= most)
        self._expect("crops", "1, 5 or 10", self.crops in (1, 5, 10))


@dataclass(frozen=True)
class StreamRecipe(_Checked):
    """How one stream is trained and evaluated.

    The defaults are TSN's on UCF101 (Wang et al. 2016, arXiv:1608.00859, section 4.1, and its
    code) unless another source stands beside them.

    Parameters
    ----------
    stream : "rgb", "flow" or "both"
        What it sees. Both, for models that take them together (`two_stream`), are flow and the RGB
        frame in its middle, with the same crops and flips.
    model : str
        A key of `flowstream.models.MODELS`: `single_frame` is the spatial stream, `early_fusion`
        on flow the temporal one.
    frames : int
        T of a clip: RGB frames, or flow fields. Simonyan & Zisserman 2014 (arXiv:1406.2199): 1 and
        10. The default, with that of `size`, is the clip of 3D networks, 16 x 112 x 112, with ten
        such clips to test on: C3D, Tran et al. 2015 (arXiv:1412.0767), section 3.
    step : int
        Frames, or fields, from one of them to the next: 5 makes clips of 5 frames a second of
        videos of 25.
    options : table
        Of the model: backbone, pretrained, dropout, ....
    size : (rows, columns) or int
        Of the network's input; for the default see `frames`. 224 is ImageNet's, for 2D networks
        with its weights.
    bound : float
        Pixels of flow that become 1.
    mean_flow : bool
        Subtract each field's mean vector, against camera motion. Simonyan & Zisserman 2014, section
        3.1: +1.1 % at L = 10.
    stacking : "flow", "trajectory" or "bidirectional"
        How fields become a flow clip: as they are, along the trajectories of the first frame's
        pixels, or half of them backward from the middle frame, for which stacks need the flow back.
        Simonyan & Zisserman 2014, table 1b: 81.0, 80.2 and 81.2 % on UCF101 at L = 10.
    segments : int
        Clips of each video in training, their scores averaged before the loss: 1 is Simonyan &
        Zisserman 2014, 3 is TSN.
    layers : "all" or "head"
        What is trained: everything, or the last layer only (with nothing else in training mode).
    batch : int
        Videos a step. A smaller step than TSN's 128, for it must fit a CPU too.
    epochs : int
        Passes over the training videos. tsn-pytorch: 80 for RGB, 340 for flow.
    optimiser : "sgd" or "adamw"
        SGD with Nesterov momentum, or AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
    learning_rate, momentum, weight_decay : float
        Decay spares norms and biases (He et al. 2019, arXiv:1812.01187, section 3.1).
    schedule : "cosine" or "step"
        Down to zero along a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or by `gamma` at
        each of the `milestones` (epochs).
    warm_up : float
        Epochs over which the learning rate grows from zero (Goyal et al. 2017, arXiv:1706.02677).
    label_smoothing : float
        Szegedy et al. 2016, arXiv:1512.00567, section 7, has 0.1.
    clip_gradient : float or None
        Largest norm of the gradient.
    amp : bool
        Half precision where the device is CUDA; elsewhere it has no effect.
    augment : table
        See `Augmentation`.
    fixed_clips : bool
        Train on the same clips in every epoch: the centre crops of evenly spaced moments, `augment`
        left aside.
    cache_features : bool
        Compute the features of a CNN that is not trained (`cnn_rnn`) once, keep them in the run's
        folder and train from those; needs `fixed_clips`. Changes no result but for rounding.
    seed : int
        Of weights, order, crops and dropout.
    validate_every : int
        Epochs from one validation to the next; the last is always validated.
    validation : table
        See `Evaluation`; few, for it is done often.
    evaluation : table
        See `Evaluation`; 25 x 10 is Simonyan & Zisserman 2014, section 5, and TSN.
    workers : int or None
        Processes that read clips. None: none where the network computes on the CPU, else up to 8.
        Changes no result.
    """

    stream: Literal["rgb", "flow", "both"]
    model: str
    frames: int = 16
    step: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    size: Size | int = 112
    bound: float = 20.0
    mean_flow: bool = False
    stacking: Literal["flow", "trajectory", "bidirectional"] = "flow"
    segments: int = 1
    layers: Literal["all", "head"] = "all"
    batch: int = 32
    epochs: int = 80
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warm_up: float = 0.0
    label_smoothing: float = 0.0
    clip_gradient: float | None = 20.0
    amp: bool = True
    augment: Augmentation = field(default_factory=Augmentation)
    fixed_clips: bool = False
    cache_features: bool = field(default=False, compare=False)
    seed: int = 0
    validate_every: int = 1
    validation: Evaluation = field(default_factory=lambda: Evaluation(segments=3, crops=1))
    evaluation: Evaluation = field(default_factory=Evaluation)
    workers: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("frames", "step", "segments", "batch", "epochs", "validate_every"):
            self._expect(name, "at least 1", getattr(self, name) >= 1)
        for name, most in MOST.items():
            self._expect(name, f"{most} at most", (getattr(self, name) or 0) <= most)
        for name in ("bound", "learning_rate"):
            value = getattr(self, name)
            self._expect(name, "above 0", math.isfinite(value) and value > 0)
        self._expect("size", "at least 1", min(self.rows_columns) >= 1)
        self._expect("momentum", "0 or more, below 1", 0 <= self.momentum < 1)
        self._expect("weight_decay", "0 or more", 0 <= self.weight_decay < math.inf)
        self._expect("gamma", "above 0, at most 1", 0 < self.gamma <= 1)
        self._expect("warm_up", "0 or more, below epochs", 0 <= self.warm_up < self.epochs)
        self._expect("label_smoothing", "0 or more, below 1", 0 <= self.label_smoothing < 1)
        clip = self.clip_gradient
        self._expect("clip_gradient", "above 0", clip is None or clip > 0)
        self._expect("seed", "0 or more", self.seed >= 0)
        self._expect("workers", "0 or more", (self.workers or 0) >= 0)
        self._check_stacking()
        self._check_schedule()
        self._check_model()

    @property
    def rows_columns(self) -> Size:
        """`size` as (rows, columns)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def architecture(self) -> Model:
        """The model with its options."""
        return build(MODELS[self.model], self.options, where=f"options of {self.model!r}")

    @property
    def clip(self) -> ClipShape:
        """What the network is built for."""
        from flowstream.models.model import ClipShape

        return ClipShape(CHANNELS[self.stream], self.frames, *self.rows_columns)

    def _check_stacking(self) -> None:
        plain = self.stacking == "flow"
        self._expect("stacking", "'flow' for an RGB stream", plain or self.stream != "rgb")
        halves = self.stacking != "bidirectional" or self.frames % 2 == 0
        self._expect("frames", "an even number with stacking 'bidirectional'", halves)

    def _check_schedule(self) -> None:
        self._expect(
            "milestones", "rising epochs", sorted(set(self.milestones)) == [*self.milestones]
        )
        self._expect(
            "milestones",
            "epochs with schedule 'step', none with 'cosine'",
            bool(self.milestones) == (self.schedule == "step"),
        )

    def _check_model(self) -> None:
        """Refuse now what would fail only after the videos have been extracted."""
        try:
            model = self.architecture
            model.refuse_smaller(self.clip)
            _ = model.pixels  # asks for its backbone, too
        except (RecipeError, ShapeError, UnknownNameError) as error:
            raise ParameterError(str(error)) from error
        if self.cache_features and not (self.fixed_clips and model.keeps_features):
            raise ParameterError(
                "cache_features: got true, expected false, for the features change: keep them with "
                "fixed_clips = true and a model whose CNN is not trained (cnn_rnn, pretrained)"
            )
        both = len(model.streams) > 1
        if both != (self.stream == "both"):
            sees = "RGB and flow together" if both else "one of RGB and flow"
            expected = "'both'" if both else "'rgb' or 'flow'"
            raise ParameterError(
                f"stream: got {self.stream!r}, expected {expected}, for model {self.model!r} sees "
                f"{sees}"
            )
