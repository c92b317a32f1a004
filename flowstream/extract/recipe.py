"""The `[extract]` table of a recipe, which the options of `flowstream extract` fill too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.errors import ParameterError
from flowstream.extract.stack_options import StackOptions
from flowstream.recipe import build

if TYPE_CHECKING:
    from flowstream.codec import Codec
    from flowstream.extract.settings import ExtractSettings
    from flowstream.flow import FlowMethod
    from flowstream.flow.camera import Stabiliser
    from flowstream.video import Sampling


@dataclass(frozen=True)
class ExtractRecipe(StackOptions):
    """Videos, and how their flow is computed and stored.

    Parameters
    ----------
    sources : tuple of Path
        Videos, directories, manifests or patterns, relative to the working directory.
    method : str
        A key of `METHODS`; `parameters` are its fields.
    step, fps, short_side, size, square_pixels, depth_range, stream
        See `flowstream.video.Sampling`.
    codec : str
        A key of `CODECS`; `bound` is its bound in pixels, if it has one.
    compression, rgb, jpeg_quality, max_corrupt, allow_truncated, backward, outputs
        See `StackOptions`.
    stabilise : str
        A key of `STABILISERS`, or "none"; `stabiliser` are its fields.
    jobs : int or None
        Number of videos processed in parallel; None is the number of CPU cores. It changes no
        result.
    """

    sources: tuple[Path, ...]
    method: str = "tvl1"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    step: int = 1
    fps: float | None = None
    short_side: int | None = None
    size: tuple[int, int] | None = None
    square_pixels: bool = False
    depth_range: str = "auto"
    stream: int | None = None
    codec: str = "centred8"
    bound: float | None = None
    stabilise: str = "none"
    stabiliser: Mapping[str, Any] = field(default_factory=dict)
    jobs: int | None = field(default=None, compare=False)

    def settings(self) -> ExtractSettings:
        """Build the settings of the batch stage.

        Raises
        ------
        UnknownNameError, RecipeError, ParameterError
            If a name is unknown, or a parameter does not fit.
        """
        from flowstream.extract.settings import ExtractSettings

        built: dict[str, Any] = {
            "method": self.build_method(),
            "sampling": self.build_sampling(),
            "codec": self._build_codec(),
            "stabilise": self._build_stabiliser(),
        }
        shared = {
            option.name: getattr(self, option.name)
            for option in fields(ExtractSettings)
            if option.name not in built
        }
        return ExtractSettings(**built, **shared)

    def build_method(self) -> FlowMethod:
        """Build the flow method."""
        from flowstream.flow import METHODS

        return build(METHODS[self.method], self.parameters, where=f"flow method {self.method!r}")

    def build_sampling(self) -> Sampling:
        """Build the sampling of frames."""
        from flowstream.video import Sampling

        return Sampling(**{option.name: getattr(self, option.name) for option in fields(Sampling)})

    def _build_codec(self) -> Codec:
        from flowstream.codec import CODECS

        codec = CODECS[self.codec]
        if self.bound is None:
            return codec()
        if not any(option.name == "bound" and option.init for option in fields(codec)):  # type: ignore[arg-type]
            raise ParameterError(f"bound: codec {self.codec!r} has no bound to set")
        return build(codec, {"bound": self.bound}, where=f"codec {self.codec!r}")

    def _build_stabiliser(self) -> Stabiliser | None:
        from flowstream.flow import STABILISERS

        if self.stabilise == "none":
            if self.stabiliser:
                raise ParameterError(
                    "stabiliser: parameters given without a stabiliser; set stabilise = "
                    "'homography'"
                )
            return None
        where = f"stabiliser {self.stabilise!r}"
        return build(STABILISERS[self.stabilise], self.stabiliser, where=where)
