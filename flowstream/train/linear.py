"""Training of a linear classifier on frozen features, with cross-validated regularisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import CheckpointError, ParameterError, ScoresError
from flowstream.ranges import check_at_least, check_between, check_positive
from flowstream.train.trainer import FitOptions, Trainer

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

    from flowstream.dataset.split import Sample, Split
    from flowstream.models.model import VectorClassifier
    from flowstream.scores import Scores
    from flowstream.store import FlowSpec
    from flowstream.train.checkpoint import Checkpoint
    from flowstream.train.cross_validation import Tried
    from flowstream.train.logistic import Linear
    from flowstream.train.recipe import StreamRecipe

HELD_OUT = "scores-held-out.npz"
"""Cross-validated scores of the training videos, each by a classifier that did not see it."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearTrainer(Trainer):
    """Multinomial logistic regression on the cached features of a frozen network.

    A cross-validation of the training videos, which leaves out blocks of neighbouring groups,
    selects the strength of the regularisation with the lowest log-loss. Its scores are also used to
    calibrate the classifier with one temperature and to fit the fusion of streams. Classifier and
    temperature become the last layer of the network, so the checkpoint has the usual form.

    Parameters
    ----------
    costs : numbers
        Candidates for the cost C of an error, for features that are scaled as below and divided by
        the square root of their number.
    folds : int
        Number of folds of the cross-validation. It is repeated with other folds if there are few
        videos: six times for up to 500.
    division : "blocks" or "groups"
        Content of a fold; a key of `flowstream.train.folds.DIVISIONS`. Use "groups" if new videos
        will be as similar to the training videos as these are to each other. UCF101's groups with
        neighbouring numbers are similar: on 82 training clips, an earlier flow stream had 94 % with
        five folds of groups, 90 % with two runs of equal length, 59 % with two blocks, which are
        cut at the gaps of the numbers, and 62 % on the test clips.
    scale : "each" or "together"
        "each" divides each feature by its own standard deviation. "together" divides all features
        by one number. Use it for histograms, because their rare bins are mostly noise.
    """

    name: ClassVar[str] = "linear"
    has_rate: ClassVar[bool] = False

    costs: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
    folds: int = 2
    division: Literal["blocks", "groups"] = "blocks"
    scale: Literal["each", "together"] = "each"

    def __post_init__(self) -> None:
        check_at_least("number of costs", len(self.costs), 1)
        for cost in self.costs:
            check_positive("costs", cost)
        check_between("folds", self.folds, (2, 100))

    def check_recipe(self, recipe: StreamRecipe) -> None:
        """Raise `ParameterError` unless the model has one frozen vector of features per clip."""
        model = recipe.architecture
        if not (model.has_vectors and model.has_frozen_features):
            from flowstream.models import MODELS

            known = ", ".join(name for name in MODELS if MODELS[name].has_vectors)
            raise ParameterError(
                f"trainer: got 'linear' with model {recipe.model!r}, expected a pretrained model "
                f"with one vector of features for a clip: {known}"
            )

    def check_run(self, recipe: StreamRecipe, split: Split, out: Path) -> None:
        """Raise `CheckpointError` if `out` has a run of another recipe, other videos or flow."""
        from flowstream.train.checkpoint import load_checkpoint
        from flowstream.train.continuation import describe_wanted, refuse_other_run
        from flowstream.train.run import BEST

        if (out / BEST).exists():
            # the number of epochs has no effect
            found = load_checkpoint(out / BEST)
            wanted = describe_wanted(replace(recipe, epochs=found.recipe.epochs), split)
            refuse_other_run(out / BEST, found, wanted)

    def fit(
        self,
        recipe: StreamRecipe,
        split: Split,
        out: Path,
        **options: Unpack[FitOptions],
    ) -> Path:
        """Compute missing features, fit the classifier and write its checkpoint."""
        import torch

        from flowstream.device import choose_device
        from flowstream.train.checkpoint import Checkpoint, save_checkpoint
        from flowstream.train.continuation import compute_fingerprint
        from flowstream.train.cross_validation import choose_classifier
        from flowstream.train.run import BEST
        from flowstream.train.vocabulary import prepare_vocabulary

        out, videos = Path(out), compute_fingerprint(split)
        if (out / BEST).exists():
            self.check_run(recipe, split, out)
            return out / BEST
        self.check_recipe(recipe)
        place, title = choose_device(options["device"]), options.get("title", recipe.stream)
        _make_directory(out)
        with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
            torch.manual_seed(recipe.seed)
            built = recipe.architecture.build(recipe.clip, len(split.classes)).to(place)
        network = cast("VectorClassifier", built)
        if network.has_vocabulary:
            prepare_vocabulary(
                network,
                recipe,
                split.train,
                cache=options["cache"],
                device=place,
                progress=options["progress"],
                title=title,
            )
        features, spec = _compute_features(
            network,
            recipe,
            split.train,
            cache=options["cache"],
            device=place,
            progress=options["progress"],
            title=title,
        )
        labels = np.array([sample.label for sample in split.train], np.int64)
        groups = [sample.group for sample in split.train]
        found = choose_classifier(
            features, labels, groups, classes=len(split.classes), options=self, seed=recipe.seed
        )
        _set_linear(network, found.classifier)
        weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
        checkpoint = Checkpoint(
            recipe=recipe,
            classes=split.classes,
            spec=spec,
            weights=weights,
            epoch=1,
            measures={"validation_top1": found.best.top1, "validation_loss": found.best.loss},
            resume={"videos": videos},
        )
        _write_table(out / "log.csv", found.table)
        _write_held_out(out / HELD_OUT, found.held_out, checkpoint, split=split)
        save_checkpoint(out / BEST, checkpoint)
        return out / BEST

    def held_out_scores(self, out: Path, checkpoint: Path) -> Scores | None:
        """Return the cross-validated scores of the training videos, in all divisions."""
        from flowstream.scores import read_scores
        from flowstream.train.checkpoint import load_checkpoint

        try:
            scores = read_scores(out / HELD_OUT)
        except ScoresError as error:
            raise ScoresError(f"{error}. Remove {checkpoint} to train again") from error
        if scores.checkpoint != load_checkpoint(checkpoint).identity:
            raise ScoresError(
                f"{out / HELD_OUT}: scores of another checkpoint than {checkpoint}; remove both "
                "to train again"
            )
        return scores


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot write to it: {error.strerror}") from error


def _compute_features(
    network: VectorClassifier,
    recipe: StreamRecipe,
    samples: tuple[Sample, ...],
    *,
    cache: Path,
    device: torch.device,
    progress: bool,
    title: str,
) -> tuple[Array, FlowSpec]:
    """Return the features (N, D) of the videos, averaged over their views, and the flow spec."""
    from flowstream.progress import Progress
    from flowstream.train.clips import viewed_clips
    from flowstream.train.evaluation import Evaluation
    from flowstream.train.features import cached_features, locate_features

    clips = viewed_clips(recipe, samples, Evaluation(segments=recipe.segments, crops=1))
    shown = f"{title}: features"
    with Progress(len(clips), title=shown, unit="video", enabled=progress) as bar:
        cached = cached_features(
            locate_features(cache, network, clips, recipe=recipe),
            network,
            clips,
            recipe=recipe,
            device=device,
            progress=bar.update,
        )
    rows = [next(iter(item.inputs.values())) for item in cached]  # each (V, D, 1, 1, 1)
    vectors = np.stack([row.reshape(*row.shape[:2]).mean(axis=0) for row in rows])
    return vectors.astype(np.float64), clips.spec


def _set_linear(network: VectorClassifier, classifier: Linear) -> None:
    import torch

    with torch.no_grad():
        network.linear.weight.copy_(torch.from_numpy(classifier.weight))
        network.linear.bias.copy_(torch.from_numpy(classifier.bias))


def _write_table(path: Path, table: tuple[Tried, ...]) -> None:
    """Write the log of the selection, which the report draws like the log of a training."""
    from flowstream.disk import whole_file

    lines = ["log10_cost,validation_loss,validation_top1"]
    lines += [f"{math.log10(one.cost):g},{one.loss:.6f},{one.top1:.6f}" for one in table]
    with whole_file(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_held_out(
    path: Path, divisions: tuple[Array, ...], checkpoint: Checkpoint, *, split: Split
) -> None:
    """Write the scores of all divisions; the videos of the first have their own names."""
    from flowstream.scores import Scores, write_scores

    scores, count = np.concatenate(divisions), len(divisions)
    names = [sample.video for sample in split.train]
    others = [f"{name} (division {k})" for k in range(2, count + 1) for name in names]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    held = Scores(
        scores=(powers / powers.sum(axis=1, keepdims=True)).astype(np.float32),
        labels=np.array([sample.label for sample in split.train] * count, np.int64),
        videos=(*names, *others),
        classes=split.classes,
        stream=checkpoint.recipe.stream,
        part="train",
        checkpoint=checkpoint.identity,
        protocol="cross-validation",
        groups=tuple(sample.group for sample in split.train) * count,
    )
    write_scores(path, held)
