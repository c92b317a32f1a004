"""Comparison of many models on one dataset with the same budget: accuracy and cost."""

from __future__ import annotations

import csv
import json
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.disk import whole_file
from flowstream.errors import ParameterError, RecipeError
from flowstream.recipe import build
from flowstream.stages.recipe import DatasetRecipe, Recipe, check_names
from flowstream.stages.training import extract_flow, train_checked
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.report.comparison import Comparison, Contender


BUDGET = ("epochs", "batch", "segments", "layers", "fixed_clips", "evaluation")
"""Fields of a stream that all models of a zoo share."""


@dataclass(frozen=True)
class ToyRecipe:
    """The `[toy]` table: an action set that is rendered if it is missing.

    Parameters
    ----------
    directory : Path
        Directory for the videos and `manifest.csv`, relative to the working directory.
    appearances, motions, train, validation, test, size, frames, seed
        See `flowstream.synthetic.write_action_set`.
    """

    directory: Path
    appearances: int = 2
    motions: int = 2
    train: int = 60
    validation: int = 0
    test: int = 40
    size: tuple[int, int] = (48, 48)
    frames: int = 10
    seed: int = 0

    def render(self) -> None:
        """Write the videos, unless they exist.

        Raises
        ------
        ParameterError
            If the directory holds an action set with other parameters.
        """
        from flowstream.synthetic import write_action_set

        options = {name: value for name, value in vars(self).items() if name != "directory"}
        made = json.dumps(options, sort_keys=True)
        record = self.directory / "toy.json"
        if self.manifest.exists():
            if not record.exists() or record.read_text(encoding="utf-8") != made:
                raise ParameterError(
                    f"toy: {self.directory} holds an action set with other parameters; choose "
                    "another directory and another out, or remove both"
                )
            return
        write_action_set(self.directory, **options)
        with whole_file(record) as part:
            part.write_text(made, encoding="utf-8")

    @property
    def manifest(self) -> Path:
        """Path of the manifest that lists the videos."""
        return self.directory / "manifest.csv"


@dataclass(frozen=True, kw_only=True)
class ZooRecipe(DatasetRecipe):
    """Comparison of models: one dataset, one budget, one table `[models.NAME]` for each model.

    `DatasetRecipe` documents the other parameters.

    Parameters
    ----------
    stream : table
        Fields of `StreamRecipe` that all models share, including the budget.
    models : table of tables by name
        Fields of a single model: `model` if it differs from the name of the table, `options`, and
        other fields of `StreamRecipe`.
    toy : ToyRecipe or None
        Action set to render; None compares on existing videos.
    """

    stream: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    toy: ToyRecipe | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise ParameterError("models: got none, expected at least one table [models.NAME]")
        check_names(self.models, "models")
        toy = self.toy
        if toy and (self.split.files != toy.manifest or self.extract.sources != (toy.manifest,)):
            raise ParameterError(
                f"toy: got other sources or split files, expected {toy.manifest} as both"
            )
        try:
            streams = self.streams
        except RecipeError as error:
            raise ParameterError(str(error)) from error
        for entry in BUDGET:
            given = {str(getattr(stream, entry)) for stream in streams.values()}
            if len(given) > 1:
                raise ParameterError(
                    f"models: got {entry} {', '.join(sorted(given))}, expected one budget for all; "
                    "set it in [stream]"
                )

    @property
    def streams(self) -> dict[str, StreamRecipe]:
        """Recipe of each model's stream."""
        return {
            name: build(StreamRecipe, {"model": name, **self.stream, **own}, where=f"models.{name}")
            for name, own in self.models.items()
        }

    def experiment(self, name: str) -> Recipe:
        """Return the recipe of a single model."""
        return Recipe(
            out=self.out / name,
            extract=self.extract,
            split=self.split,
            streams={name: self.streams[name]},
            stacks=self.stack_directory,
            device=self.device,
        )

    def check_networks(self) -> None:
        """Call `Recipe.check_networks` for every model, before the first is trained."""
        for name in self.models:
            self.experiment(name).check_networks()


def compare_models(recipe: ZooRecipe, *, progress: bool = True) -> Path:
    """Train and test every model of a zoo, and write the comparison to the same directory.

    Complete models are skipped, and an interrupted one is continued.

    Returns
    -------
    Path
        Path of `comparison.html`.

    Raises
    ------
    FlowstreamError
        As the stages do.
    """
    from flowstream.dataset import read_split
    from flowstream.report.comparison import write_comparison

    recipe.check_networks()
    if recipe.toy:
        recipe.toy.render()
    extract_flow(recipe.extract, recipe.stack_directory, progress=progress)
    split = read_split(recipe.split, recipe.stack_directory)
    contenders = [_contend(recipe, name, split, progress=progress) for name in recipe.models]
    return write_comparison(recipe.out, _comparison(recipe, split, contenders))


def _comparison(recipe: ZooRecipe, split: Split, contenders: Iterable[Contender]) -> Comparison:
    """Make the comparison, with the models that do not see the order of frames first."""
    from flowstream.report.comparison import Comparison

    stream, toy = next(iter(recipe.streams.values())), recipe.toy
    if toy:
        classes = toy.appearances * toy.motions
        data = (
            f"{classes * toy.test} test videos of {classes} classes: {toy.appearances} "
            f"appearances x {toy.motions} motions"
        )
        reference = {"appearance alone": 1 / toy.motions}
        remark = (
            "Models that do not see the order of frames can only use the appearance; any accuracy "
            "above this limit is chance."
        )
    else:
        data, remark = split.summary(), ""
        reference = {"most frequent class": split.most_frequent}
    return Comparison(
        contenders=sorted(contenders, key=lambda one: (one.sees_order, one.top1.value)),
        references=reference,
        remark=remark,
        budget=f"{stream.epochs} epochs of {len(split.train) * stream.segments} clips, "
        f"{stream.batch} a step, for each",
        data=data,
    )


def _contend(recipe: ZooRecipe, name: str, split: Split, *, progress: bool) -> Contender:
    """Train and test one model, and measure its cost."""
    from flowstream.models.inspect.describe import describe
    from flowstream.models.inspect.memory import training_memory
    from flowstream.report.comparison import Contender
    from flowstream.train.batches import count_steps

    experiment = recipe.experiment(name)
    result = train_checked(experiment, progress=progress)
    stream = experiment.streams[name]
    log = experiment.out / name / "log.csv"
    with log.open(encoding="utf-8", newline="") as rows:
        seconds = statistics.median(float(row["seconds"]) for row in csv.DictReader(rows))
    shape = (stream.architecture, stream.clip, len(split.classes))
    described = describe(*shape, receptive_field=False)
    memory = training_memory(*shape, batch=stream.batch, optimiser=stream.optimiser)
    return Contender(
        name=name,
        model=stream.model,
        sees_order=stream.architecture.sees_order,
        inputs=tuple(clip.lengths for clip in described.inputs),
        top1=result.measures[name].top1,
        parameters=described.parameters,
        flops=described.flops,
        step_seconds=seconds / count_steps(len(split.train), stream.batch),
        memory_bytes=memory.total,
        report=Path(os.path.relpath(result.report, recipe.out)).as_posix(),
    )
