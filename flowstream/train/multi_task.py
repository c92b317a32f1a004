"""Training on several datasets at once, with a head for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from flowstream.dataset.listing import SplitRecipe
from flowstream.errors import ParameterError
from flowstream.ranges import check_at_least
from flowstream.train.trainer import FitOptions, Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flowstream.dataset.split import Sample, Split
    from flowstream.train.checkpoint import Checkpoint
    from flowstream.train.recipe import StreamRecipe

JOINT = "joint"
"""Name of the directory of the joint training, in the directory of the stream."""


@dataclass(frozen=True)
class OtherDataset:
    """Additional dataset that a stream is trained on.

    Parameters
    ----------
    stacks : Path
        Directory of its stacks, extracted with the same settings.
    split : table
        See `SplitRecipe`; its training videos are used.
    """

    stacks: Path
    split: SplitRecipe


@dataclass(frozen=True)
class MultiTaskTrainer(Trainer):
    """Gradient descent on several datasets; the layers below the heads are shared.

    Simonyan & Zisserman 2014 (arXiv:1406.2199), section 3.3: two softmax layers, one for UCF101
    and one for HMDB51, and the sum of their losses; each video has the loss of its own dataset.
    Videos of all datasets are shuffled together. The best epoch is chosen on the stream's own
    validation videos. The checkpoint contains only the stream's own head, so it has the usual form.

    Parameters
    ----------
    others : list of tables
        The other datasets; see `OtherDataset`.
    """

    name: ClassVar[str] = "multi_task"

    others: tuple[OtherDataset, ...]

    def __post_init__(self) -> None:
        check_at_least("number of others", len(self.others), 1)

    def check_recipe(self, recipe: StreamRecipe) -> None:
        """Raise `ParameterError` for a recipe that cannot be divided into heads."""
        if recipe.stream == "both":
            raise ParameterError(
                "trainer: got 'multi_task' with stream 'both', expected a stream of one input"
            )
        if recipe.label_smoothing:
            raise ParameterError(
                f"label_smoothing: got {recipe.label_smoothing}, expected 0 with trainer "
                "'multi_task', because it would smooth over the classes of other datasets"
            )

    def checkpoint_bytes(self, recipe: StreamRecipe, classes: int) -> tuple[int, ...]:
        """Return the approximate bytes of both joint checkpoints and of the stream's own."""
        from flowstream.train.space import forecast_checkpoints

        own, last = forecast_checkpoints(recipe, classes)
        return own, own, last

    def check_run(self, recipe: StreamRecipe, split: Split, out: Path) -> None:
        """Raise `CheckpointError` if `out` has a run of another recipe, other videos or flow."""
        from flowstream.train.run import check_last

        check_last(recipe, self._join(split), out / JOINT)

    def fit(
        self,
        recipe: StreamRecipe,
        split: Split,
        out: Path,
        **options: Unpack[FitOptions],
    ) -> Path:
        """Train all heads in `out/joint`, and write the stream's own head to `out/best.pt`."""
        from flowstream.train.checkpoint import load_checkpoint, save_checkpoint
        from flowstream.train.fit import fit
        from flowstream.train.run import BEST

        out = Path(out)
        best = fit(
            recipe,
            self._join(split),
            out / JOINT,
            device=options["device"],
            progress=options["progress"],
            title=options.get("title", ""),
        )
        save_checkpoint(out / BEST, keep_own_head(load_checkpoint(best), split.classes))
        return out / BEST

    def _join(self, split: Split) -> Split:
        """Return the split of all datasets together."""
        from flowstream.dataset import read_split

        return join_splits(split, [read_split(one.split, one.stacks) for one in self.others])


def join_splits(own: Split, others: list[Split]) -> Split:
    """Return a split with the training videos of all splits, and the other parts of `own`.

    Classes of the others get a prefix, such as `2/` for the second dataset, because datasets may
    have classes of the same name.
    """
    classes, train = list(own.classes), list(own.train)
    for number, other in enumerate(others, start=2):
        train += [_move(sample, len(classes), number) for sample in other.train]
        classes += [f"{number}/{name}" for name in other.classes]
    heads = (len(own.classes), *(len(other.classes) for other in others))
    return replace(own, classes=tuple(classes), train=tuple(train), missing={}, heads=heads)


def keep_own_head(joint: Checkpoint, classes: tuple[str, ...]) -> Checkpoint:
    """Return the checkpoint of the network with only the first classes in its last layer."""
    from flowstream.models.inspect.describe import build_on_meta

    recipe = joint.recipe
    own = build_on_meta(recipe.architecture, recipe.clip, len(classes)).state_dict()
    weights = {}
    for name, value in own.items():
        found = joint.weights[name]
        # only the last layer has more rows in the joint network
        weights[name] = found[: len(value)].clone() if value.ndim else found
    return replace(joint, classes=classes, weights=weights, resume=None)


def _move(sample: Sample, offset: int, number: int) -> Sample:
    """Return a video of another dataset, with prefixes that make its name and group unique."""
    return replace(
        sample,
        label=sample.label + offset,
        video=f"{number}/{sample.video}",
        group=f"{number}/{sample.group}",
    )
