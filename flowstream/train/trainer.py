"""Interface of a trainer, which makes a checkpoint from a recipe and a split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

    from flowstream.dataset.split import Split
    from flowstream.scores import Scores
    from flowstream.train.recipe import StreamRecipe


class FitOptions(TypedDict):
    """Arguments of `Trainer.fit` that change no result."""

    cache: Path
    """Directory for features of networks that are not trained; several runs may share it."""
    device: str
    """See `flowstream.device.choose_device`."""
    progress: bool
    """Show progress on stderr."""
    title: NotRequired[str]
    """Name of the stream in the progress; the default is its kind of input."""


class Trainer(ABC):
    """Training method of a stream; subclasses are frozen dataclasses with its parameters."""

    name: ClassVar[str]
    """Its name in TRAINERS."""

    has_rate: ClassVar[bool] = True
    """Whether it uses the learning rate of the recipe."""

    def check_recipe(self, recipe: StreamRecipe) -> None:  # noqa: B027  most train any model
        """Raise `ParameterError` if the trainer cannot train the recipe's model."""

    def checkpoint_bytes(self, recipe: StreamRecipe, classes: int) -> tuple[int, ...]:
        """Return the approximate number of bytes of each checkpoint that the trainer keeps."""
        from flowstream.train.space import forecast_checkpoints

        return forecast_checkpoints(recipe, classes)[:1]

    def check_run(  # noqa: B027  some trainers continue any run
        self, recipe: StreamRecipe, split: Split, out: Path
    ) -> None:
        """Raise `CheckpointError` if `out` contains a run that `fit` would refuse to continue."""

    def held_out_scores(self, out: Path, checkpoint: Path) -> Scores | None:
        """Return cross-validated scores of the training videos; None if there are none.

        Parameters
        ----------
        out : Path
            Directory of the run.
        checkpoint : Path
            Path that `fit` returned.

        Raises
        ------
        ScoresError
            If the scores are damaged, or belong to another checkpoint.
        """
        return None

    @abstractmethod
    def fit(
        self,
        recipe: StreamRecipe,
        split: Split,
        out: Path,
        **options: Unpack[FitOptions],
    ) -> Path:
        """Train a stream and return the path of its checkpoint.

        An interrupted run is continued. For a complete run, the method returns immediately.

        Parameters
        ----------
        recipe : StreamRecipe
        split : Split
            Training videos, and validation videos for all choices.
        out : Path
            Directory of the run; gets `best.pt`.
        **options : FitOptions

        Raises
        ------
        FlowstreamError
            If `out` contains another run, or the stream cannot be trained.
        """
