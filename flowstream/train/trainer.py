"""The contract of a trainer: a recipe and a split give the checkpoint of a trained stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from flowstream.dataset.split import Split
    from flowstream.train.recipe import StreamRecipe


class Trainer(ABC):
    """Way to train a stream; subclasses are frozen dataclasses of its parameters."""

    name: ClassVar[str]
    """Its name in TRAINERS."""

    @abstractmethod
    def fit(
        self, recipe: StreamRecipe, split: Split, out: Path, *, device: str, progress: bool
    ) -> Path:
        """Train a stream and return the path of its checkpoint.

        A run that was interrupted is continued. One that is complete returns at once.

        Parameters
        ----------
        recipe : StreamRecipe
        split : Split
            Its training videos, and its validation videos for whatever is chosen.
        out : Path
            Directory of the run; gets `best.pt`.
        device : str
            See `flowstream.device.choose_device`.
        progress : bool
            Show progress on stderr.

        Raises
        ------
        FlowstreamError
            If `out` holds another run, or the stream cannot be trained.
        """
