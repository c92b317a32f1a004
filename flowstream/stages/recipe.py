"""What a recipe file says: one experiment, from its videos to its fused scores."""

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
