"""Prediction of the classes of new videos with a trained run and its flow spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import CheckpointError, FlowstreamError, ParameterError
from flowstream.stages.moments import score_moments
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.extract import ExtractSettings
    from flowstream.fusion import FittedFusion
    from flowstream.scores import Scores
    from flowstream.train.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class Prediction:
    """Class probabilities of one video.

    Parameters
    ----------
    video : Path
    classes : tuple of str
    scores : (K,)
        Probabilities of the whole video, fused if there are several streams.
    streams : mapping from stream to (K,)
    times : (M,)
        Moments of the probabilities over time, in seconds.
    over_time : (M, K)
        Probabilities at these moments; empty unless requested.
    name : str
        Name of the video for people; the default is its path.
    """

    video: Path
    classes: tuple[str, ...]
    scores: NDArray[np.float32]
    streams: dict[str, NDArray[np.float32]]
    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    over_time: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or str(self.video))

    def top(self, count: int, scores: NDArray[np.float32] | None = None) -> list[tuple[str, float]]:
        """Return the `count` most probable classes with their probabilities."""
        values = self.scores if scores is None else scores
        order = np.argsort(-values, kind="stable")[:count]
        return [(self.classes[k], float(values[k])) for k in order]


class Predictor:
    """Trained streams of a run, ready to score stacks.

    Parameters
    ----------
    recipe : Recipe
        Recipe of the run; see `flowstream.stages.runs.load_run`.
    streams : sequence of str
        Names of the streams to use; all by default.

    Raises
    ------
    CheckpointError
        If a stream is not trained, or was trained on other flow or classes than the first stream.
    """

    def __init__(self, recipe: Recipe, *, streams: Sequence[str] = ()) -> None:
        from flowstream.device import choose_device
        from flowstream.train.checkpoint import load_checkpoint
        from flowstream.train.run import BEST

        names = list(streams) or list(recipe.streams)
        self.checkpoints: dict[str, Checkpoint] = {}
        for name in names:
            if name not in recipe.streams:
                known = ", ".join(recipe.streams)
                raise ParameterError(f"stream: got {name!r}, expected one of: {known}")
            path = recipe.out / name / BEST
            if not path.exists():
                raise CheckpointError(f"{path}: stream {name!r} is not trained yet; train it first")
            self.checkpoints[name] = load_checkpoint(path)
        self.recipe = recipe
        self.device = choose_device(recipe.device)
        self.classes = next(iter(self.checkpoints.values())).classes
        self._check_alike()
        self._fitted = self._fit_fusion() if len(names) > 1 else None

    def settings(self) -> ExtractSettings:
        """Return the settings for extracting stacks like those of the training."""
        from flowstream.codec import CODECS
        from flowstream.extract import ExtractSettings
        from flowstream.flow import METHODS, STABILISERS
        from flowstream.plugins import rebuild
        from flowstream.video import Sampling

        spec = self._leading().spec
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in spec.sampling.items()
            if key != "name"
        }
        sampling = Sampling(**values)
        if sampling.size is None and sampling.short_side is None:
            sampling = replace(sampling, size=spec.size)
        recipes = [checkpoint.recipe for checkpoint in self.checkpoints.values()]
        return ExtractSettings(
            method=rebuild(METHODS, spec.method),
            sampling=sampling,
            codec=rebuild(CODECS, spec.codec),
            rgb=any(recipe.stream != "flow" for recipe in recipes),
            backward=any(recipe.stacking == "bidirectional" for recipe in recipes),
            allow_truncated=True,
            stabilise=rebuild(STABILISERS, spec.stabiliser) if spec.stabiliser else None,
        )

    def predict(self, video: Path, stack: Path, *, every: float | None = None) -> Prediction:
        """Score one video from its stack.

        Parameters
        ----------
        video, stack : Path
        every : float, optional
            Seconds between the moments of the probabilities over time.
        """
        from flowstream.store import open_stack

        whole = {name: self._score(name, stack)[0] for name in self.checkpoints}
        prediction = Prediction(video, self.classes, self._fuse(whole)[0], whole)
        if every is None:
            return prediction
        with open_stack(stack) as opened:
            times, frames = opened.time, opened.num_fields
        moments = np.arange(times[0], times[-1] + 1e-9, every)
        fields = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, frames - 1)
        scored = {
            name: score_moments(
                checkpoint, stack, fields.tolist(), section=self._section, device=self.device
            )
            for name, checkpoint in self.checkpoints.items()
        }
        return replace(prediction, times=moments - times[0], over_time=self._fuse_rows(scored))

    @property
    def _section(self) -> int:
        """Number of fields of the longest clip of the run."""
        return max((s.frames - 1) * s.step + 1 for s in self.recipe.streams.values())

    def _score(self, name: str, stack: Path) -> NDArray[np.float32]:
        """Return the probabilities (1, K) of the whole video."""
        from flowstream.dataset.split import Sample
        from flowstream.train.clips import viewed_clips
        from flowstream.train.predict import load_network, score_videos
        from flowstream.train.scorer import Scorer

        checkpoint = self.checkpoints[name]
        recipe = replace(checkpoint.recipe, workers=0)
        views = recipe.evaluation
        clips = viewed_clips(recipe, [Sample(stack.stem, 0, stack.stem, stack)], views)
        scorer = Scorer(load_network(checkpoint, clips).to(self.device))
        return score_videos(scorer, clips, recipe, views=views, device=self.device)

    def _fuse(self, scores: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return self._fuse_rows({name: rows[None] for name, rows in scores.items()})

    def _fuse_rows(self, scores: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return (M, K) of the rows (M, K) of each stream."""
        if self._fitted is None:
            return next(iter(scores.values()))
        stacked = np.stack([scores[name] for name in self._fitted.streams]).astype(np.float64)
        return self._fitted.combine(stacked).astype(np.float32)

    def _fit_fusion(self) -> FittedFusion:
        """Fit the run's fusion as its training did; average the streams without such scores."""
        from flowstream.fusion import FUSIONS
        from flowstream.stages.evaluation import keep_common, read_fitting_scores

        found = read_fitting_scores(self.recipe, self.checkpoints)
        if found:
            return self.recipe.make_fusion().fit(keep_common(found))
        names = list(self.checkpoints)
        return FUSIONS["average"]().fit([_make_placeholder(name, self.classes) for name in names])

    def _leading(self) -> Checkpoint:
        """Return the checkpoint whose flow spec is used: the first that sees flow, or the first."""
        every = list(self.checkpoints.values())
        return next((one for one in every if one.recipe.uses_flow), every[0])

    def _check_alike(self) -> None:
        from flowstream.train.checkpoint import check_spec

        leading = self._leading()
        for name, checkpoint in self.checkpoints.items():
            check_spec(checkpoint, leading.spec, where=f"stream {name!r}")
            if checkpoint.classes != self.classes:
                raise CheckpointError(
                    f"stream {name!r}: trained for other classes than the first stream; choose "
                    "streams of one training"
                )


def predict_videos(
    predictor: Predictor,
    sources: Sequence[Path],
    stacks: Path,
    *,
    every: float | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> tuple[list[Prediction], list[str]]:
    """Extract the flow of videos as in training, and predict their classes.

    Parameters
    ----------
    predictor : Predictor
    sources : paths of videos or directories
    stacks : Path
        Directory for their stacks; existing stacks are used. Nothing is extracted into a pack.
    every : float, optional
        Seconds between the moments of the probabilities over time.
    jobs : int, optional
        Number of videos extracted in parallel.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    predictions : list of Prediction
    failures : list of str
        One line for each video that could not be predicted.
    """
    from flowstream.extract import RunOptions, extract, plan
    from flowstream.progress import Progress
    from flowstream.store import is_pack
    from flowstream.store.pack import has_stack

    planned = plan(sources, stacks)
    ready = [job for job in planned if has_stack(job.output)]
    if is_pack(stacks):
        found = {job.output for job in ready}
        missing = [job.source for job in planned if job.output not in found]
        failures = [f"{source}: no stack in the pack {stacks}" for source in missing]
    else:
        options = RunOptions(workers=jobs, progress=progress)
        summary = extract(planned, predictor.settings(), stacks, options=options)
        failures = [f"{outcome.source}: {outcome.error}" for outcome in summary.failed]
        ready = [job for job in planned if job.output.exists()]
    predictions = []
    with Progress(len(ready), title="predict", unit="video", enabled=progress, keep=False) as bar:
        for job in ready:
            try:
                predictions.append(predictor.predict(job.source, job.output, every=every))
            except FlowstreamError as error:
                failures.append(f"{job.source}: {error}")
            bar.update()
    return predictions, failures


def _make_placeholder(name: str, classes: tuple[str, ...]) -> Scores:
    from flowstream.scores import Scores

    return Scores(
        scores=np.full((1, len(classes)), 1 / len(classes), np.float32),
        labels=np.zeros(1, np.int64),
        videos=("none",),
        classes=classes,
        stream=name,
        part="validation",
    )
