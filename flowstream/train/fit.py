"""The training loop, in plain sight."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flowstream.dataset.split import Split
from flowstream.device import choose_device
from flowstream.errors import CheckpointError, ParameterError
from flowstream.progress import Progress
from flowstream.train.clips import training_batches
from flowstream.train.device import autocast
from flowstream.train.log import Epoch, Log
from flowstream.train.predict import score_videos
from flowstream.train.recipe import StreamRecipe
from flowstream.train.run import BEST, Run, start_run
from flowstream.train.schedule import learning_rate


def fit(
    recipe: StreamRecipe, split: Split, out: Path, *, device: str = "auto", progress: bool = True
) -> Path:
    """Train a stream; go on where a run of the same recipe in the same folder stopped.

    Everything random in an epoch depends on the recipe's seed and the epoch alone, so that a run
    that was stopped, even amid an epoch, ends with the weights of one that was not (to the bit on
    a CPU with as many threads; CUDA sums in varying order).

    Parameters
    ----------
    recipe : StreamRecipe
    split : Split
        Its training videos, and its validation videos to choose the best epoch by: top-1, then
        loss. Without validation videos the last epoch is the best.
    out : Path
        Gets `best.pt`, `last.pt`, `log.csv` and `tensorboard/`.
    device : str
        See `choose_device`.
    progress : bool
        A bar on stderr.

    Returns
    -------
    Path
        Of the best checkpoint.

    Raises
    ------
    CheckpointError
        If `out` holds a run of another recipe, other videos or other flow, or a damaged one, or
        cannot be written.
    SplitError, StackError, ShapeError
        If there are no training videos, or their stacks do not serve.
    ParameterError
        If the loss is no longer a number.
    """
    out, place = Path(out), choose_device(device)
    # The caller's random numbers go on as if nothing had been.
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        run = start_run(recipe, split, out, device=place)
        try:
            log = Log(out, done=len(run.history))
        except OSError as error:
            raise CheckpointError(f"{out}: cannot write there: {error.strerror}") from error
        bar = Progress(recipe.epochs, title=recipe.stream, unit="epoch", enabled=progress)
        bar.skip(len(run.history))
        try:
            for epoch in range(len(run.history), recipe.epochs):
                run.history.append(train_epoch(run, epoch, progress=progress))
                log.write(run.history)
                run.save(out)
                bar.update(note=run.history[-1].summary())
        finally:
            bar.close()
            log.close()
    return out / BEST


def train_epoch(run: Run, epoch: int, *, progress: bool) -> Epoch:
    """One pass over the training videos, and validation where it is due."""
    started = time.perf_counter()
    seed = _epoch_seed(run.recipe.seed, epoch)
    torch.manual_seed(seed)
    run.clips.set_epoch(epoch)
    batches = training_batches(run.recipe, run.clips, run.device, seed=seed)
    # With the head alone in training, the norms of the rest keep their statistics.
    run.model.train(run.recipe.layers == "all")
    run.model.head.train()
    loss_sum, right, seen = 0.0, 0, 0
    bar = Progress(
        len(batches), title=f"epoch {epoch + 1}", unit="step", enabled=progress, keep=False
    )
    for step, (values, labels, _) in enumerate(batches):
        # the middle of the step: neither the first nor the last has a rate of zero
        rate = learning_rate(run.recipe, epoch + (step + 0.5) / len(batches))
        loss, scores = train_step(run, values, labels, rate=rate)
        if not math.isfinite(loss):
            raise ParameterError(
                f"learning_rate: the loss became {loss} in epoch {epoch + 1}, step {step + 1}; "
                "expected a number: lower the rate or clip_gradient, or warm up"
            )
        loss_sum += loss * len(labels)
        right += int((scores.argmax(dim=1).cpu() == labels).sum())
        seen += len(labels)
        bar.update(note=f"loss {loss_sum / seen:.3f}, top-1 {right / seen:.3f}")
    bar.close()
    seconds = round(time.perf_counter() - started, 3)
    validation_loss, validation_top1 = validate(run, epoch)
    return Epoch(
        epoch=epoch + 1,
        learning_rate=learning_rate(run.recipe, epoch + 0.5),
        train_loss=loss_sum / seen,
        train_top1=right / seen,
        validation_loss=validation_loss,
        validation_top1=validation_top1,
        seconds=seconds,
    )


def train_step(run: Run, values: Tensor, labels: Tensor, *, rate: float) -> tuple[float, Tensor]:
    """One step of the optimiser.

    Parameters
    ----------
    values : (N, C, T, H, W), or (N, S, C, T, H, W) of S segments
        Clips, or what `run.scorer` takes for them.
    labels : (N,)
    rate : float
        The learning rate.

    Returns
    -------
    loss : float
    scores : (N, K)
    """
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    run.optimiser.zero_grad(set_to_none=True)
    values = values.to(run.device, non_blocking=True)
    labels = labels.to(run.device, non_blocking=True)
    with autocast(run.device, run.recipe.amp):
        if values.ndim == 6:
            # segmental consensus by the mean of scores: TSN, arXiv:1608.00859, section 3.1
            scores = run.scorer(values.flatten(0, 1))
            scores = scores.reshape(*values.shape[:2], -1).mean(dim=1)
        else:
            scores = run.scorer(values)
    loss = nn.functional.cross_entropy(
        scores.float(), labels, label_smoothing=run.recipe.label_smoothing
    )
    torch.autograd.backward(run.scaler.scale(loss))
    if run.recipe.clip_gradient is not None:
        run.scaler.unscale_(run.optimiser)
        trained: Any = (value for value in run.model.parameters() if value.requires_grad)
        nn.utils.clip_grad_norm_(trained, run.recipe.clip_gradient)
    run.scaler.step(run.optimiser)
    run.scaler.update()
    return float(loss.detach()), scores.detach()


def validate(run: Run, epoch: int) -> tuple[float | None, float | None]:
    """Mean log-loss and top-1 of the validation videos; None and None where it is not due."""
    due = (epoch + 1) % run.recipe.validate_every == 0 or epoch + 1 == run.recipe.epochs
    if run.validation is None or not due:
        return None, None
    scores = score_videos(run.scorer, run.validation, run.recipe, device=run.device)
    labels = np.array([sample.label for sample in run.validation.samples])
    own = scores[np.arange(len(labels)), labels].astype(np.float64)
    loss = float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean())
    return loss, float((scores.argmax(axis=1) == labels).mean())


def _epoch_seed(seed: int, epoch: int) -> int:
    """A seed for what is random in one epoch, unlike that of any other."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
