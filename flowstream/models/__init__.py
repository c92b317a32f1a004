"""Video classifiers: from `(N, C, T, H, W)` clips to `(N, K)` scores.

`MODELS[name](**options)` is the recipe of a model, a frozen dataclass. Its method `build` returns
the network for one shape of clips. `build_model` does both. See `flowstream.models.model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstream.plugins import Plugins
from flowstream.types import Size

if TYPE_CHECKING:
    from flowstream.models.model import Classifier, Model

MODELS: Plugins[type[Model]] = Plugins(
    "model",
    {
        "single_frame": "flowstream.models.single_frame:SingleFrame",
        "late_fusion_fc": "flowstream.models.late_fusion_fc:LateFusionFC",
        "late_fusion_pool": "flowstream.models.late_fusion_pool:LateFusionPool",
        "early_fusion": "flowstream.models.early_fusion:EarlyFusion",
        "slow_fusion": "flowstream.models.slow_fusion:SlowFusion",
        "c3d": "flowstream.models.c3d:C3D",
        "cnn_rnn": "flowstream.models.cnn_rnn:CNNRNN",
        "recurrent_conv": "flowstream.models.recurrent_conv:RecurrentConv",
        "nonlocal": "flowstream.models.nonlocal_net:Nonlocal",
        "i3d": "flowstream.models.i3d:I3D",
        "video_transformer": "flowstream.models.video_transformer:VideoTransformer",
        "r3d_18": "flowstream.models.torchvision_video:R3D18",
        "mc3_18": "flowstream.models.torchvision_video:MC318",
        "r2plus1d_18": "flowstream.models.torchvision_video:R2Plus1D18",
        "s3d": "flowstream.models.torchvision_video:S3D",
        "mvit_v2_s": "flowstream.models.torchvision_video:MViTV2S",
        "swin3d_t": "flowstream.models.swin3d:Swin3DT",
        "frame_statistics": "flowstream.models.frame_statistics:FrameStatistics",
        "motion_histograms": "flowstream.models.motion_histograms:MotionHistograms",
        "fisher_vectors": "flowstream.models.fisher_vectors:FisherVectors",
        "two_stream": "flowstream.models.two_stream:TwoStream",
        "two_stream_conv_fusion": "flowstream.models.two_stream_conv_fusion:TwoStreamConvFusion",
    },
    extras={"torch": "train", "torchvision": "train"},
)
"""Models by name."""


def build_model(
    name: str,
    *,
    channels: int | None,
    frames: int,
    size: Size | int,
    classes: int,
    **options: Any,
) -> Classifier:
    """Build a network that scores clips of one shape.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    channels : int or None
        Number of channels C: 3 for RGB, 2 for flow; None for a model that takes both.
    frames : int
        Number of RGB frames, or of flow fields, T.
    size : (rows, columns) or int
        H and W; one number for both.
    classes : int
        Number of classes K.
    **options
        Fields of `MODELS[name]`.

    Returns
    -------
    torch.nn.Module
        From `(N, C, T, H, W)` float32 to `(N, K)` unnormalised scores; a model of both streams
        takes RGB `(N, 3, 1, H, W)` and flow `(N, 2, T, H, W)`. Random weights come from torch's
        global generator: `torch.manual_seed` makes them reproducible.

    Raises
    ------
    UnknownNameError
        If the model or the backbone is unknown.
    RecipeError
        If an option is unknown or not valid.
    ParameterError
        If a length of the clip or the number of classes is below 1, if `channels` is given for a
        model of both streams, or missing for another model.
    ShapeError
        If the clips are too small for the network.
    CheckpointError
        If pretrained weights are not available.
    """
    from flowstream.errors import ParameterError
    from flowstream.models.model import ClipShape
    from flowstream.recipe import build

    if not isinstance(classes, int) or classes < 1:
        raise ParameterError(f"model {name!r}: got {classes!r} classes, expected at least 1")
    model = build(MODELS[name], options, where=f"model {name!r}")
    if (channels is None) != (len(model.streams) > 1):
        expected = "3 for RGB or 2 for flow" if channels is None else "None (it takes RGB and flow)"
        raise ParameterError(f"model {name!r}: got {channels} channels, expected {expected}")
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise ParameterError(f"model {name!r}: got size {size!r}, expected rows and columns")
    rows, columns = sides
    clip = ClipShape(2 if channels is None else channels, frames, rows, columns)
    return model.build(clip, classes)


__all__ = ["MODELS", "build_model"]
