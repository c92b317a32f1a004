"""The whole job of one recipe, stage by stage: videos → stacks → checkpoints → scores → report.

Each stage reads only what the one before left on disk and skips what is done, so that a run that
was stopped is continued by starting it again, and one that is complete costs little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowstream.dataset import SplitRecipe
from flowstream.errors import ExtractionError, ParameterError, ScoresError, SplitError
from flowstream.recipe import build
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.extract import ExtractSettings, Summary
    from flowstream.fusion import Fusion, Mixture
    from flowstream.report.measures import Share
    from flowstream.scores import Scores

Part = Literal["train", "validation", "test"]


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
    compression, rgb, jpeg_quality, allow_truncated
        See `flowstream.extract.ExtractSettings`.
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
        from flowstream.flow import METHODS
        from flowstream.video import Sampling

        shared = {
            option.name: getattr(self, option.name)
            for option in fields(ExtractSettings)
            if hasattr(self, option.name) and option.name not in ("method", "codec")
        }
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
        for name in self.streams:
            if not name.isidentifier() or name in ("stacks", "report", "fused"):
                raise ParameterError(f"streams: {name!r} is no name for one; take another word")

    @property
    def stack_folder(self) -> Path:
        """Where the stacks are."""
        return self.stacks or self.out / "stacks"

    def fitted_fusion(self) -> Fusion:
        """The fusion with its parameters, still to be fitted."""
        from flowstream.fusion import FUSIONS

        method = self.fusion.method
        return build(FUSIONS[method], self.fusion.parameters, where=f"fusion {method!r}")


@dataclass(frozen=True)
class Result:
    """What a run ended with.

    `accuracies` are top-1 on the test part by stream, and `fused` where there are several; `chance`
    is the share of the most frequent class; `weights` are those of the fusion.
    """

    accuracies: Mapping[str, Share]
    weights: Mapping[str, float]
    chance: float
    split: str
    report: Path


def extract_flow(recipe: Recipe, *, progress: bool = True) -> Summary:
    """Make the stacks of a recipe's videos.

    Raises
    ------
    ExtractionError
        If a video failed; the others are done.
    """
    from flowstream.extract import extract, plan

    folder = recipe.stack_folder
    summary = extract(
        plan(recipe.extract.sources, folder),
        recipe.extract.settings(),
        folder,
        workers=recipe.extract.jobs,
        progress=progress,
    )
    if summary.failed:
        raise ExtractionError(
            f"{len(summary.failed)} videos failed, the first: {summary.failed[0].error}; all are "
            f"in {folder / 'extract.jsonl'}. Mend or remove them, or train without them: "
            "pipelines/train_two_stream.py starts from the stacks that are there"
        )
    return summary


def train_streams(recipe: Recipe, *, progress: bool = True) -> Result:
    """Train, evaluate and fuse the streams of a recipe on its stacks, and write the report.

    Each stream's folder gets its checkpoints, logs and `scores.npz` of the test videos, and the
    scores that the fusion is fitted on (validation, or training where nothing is held out).

    Raises
    ------
    SplitError
        If there is nothing to test on.
    FlowstreamError
        As the stages do.
    """
    from flowstream.dataset import read_split
    from flowstream.scores import write_scores

    split = read_split(recipe.split, recipe.stack_folder)
    if not split.test:
        raise SplitError(f"{recipe.stack_folder}: no test video of the split is there")
    seen: Part = "validation" if split.validation else "train"
    fitting, testing = [], []
    for name, stream in recipe.streams.items():
        best = _trained(recipe, name, stream, split, progress=progress)
        if len(recipe.streams) > 1:
            fitting.append(_scored(recipe, name, best, split, part=seen, progress=progress))
        testing.append(_scored(recipe, name, best, split, part="test", progress=progress))
    if len(testing) == 1:
        return _reported(recipe, split, testing, fused=None, mixture=None)
    mixture = recipe.fitted_fusion().fit(fitting)
    fused = mixture(testing)
    write_scores(recipe.out / "fused" / "scores.npz", fused)
    return _reported(recipe, split, testing, fused=fused, mixture=mixture)


def _trained(
    recipe: Recipe, name: str, stream: StreamRecipe, split: Split, *, progress: bool
) -> Path:
    from flowstream.train.fit import fit

    return fit(stream, split, recipe.out / name, device=recipe.device, progress=progress)


def _scored(
    recipe: Recipe, name: str, checkpoint: Path, split: Split, *, part: Part, progress: bool
) -> Scores:
    """A stream's scores of a part, read where this checkpoint has given them before."""
    from flowstream.scores import read_scores, write_scores
    from flowstream.train.checkpoint import load_checkpoint
    from flowstream.train.predict import predict

    path = recipe.out / name / ("scores.npz" if part == "test" else f"scores-{part}.npz")
    videos = tuple(sample.video for sample in getattr(split, part))
    try:
        scores = read_scores(path)
        if scores.checkpoint == load_checkpoint(checkpoint).identity and scores.videos == videos:
            return scores
    except ScoresError:
        pass  # none yet, or a damaged one: made anew
    scores = predict(checkpoint, split, part, device=recipe.device, progress=progress)
    scores = replace(scores, stream=name)
    write_scores(path, scores)
    return scores


def _reported(
    recipe: Recipe,
    split: Split,
    testing: list[Scores],
    *,
    fused: Scores | None,
    mixture: Mixture | None,
) -> Result:
    from flowstream.report.measures import measure
    from flowstream.report.write import write_report

    weights = dict(zip(mixture.streams, mixture.weights, strict=True)) if mixture else {}
    streams = {scores.stream: scores for scores in testing}
    facts = {
        "recipe": recipe,
        "split": split.summary(),
        "weights": weights,
        "weights chosen on": mixture.fitted_on if mixture else "",
    }
    report = write_report(
        recipe.out / "report",
        streams,
        fused or testing[0],
        facts=facts,
        logs={name: recipe.out / name / "log.csv" for name in streams},
    )
    shown = streams if fused is None else {**streams, "fused": fused}
    return Result(
        accuracies={name: measure(scores).top1 for name, scores in shown.items()},
        weights=weights,
        chance=max(result.total for result in measure(testing[0]).classes) / len(split.test),
        split=split.summary(),
        report=report,
    )
