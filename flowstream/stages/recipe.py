"""Recipe of one experiment, from its videos to its fused scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.dataset import SplitRecipe
from flowstream.errors import CheckpointError, ParameterError, RecipeError, ShapeError
from flowstream.extract import ExtractRecipe
from flowstream.recipe import build
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.fusion import Fusion


@dataclass(frozen=True)
class FusionRecipe:
    """The `[fusion]` table: combination of the scores of the streams.

    Parameters
    ----------
    method : str
        A key of `FUSIONS`; `parameters` are its fields.
    """

    method: str = "weighted"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetRecipe:
    """Videos, their stacks and their split, and the directory of the results.

    Parameters
    ----------
    out : Path
        Directory for all results, relative to the working directory.
    extract : ExtractRecipe
    split : SplitRecipe
    stacks : Path or None
        Directory of the stacks, or a pack of them, into which nothing is extracted; None is
        `out/stacks`. Several experiments may share one.
    device : str
        Device of the networks: auto, cpu, cuda, cuda:1, mps.
    """

    out: Path
    extract: ExtractRecipe
    split: SplitRecipe
    stacks: Path | None = None
    device: str = field(default="auto", compare=False)

    @property
    def stack_directory(self) -> Path:
        """Directory of the stacks."""
        return self.stacks or self.out / "stacks"


@dataclass(frozen=True, kw_only=True)
class Recipe(DatasetRecipe):
    """One experiment: its videos, their split, and the streams that are trained on them.

    `DatasetRecipe` documents the other parameters.

    Parameters
    ----------
    streams : table of StreamRecipe by name
        `[streams.spatial]` and `[streams.temporal]`, or any number of others to fuse.
    fusion : FusionRecipe
    features : Path or None
        Directory of the features of networks that are not trained (trainer "linear"); None is
        `out/features`. Several experiments may share one.
    """

    streams: Mapping[str, StreamRecipe]
    fusion: FusionRecipe = field(default_factory=FusionRecipe)
    features: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.streams:
            raise ParameterError("streams: got none, expected at least one table [streams.NAME]")
        check_names(self.streams, "streams")

    @property
    def feature_directory(self) -> Path:
        """Directory of cached features."""
        return self.features or self.out / "features"

    def check_networks(self) -> None:
        """Raise if a network or the fusion would otherwise fail after the extraction.

        A stream whose training has started does not need pretrained weights again, because its
        directory has a checkpoint.

        Raises
        ------
        RecipeError
            If a network or the fusion cannot be built, or the device does not exist.
        CheckpointError
            If a file of pretrained weights is missing or does not fit.
        """
        from flowstream.device import choose_device
        from flowstream.models.inspect.describe import build_on_meta
        from flowstream.train.run import BEST, LAST

        try:
            choose_device(self.device)
        except ParameterError as error:
            raise RecipeError(str(error)) from error
        self.make_fusion()
        for name, stream in self.streams.items():
            if (self.out / name / LAST).exists() or (self.out / name / BEST).exists():
                continue
            model = stream.architecture
            try:
                model.check_weights()
                build_on_meta(model, stream.clip, 2)
            except CheckpointError as error:
                raise CheckpointError(f"{name}: {error}") from error
            except (ParameterError, ShapeError) as error:
                raise RecipeError(f"{name}: {error}") from error

    def make_fusion(self) -> Fusion:
        """Return the fusion with its parameters, not yet fitted."""
        from flowstream.fusion import FUSIONS

        method = self.fusion.method
        return build(FUSIONS[method], self.fusion.parameters, where=f"fusion {method!r}")


OVERFIT = "overfit"
"""Directory of the trials of `flowstream train --overfit`."""

RESERVED = ("stacks", "report", "fused", "features", "pooled", "evaluations", OVERFIT)
"""Names of directories of a run, which are not allowed as names of streams."""


def check_names(names: Iterable[str], table: str) -> None:
    """Raise `ParameterError` for names that cannot be directories of a run."""
    for name in names:
        if not name.isidentifier() or name in RESERVED:
            raise ParameterError(
                f"{table}: {name!r} is not a valid stream name; use letters, digits "
                f"and _, and none of {', '.join(RESERVED)}"
            )
