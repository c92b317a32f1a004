"""Many models on one data set at one budget: what each gets right, and what it costs."""

from __future__ import annotations

import csv
import json
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.dataset import SplitRecipe
from flowstream.disk import whole_file
from flowstream.errors import ParameterError, RecipeError
from flowstream.extract import ExtractRecipe
from flowstream.recipe import build
from flowstream.stages.recipe import Recipe, check_names
from flowstream.stages.two_stream import extract_flow, train_checked
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.report.comparison import Comparison, Contender


BUDGET = ("epochs", "batch", "segments", "layers", "fixed_clips", "evaluation")
"""Entries of a stream that all models of a zoo share."""


@dataclass(frozen=True)
class ToyRecipe:
    """The `[toy]` table: the action set that is rendered where it is missing.

    Parameters
    ----------
    folder : Path
        Gets the videos and `manifest.csv`, from the working directory.
    appearances, motions, train, validation, test, size, frames, seed
        See `flowstream.synthetic.write_action_set`.
    """

    folder: Path
    appearances: int = 2
    motions: int = 2
    train: int = 60
    validation: int = 0
    test: int = 40
    size: tuple[int, int] = (48, 48)
    frames: int = 10
    seed: int = 0

    def render(self) -> None:
        """Write the videos, unless they are there.

        Raises
        ------
        ParameterError
            If others than these are there.
        """
        from flowstream.synthetic import write_action_set

        options = {name: value for name, value in vars(self).items() if name != "folder"}
        made = json.dumps(options, sort_keys=True)
        record = self.folder / "toy.json"
        if self.manifest.exists():
            if not record.exists() or record.read_text(encoding="utf-8") != made:
                raise ParameterError(
                    f"toy: {self.folder} holds an action set that was made otherwise; name another "
                    "folder, and another out, or remove both"
                )
            return
        write_action_set(self.folder, **options)
        with whole_file(record) as part:
            part.write_text(made, encoding="utf-8")

    @property
    def manifest(self) -> Path:
        """What lists the videos."""
        return self.folder / "manifest.csv"


@dataclass(frozen=True)
class ZooRecipe:
    """A comparison of models: one data set, one budget, one table `[models.NAME]` a model.

    Parameters
    ----------
    out : Path
        Folder for everything that is made, from the working directory.
    extract : ExtractRecipe
    split : SplitRecipe
    stream : table
        Entries of `StreamRecipe` that all models share: the budget is here.
    models : table of tables by name
        What a model has of its own: `model` where it is not the table's name, `options`, and other
        entries of `StreamRecipe` where it needs them.
    toy : ToyRecipe or None
        The action set to render; None compares on videos that are there.
    stacks : Path or None
        Folder of the stacks; None is `out/stacks`. Several experiments may share one.
    device : str
        Where the networks compute: auto, cpu, cuda, cuda:1, mps.
    """

    out: Path
    extract: ExtractRecipe
    split: SplitRecipe
    stream: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    toy: ToyRecipe | None = None
    stacks: Path | None = None
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise ParameterError("models: none; a zoo has one table [models.NAME] at least")
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
        """What each model is trained with."""
        return {
            name: build(StreamRecipe, {"model": name, **self.stream, **own}, where=f"models.{name}")
            for name, own in self.models.items()
        }

    def experiment(self, name: str) -> Recipe:
        """The recipe of one model alone."""
        return Recipe(
            out=self.out / name,
            extract=self.extract,
            split=self.split,
            streams={name: self.streams[name]},
            stacks=self.stack_folder,
            device=self.device,
        )

    def check_networks(self) -> None:
        """What `Recipe.check_networks` does, for every model before the first is trained."""
        for name in self.models:
            self.experiment(name).check_networks()

    @property
    def stack_folder(self) -> Path:
        """Where the stacks are."""
        return self.stacks or self.out / "stacks"


def compare_models(recipe: ZooRecipe, *, progress: bool = True) -> Path:
    """Train and test every model of a zoo, and write the comparison beside them.

    What is done already is skipped; a model that was stopped goes on.

    Returns
    -------
    Path
        Of `comparison.html`.

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
    extract_flow(recipe.extract, recipe.stack_folder, progress=progress)
    split = read_split(recipe.split, recipe.stack_folder)
    contenders = [_contend(recipe, name, split, progress=progress) for name in recipe.models]
    return write_comparison(recipe.out, _comparison(recipe, split, contenders))


def _comparison(recipe: ZooRecipe, split: Split, contenders: Iterable[Contender]) -> Comparison:
    """The contenders, blind ones first, beside what can be known without seeing motion."""
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
            "Models that do not see the order of frames know the appearance alone; what they "
            "score beyond it is luck."
        )
    else:
        data, remark = split.summary(), ""
        reference = {"most frequent class": split.chance}
    return Comparison(
        contenders=sorted(contenders, key=lambda one: (one.sees_order, one.top1.value)),
        references=reference,
        remark=remark,
        budget=f"{stream.epochs} epochs of {len(split.train) * stream.segments} clips, "
        f"{stream.batch} a step, for each",
        data=data,
    )


def _contend(recipe: ZooRecipe, name: str, split: Split, *, progress: bool) -> Contender:
    """Train and test one model, and tell its cost."""
    from flowstream.models.inspect.describe import describe
    from flowstream.models.inspect.memory import training_memory
    from flowstream.report.comparison import Contender
    from flowstream.train.clips import steps_an_epoch

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
        top1=result.accuracies[name],
        parameters=described.parameters,
        flops=described.flops,
        step_seconds=seconds / steps_an_epoch(len(split.train), stream.batch),
        memory_bytes=memory.total,
        report=Path(os.path.relpath(result.report, recipe.out)).as_posix(),
    )
