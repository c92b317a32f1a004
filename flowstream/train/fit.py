"""The training loop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from flowstream.dataset.split import Split
from flowstream.device import choose_device
from flowstream.errors import CheckpointError, ParameterError
from flowstream.progress import Progress
from flowstream.train.batches import Batch, training_batches
from flowstream.train.consensus import CONSENSUS
from flowstream.train.device import autocast
from flowstream.train.distributed import choose_local_device, join_processes
from flowstream.train.heads import keep_first_head, mask_other_heads
from flowstream.train.log import Epoch, Log
from flowstream.train.mixing import drop_streams, mix_batch
from flowstream.train.predict import score_videos
from flowstream.train.recipe import StreamRecipe
from flowstream.train.run import BEST, Run, start_run
from flowstream.train.schedule import learning_rate
from flowstream.train.scorer import flatten_views, move
from flowstream.train.track import write_record


def fit(
    recipe: StreamRecipe,
    split: Split,
    out: Path,
    *,
    device: str = "auto",
    progress: bool = True,
    title: str = "",
) -> Path:
    """Train a stream, or continue a run of the same recipe in the same directory.

    All random numbers of an epoch depend only on the seed of the recipe and the epoch. A run that
    was interrupted, even in the middle of an epoch, therefore ends with the same weights as a run
    that was not interrupted (bit for bit on a CPU with the same number of threads; CUDA sums in
    varying order).

    Parameters
    ----------
    recipe : StreamRecipe
    split : Split
        Training videos, and validation videos that select the best epoch: by top-1, then by loss.
        Without validation videos the last epoch is the best.
    out : Path
        Directory for `best.pt`, `last.pt`, `log.csv`, `run.json` and `tensorboard/`.
    device : str
        See `choose_device`.
    progress : bool
        Show a progress bar on stderr.
    title : str
        Title of the bar; the default is the kind of input.

    Returns
    -------
    Path
        Path of the best checkpoint.

    Raises
    ------
    CheckpointError
        If `out` contains a run of another recipe, other videos or other flow, or a damaged run, or
        cannot be written.
    SplitError, StackError, ShapeError
        If there are no training videos, or their stacks do not fit the recipe.
    ParameterError
        If the loss is not finite.
    """
    out, place = Path(out), choose_local_device(choose_device(device))
    processes = join_processes(place)
    progress = progress and processes.is_main
    # The state of the caller's random number generators is restored afterwards.
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        run = start_run(recipe, split, out, device=place, processes=processes)
        log = None
        if processes.is_main:
            try:
                log = Log(out, done=len(run.history))
                write_record(out, recipe, split, spec=run.clips.spec)
            except OSError as error:
                raise CheckpointError(f"{out}: cannot write to it: {error.strerror}") from error
        title = title or recipe.stream
        bar = Progress(recipe.epochs, title=title, unit="epoch", enabled=progress)
        bar.skip(len(run.history))
        try:
            for epoch in range(len(run.history), recipe.epochs):
                run.history.append(train_epoch(run, epoch, progress=progress))
                run.save(out)
                if log is not None:
                    log.write(run.history)
                bar.update(note=run.history[-1].summary())
        except OSError as error:
            raise CheckpointError(f"{out}: cannot write to it: {error.strerror}") from error
        finally:
            bar.close()
            if log is not None:
                with contextlib.suppress(OSError):  # reported by the last write
                    log.close()
    return out / BEST


def train_epoch(run: Run, epoch: int, *, progress: bool) -> Epoch:
    """Pass once over the training videos, and validate if it is due."""
    started = time.perf_counter()
    seed = _epoch_seed(run.recipe.seed, epoch)
    torch.manual_seed(seed)
    run.clips.set_epoch(epoch)
    batches = training_batches(
        run.recipe, run.clips, run.device, seed=seed, processes=run.processes
    )
    # If only the head is trained, the norms of the other layers keep their statistics.
    run.model.train(run.recipe.layers == "all")
    run.model.head.train()
    loss_sum, right, seen, waited = 0.0, 0, 0, 0.0
    steps = -(-len(batches) // run.recipe.accumulate)
    title = f"epoch {epoch + 1}"
    bar = Progress(steps, title=title, unit="step", enabled=progress, keep=False)
    with bar:
        for step, (group, seconds) in enumerate(_grouped(batches, run.recipe.accumulate)):
            # rate at the middle of the step, so that neither the first nor the last rate is zero
            rate = learning_rate(run.recipe, epoch + (step + 0.5) / steps)
            loss, count = train_step(run, group, rate=rate, key=(seed, step))
            if not math.isfinite(loss):
                raise ParameterError(
                    f"learning_rate: the loss became {loss} in epoch {epoch + 1}, step {step + 1}; "
                    "expected a number. Lower the rate or clip_gradient, or add warm_up"
                )
            videos = sum(len(batch.label) for batch in group)
            loss_sum, right, seen = loss_sum + loss * videos, right + count, seen + videos
            waited += seconds
            bar.update(note=f"loss {loss_sum / seen:.3f}, top-1 {right / seen:.3f}")
    seconds = round(time.perf_counter() - started, 3)
    validation_loss, validation_top1 = validate(run, epoch)
    totals = run.processes.gather((loss_sum, right, seen))
    loss_sum, right, seen = (sum(values) for values in zip(*totals, strict=True))
    return Epoch(
        epoch=epoch + 1,
        learning_rate=learning_rate(run.recipe, epoch + 0.5),
        train_loss=loss_sum / seen,
        train_top1=right / seen,
        validation_loss=validation_loss,
        validation_top1=validation_top1,
        seconds=seconds,
        data_seconds=round(waited, 3),
    )


def train_step(
    run: Run, group: Sequence[Batch], *, rate: float, key: tuple[int, int] = (0, 0)
) -> tuple[float, int]:
    """Make one step of the optimiser, on the gradients of one or more batches.

    Parameters
    ----------
    run : Run
    group : sequence of Batch
        Its inputs are (N, C, T, H, W), or (N, S, C, T, H, W) of S segments.
    rate : float
        Learning rate.
    key : two integers
        Values that the random numbers of mixing depend on.

    Returns
    -------
    loss : float
        Mean over the videos.
    right : int
        Number of videos that were classified correctly.
    """
    for table in run.optimiser.param_groups:
        table["lr"] = rate * table["scale"]
    run.optimiser.zero_grad(set_to_none=True)
    generator = np.random.default_rng(key)
    videos = sum(len(batch.label) for batch in group)
    loss_sum, right = 0.0, 0
    for index, batch in enumerate(group):
        last = index + 1 == len(group)
        # with several processes, gradients are exchanged once, after the last batch
        held = isinstance(run.scorer, nn.parallel.DistributedDataParallel) and not last
        with run.scorer.no_sync() if held else contextlib.nullcontext():  # type: ignore[operator]
            loss, hits = _compute_loss(run, batch, generator)
            share = len(batch.label) / videos
            torch.autograd.backward(run.scaler.scale(loss * share))
        loss_sum += float(loss.detach()) * share
        right += hits
    if run.recipe.clip_gradient is not None:
        run.scaler.unscale_(run.optimiser)
        trained: Any = (value for value in run.model.parameters() if value.requires_grad)
        nn.utils.clip_grad_norm_(trained, run.recipe.clip_gradient)
    run.scaler.step(run.optimiser)
    run.scaler.update()
    if run.average is not None:
        run.average.update(run.model)
    return loss_sum, right


def validate(run: Run, epoch: int) -> tuple[float | None, float | None]:
    """Return mean log-loss and top-1 of the validation videos; (None, None) if not due."""
    due = (epoch + 1) % run.recipe.validate_every == 0 or epoch + 1 == run.recipe.epochs
    if run.validation is None or not due:
        return None, None
    scorer = run.make_validation_scorer()
    views = run.recipe.validation
    scores = score_videos(
        scorer, run.validation, run.recipe, views=views, device=run.device, processes=run.processes
    )
    scores = keep_first_head(scores, run.heads)
    labels = np.array([sample.label for sample in run.validation.samples])
    own = scores[np.arange(len(labels)), labels].astype(np.float64)
    loss = float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())
    return loss, float((scores.argmax(axis=1) == labels).mean())


def _compute_loss(run: Run, batch: Batch, generator: np.random.Generator) -> tuple[Tensor, int]:
    """Return the loss of a batch, and the number of videos that were classified correctly."""
    labels = batch.label.to(run.device, non_blocking=True)
    mixed = mix_batch(run.recipe, move(batch.inputs, run.device), labels, generator=generator)
    seen = drop_streams(mixed.inputs, run.recipe.drop_stream, generator)
    inputs, segments = flatten_views(seen)
    with autocast(run.device, run.recipe.amp):
        scores = run.scorer(inputs).float()
        if next(iter(mixed.inputs.values())).ndim == 6:
            scores = scores.reshape(len(labels), segments, -1)
            scores = CONSENSUS[run.recipe.consensus](scores)
    smoothing = run.recipe.label_smoothing
    own = mask_other_heads(scores, mixed.labels, run.heads)
    loss = nn.functional.cross_entropy(own, mixed.labels, label_smoothing=smoothing)
    if mixed.share < 1:
        partner = mask_other_heads(scores, mixed.others, run.heads)
        other = nn.functional.cross_entropy(partner, mixed.others, label_smoothing=smoothing)
        loss = mixed.share * loss + (1 - mixed.share) * other
    return loss, int((own.detach().argmax(dim=1) == labels).sum())


def _grouped(batches: DataLoader[Batch], size: int) -> Iterator[tuple[list[Batch], float]]:
    """Yield lists of `size` batches, with the time spent waiting for them, in seconds."""
    iterator = iter(batches)
    while True:
        started = time.perf_counter()
        group = [Batch(*batch) for batch in islice(iterator, size)]
        if not group:
            return
        yield group, time.perf_counter() - started


def _epoch_seed(seed: int, epoch: int) -> int:
    """Return a seed for the random numbers of one epoch, different from any other epoch's."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
