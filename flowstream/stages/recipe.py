"""What a recipe file says: one experiment, from its videos to its fused scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.dataset import SplitRecipe
from flowstream.errors import CheckpointError, ParameterError, RecipeError, ShapeError
from flowstream.recipe import build
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.extract import ExtractSettings
    from flowstream.fusion import Fusion


@dataclass(frozen=True)
class ExtractRecipe:
    """The `[extract]` table: which videos, and how their flow is made.

    Parameters
    ----------
    sources : tuple of Path
        Videos, folders or manifests, from the working directory.
    method : str
        A key of `METHODS`; `parameters` are its fields.
    step, fps, short_side, size
        See `flowstream.video.Sampling`.
    codec : str
        A key of `CODECS`; `bound` is its bound in pixels, where it has one to set.
    compression, rgb, jpeg_quality, allow_truncated, backward, consistency
        See `flowstream.extract.ExtractSettings`.
    stabilise : str
        A key of `STABILISERS`, or "none"; `stabiliser` are its fields.
    jobs : int or None
        Videos at once; None is one a core. Changes no result.
    """

    sources: tuple[Path, ...]
    method: str = "tvl1"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    step: int = 1
    fps: float | None = None
    short_side: int | None = None
    size: tuple[int, int] | None = None
    codec: str = "centred8"
    bound: float | None = None
    compression: str = "lz4hc"
    rgb: bool = True
    jpeg_quality: int = 95
    allow_truncated: bool = False
    backward: bool = False
    consistency: bool = False
    stabilise: str = "none"
    stabiliser: Mapping[str, Any] = field(default_factory=dict)
    jobs: int | None = field(default=None, compare=False)

    def settings(self) -> ExtractSettings:
        """What the batch stage takes.

        Raises
        ------
        UnknownNameError, RecipeError, ParameterError
            If a name is unknown, or a parameter does not fit.
        """
        from flowstream.codec import CODECS
        from flowstream.extract import ExtractSettings
        from flowstream.flow import METHODS, STABILISERS
        from flowstream.video import Sampling

        shared = {
            option.name: getattr(self, option.name)
            for option in fields(ExtractSettings)
            if hasattr(self, option.name) and option.name not in ("method", "codec", "stabilise")
        }
        if self.stabilise != "none":
            where = f"stabiliser {self.stabilise!r}"
            shared["stabilise"] = build(STABILISERS[self.stabilise], self.stabiliser, where=where)
        elif self.stabiliser:
            raise ParameterError("stabiliser: parameters of none; set stabilise = 'homography'")
        bound = {} if self.bound is None else {"bound": self.bound}
        return ExtractSettings(
            method=build(
                METHODS[self.method], self.parameters, where=f"parameters of {self.method!r}"
            ),
            sampling=Sampling(
                step=self.step, fps=self.fps, short_side=self.short_side, size=self.size
            ),
            codec=build(CODECS[self.codec], bound, where=f"codec {self.codec!r}"),
            **shared,
        )


@dataclass(frozen=True)
class FusionRecipe:
    """The `[fusion]` table: how the streams' scores become one.

    Parameters
    ----------
    method : str
        A key of `FUSIONS`; `parameters` are its fields.
    """

    method: str = "weighted"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One experiment: what its videos are, how they are split, what is trained on them.

    Parameters
    ----------
    out : Path
        Folder for everything that is made, from the working directory.
    extract : ExtractRecipe
    split : SplitRecipe
    streams : table of StreamRecipe by name
        `[streams.spatial]` and `[streams.temporal]`, or any other ones to fuse.
    fusion : FusionRecipe
    stacks : Path or None
        Folder of the stacks; None is `out/stacks`. Several experiments may share one.
    device : str
        Where the networks compute: auto, cpu, cuda, cuda:1, mps.
    """

    out: Path
    extract: ExtractRecipe
    split: SplitRecipe
    streams: Mapping[str, StreamRecipe]
    fusion: FusionRecipe = field(default_factory=FusionRecipe)
    stacks: Path | None = None
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        if not self.streams:
            raise ParameterError("streams: none; a recipe has one table [streams.NAME] at least")
        check_names(self.streams, "streams")

    @property
    def stack_folder(self) -> Path:
        """Where the stacks are."""
        return self.stacks or self.out / "stacks"

    def check_networks(self) -> None:
        """Refuse now what streams that are still to start would fail on after the extraction.

        A stream that has begun has its weights in its own folder, and needs the pretrained ones no
        more.

        Raises
        ------
        RecipeError
            If a network cannot be built as asked.
        CheckpointError
            If pretrained weights that lie in a file are not there or do not fit.
        """
        from flowstream.models.inspect.describe import shadow
        from flowstream.train.run import LAST

        for name, stream in self.streams.items():
            if (self.out / name / LAST).exists():
                continue
            model = stream.architecture
            try:
                model.check_weights()
                shadow(model, stream.clip, 2)
            except CheckpointError as error:
                raise CheckpointError(f"{name}: {error}") from error
            except (ParameterError, ShapeError) as error:
                raise RecipeError(f"{name}: {error}") from error

    def fusing(self) -> Fusion:
        """The fusion with its parameters, still to be fitted."""
        from flowstream.fusion import FUSIONS

        method = self.fusion.method
        return build(FUSIONS[method], self.fusion.parameters, where=f"fusion {method!r}")


def check_names(names: Iterable[str], table: str) -> None:
    """Refuse names that no folder of a run can have."""
    for name in names:
        if not name.isidentifier() or name in ("stacks", "report", "fused"):
            raise ParameterError(f"{table}: {name!r} is no name for one; take another word")
