"""Recipe of one stream: a documented frozen dataclass that checks its fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flowstream.dataset.augmentations import DEFAULT, build_augmentations
from flowstream.dataset.channels import CHANNELS
from flowstream.dataset.inputs import INPUTS
from flowstream.errors import ParameterError, RecipeError, ShapeError, UnknownNameError
from flowstream.models import MODELS
from flowstream.recipe import build
from flowstream.train.evaluation import LIMITS, Checked, Evaluation
from flowstream.train.streams import BOTH, sees_flow, stream_inputs
from flowstream.types import Size

if TYPE_CHECKING:
    from flowstream.models.model import ClipShape, Model

NOT_TRAINED = ("workers", "cache_features", "evaluation", "compile", "channels_last")
"""Fields that affect only the computation or evaluation of a stream, not its training result."""


@dataclass(frozen=True)
class StreamRecipe(Checked):
    """Training and evaluation of one stream.

    The defaults are TSN's on UCF101 (Wang et al. 2016, arXiv:1608.00859, section 4.1, and its
    code) unless a field names another source.

    Parameters
    ----------
    stream : "rgb", "flow", "rgb_difference" or "both"
        A key of `flowstream.dataset.inputs.INPUTS`. "both", for models that take RGB and flow
        together (`two_stream`), is flow and the RGB frame in its middle, with the same crops.
    model : str
        A key of `flowstream.models.MODELS`: `single_frame` is the spatial stream, `early_fusion`
        on flow the temporal one.
    frames : int
        T of a clip: RGB frames, differences of frames, or flow fields (L). Simonyan & Zisserman
        2014 (arXiv:1406.2199): 1 and 10. The defaults of `frames` and `size` give the clip of 3D
        networks, 16 x 112 x 112, with ten clips per test video: C3D, Tran et al. 2015
        (arXiv:1412.0767), section 3.
    step : int
        Distance between successive frames or fields: 5 selects 5 of 25 frames per second.
    options : table
        Options of the model: backbone, pretrained, dropout, ....
    size : "WxH" or int
        Size of the network's input; for the default see `frames`. 224 is ImageNet's, for 2D
        networks with its weights.
    bound : float
        Pixels of flow that become the value 1.
    mean_flow : bool
        Subtract each field's mean vector to reduce camera motion. Simonyan & Zisserman 2014,
        section 3.1: +1.1 % at L = 10.
    stacking : "flow", "trajectory" or "bidirectional"
        Stacking of fields to a flow clip: unchanged, along the trajectories of the first frame's
        pixels, or half of them backward from the middle frame, which requires stacks with backward
        flow. Simonyan & Zisserman 2014, table 1b: 81.0, 80.2 and 81.2 % on UCF101 at L = 10.
    camera : "stored", "removed" or "added"
        "removed" is warped flow, "added" the flow with the camera's motion, both from stacks that
        were extracted with `stabilise`; see `flowstream.dataset.inputs.flow.Flow`.
    channels : list of str
        Channels that are derived from flow and appended to it: keys of
        `flowstream.dataset.channels.CHANNELS` ("magnitude", "strain", ...).
    segments : int
        Clips of each video in training, whose scores are combined before the loss: 1 is Simonyan &
        Zisserman 2014, 3 is TSN.
    consensus : "average", "max", "top_k", "weighted" or "attention"
        Combination of the scores of the segments; see `flowstream.train.consensus`.
    sampling : "segments", "dense" or "spread"
    run : int
    short : "loop", "hold" or "refuse"
        Positions of clips, and treatment of videos that are too short; see
        `flowstream.dataset.window.Window`.
    trainer : str
        A key of `flowstream.train.TRAINERS`; `trainer_options` are its parameters. The fields from
        `layers` to `ema` belong to "gradient", the default.
    layers : "all" or "head"
        Layers that are trained: all, or only the last layer, while all others stay in evaluation
        mode.
    batch, accumulate : int
        Videos in a batch on each process, and number of batches whose gradients are added per step.
    epochs : int
    optimiser : "sgd" or "adamw"
        SGD with Nesterov momentum, or AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
    learning_rate, momentum, weight_decay : float
        No decay of norms and biases (He et al. 2019, arXiv:1812.01187, section 3.1).
    backbone_rate : float
        Factor of the learning rate of all layers but the head.
    layer_decay : float
        Factor of the learning rate from one block of layers to the block before it, counted from
        the head (Howard & Ruder 2018, arXiv:1801.06146, section 3.2, divides by 2.6).
    schedule : "cosine" or "step"
        Decrease to zero along a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or by the
        factor `gamma` at each of the `milestones` (epochs).
    warm_up : float
        Number of epochs in which the learning rate grows from zero (Goyal et al. 2017,
        arXiv:1706.02677).
    label_smoothing : float
        Szegedy et al. 2016, arXiv:1512.00567, section 7, use 0.1.
    mixup, cutmix : float
        Parameters of the beta distribution from which the share of a second video is drawn; 0
        disables mixing (Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899).
    drop_stream : float
        Probability of dropping RGB or flow of a video, for models of both (arXiv:1501.00102).
    clip_gradient : float or None
        Largest norm of the gradient.
    ema : float
        Decay per step of the running average of the weights, which is validated and saved; 0
        disables the average, 0.99 averages about the last hundred steps.
    amp : bool
        Half precision on CUDA; no effect on other devices.
    channels_last, compile : bool
        Memory format of images, and `torch.compile`; results change by rounding only.
    augment : list of tables
        Random transforms in their order: `{ name = "corner_crop", scales = [1.0, 0.875] }`; the
        names are keys of `flowstream.dataset.augmentations.AUGMENTATIONS`.
    fixed_clips : bool
        Train on the same clips in every epoch: the centre crops of evenly spaced moments, without
        augmentation.
    cache_features : bool
        Compute the features of a CNN that is not trained (`cnn_rnn`) once, store them in the run's
        directory and train on them; requires `fixed_clips`. Results change by rounding only.
    seed : int
        Seed of weights, order, crops and dropout.
    validate_every : int
        Number of epochs between validations; the last epoch is always validated.
    validation : table
        See `Evaluation`; the default has few clips, because validation is frequent.
    evaluation : table
        See `Evaluation`; 25 x 10 is Simonyan & Zisserman 2014, section 5, and TSN. It does not
        belong to the training: after a change the stream is evaluated again, but not trained again.
    workers : int or None
        Number of processes that read clips; None is 0 if the network runs on the CPU, and up to 8
        otherwise. It changes no result. See also `train.parallel`.
    """

    stream: str
    model: str
    frames: int = 16
    step: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    size: Size | int = 112
    bound: float = 20.0
    mean_flow: bool = False
    stacking: Literal["flow", "trajectory", "bidirectional"] = "flow"
    camera: Literal["stored", "removed", "added"] = "stored"
    channels: tuple[str, ...] = ()
    segments: int = 1
    consensus: Literal["average", "max", "top_k", "weighted", "attention"] = "average"
    sampling: Literal["segments", "dense", "spread"] = "segments"
    run: int = 1
    short: Literal["loop", "hold", "refuse"] = "loop"
    trainer: str = "gradient"
    trainer_options: Mapping[str, Any] = field(default_factory=dict)
    layers: Literal["all", "head"] = "all"
    batch: int = 32
    accumulate: int = 1
    epochs: int = 80
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    backbone_rate: float = 1.0
    layer_decay: float = 1.0
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warm_up: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    drop_stream: float = 0.0
    clip_gradient: float | None = 20.0
    ema: float = 0.0
    amp: bool = True
    channels_last: bool = field(default=False, compare=False)
    compile: bool = field(default=False, compare=False)
    augment: tuple[Mapping[str, Any], ...] = DEFAULT
    fixed_clips: bool = False
    cache_features: bool = field(default=False, compare=False)
    seed: int = 0
    validate_every: int = 1
    validation: Evaluation = field(default_factory=lambda: Evaluation(segments=3, crops=1))
    evaluation: Evaluation = field(default_factory=Evaluation, compare=False)
    workers: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        known = (*INPUTS, BOTH)
        self.expect("stream", f"one of: {', '.join(known)}", self.stream in known)
        counts = ("frames", "step", "segments", "batch", "accumulate", "epochs", "validate_every")
        for name in counts:
            self.expect(name, "at least 1", getattr(self, name) >= 1)
        for name, most in LIMITS.items():
            self.expect(name, f"at most {most}", (getattr(self, name) or 0) <= most)
        for name in ("bound", "learning_rate", "backbone_rate"):
            value = getattr(self, name)
            self.expect(name, "above 0", math.isfinite(value) and value > 0)
        for name in ("weight_decay", "mixup", "cutmix"):
            self.expect(name, "0 or more", 0 <= getattr(self, name) < math.inf)
        for name in ("momentum", "label_smoothing", "ema"):
            self.expect(name, "0 or more, below 1", 0 <= getattr(self, name) < 1)
        most = int(self.stream == BOTH)
        self.expect("drop_stream", f"0 to {most}", 0 <= self.drop_stream <= most)
        for name in ("gamma", "layer_decay"):
            self.expect(name, "above 0, at most 1", 0 < getattr(self, name) <= 1)
        self.expect("size", "at least 1", min(self.rows_columns) >= 1)
        self.expect("warm_up", "0 or more, below epochs", 0 <= self.warm_up < self.epochs)
        clip = self.clip_gradient
        self.expect("clip_gradient", "above 0", clip is None or clip > 0)
        self.expect("seed", "0 or more", self.seed >= 0)
        self.expect("workers", "0 or more", (self.workers or 0) >= 0)
        build_augmentations(self.augment, self.rows_columns)
        self._check_flow()
        self._check_schedule()
        self._check_model()
        self._check_trainer()

    @property
    def rows_columns(self) -> Size:
        """`size` as (rows, columns)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def architecture(self) -> Model:
        """Model with its options."""
        return build(MODELS[self.model], self.options, where=f"options of {self.model!r}")

    @property
    def clip(self) -> ClipShape:
        """Shape of the clips that the network is built for."""
        from flowstream.models.model import ClipShape

        # A network of RGB and flow is built for the shape of its flow.
        channels = INPUTS[self.inputs[-1]].channels + len(self.channels)
        return ClipShape(channels, self.frames, *self.rows_columns)

    @property
    def uses_flow(self) -> bool:
        """True if the stream sees flow, so that the flow method matters to it."""
        return sees_flow(self.stream)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of `INPUTS` that the network takes."""
        return stream_inputs(self.stream)

    def _check_flow(self) -> None:
        flow = self.uses_flow
        self.expect("stacking", "'flow' for a stream of RGB", flow or self.stacking == "flow")
        self.expect("camera", "'stored' for a stream of RGB", flow or self.camera == "stored")
        self.expect("channels", "none for a stream of RGB", flow or not self.channels)
        known = f"names among {', '.join(CHANNELS)}"
        self.expect("channels", known, set(self.channels) <= set(CHANNELS))
        halves = self.stacking != "bidirectional" or self.frames % 2 == 0
        self.expect("frames", "an even number with stacking 'bidirectional'", halves)

    def _check_schedule(self) -> None:
        rising = sorted(set(self.milestones)) == [*self.milestones]
        self.expect("milestones", "rising epochs", rising)
        self.expect(
            "milestones",
            "epochs with schedule 'step', none with 'cosine'",
            bool(self.milestones) == (self.schedule == "step"),
        )

    def _check_model(self) -> None:
        """Raise for options that would otherwise fail after the videos have been extracted."""
        try:
            model = self.architecture
            model.check_size(self.clip)
            _ = model.pixels  # asks for its backbone, too
        except (RecipeError, ShapeError, UnknownNameError) as error:
            raise ParameterError(str(error)) from error
        if self.cache_features and not (self.fixed_clips and model.has_frozen_features):
            raise ParameterError(
                "cache_features: got true, expected false, because the features change: keep them "
                "with fixed_clips = true and a model whose CNN is not trained (cnn_rnn, pretrained)"
            )
        both = len(model.streams) > 1
        if both != (self.stream == BOTH):
            sees = "RGB and flow together" if both else "one of RGB and flow"
            expected = repr(BOTH) if both else f"one of {', '.join(INPUTS)}"
            raise ParameterError(
                f"stream: got {self.stream!r}, expected {expected}, because model {self.model!r} "
                f"sees {sees}"
            )

    def _check_trainer(self) -> None:
        from flowstream.train import TRAINERS

        try:
            trainer = build(TRAINERS[self.trainer], self.trainer_options, where="trainer_options")
            trainer.check_recipe(self)
        except (RecipeError, UnknownNameError) as error:
            raise ParameterError(str(error)) from error
