"""Training by gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from flowstream.train.trainer import FitOptions, Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstream.dataset.split import Split
    from flowstream.train.recipe import StreamRecipe


@dataclass(frozen=True)
class GradientTrainer(Trainer):
    """Gradient descent with the optimiser and schedule of the recipe."""

    name: ClassVar[str] = "gradient"

    def checkpoint_bytes(self, recipe: StreamRecipe, classes: int) -> tuple[int, ...]:
        """Return the bytes of `best.pt` and `last.pt`."""
        from flowstream.train.space import forecast_checkpoints

        return forecast_checkpoints(recipe, classes)

    def check_run(self, recipe: StreamRecipe, split: Split, out: Path) -> None:
        """Raise `CheckpointError` if `out` has a run of another recipe, other videos or flow."""
        from flowstream.train.run import check_last

        check_last(recipe, split, out)

    def fit(
        self,
        recipe: StreamRecipe,
        split: Split,
        out: Path,
        **options: Unpack[FitOptions],
    ) -> Path:
        """Train the network; see `flowstream.train.fit.fit`."""
        from flowstream.train.fit import fit

        return fit(
            recipe,
            split,
            out,
            device=options["device"],
            progress=options["progress"],
            title=options.get("title", ""),
        )
