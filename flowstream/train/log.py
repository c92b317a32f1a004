"""The measures of each epoch, written as CSV and for TensorBoard."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from flowstream.disk import whole_file


@dataclass(frozen=True)
class Epoch:
    """Measures of one epoch; the validation measures are None if there was no validation."""

    epoch: int
    """Number of the epoch, from 1."""
    learning_rate: float
    """Learning rate in the middle of the epoch."""
    train_loss: float
    train_top1: float
    validation_loss: float | None
    validation_top1: float | None
    seconds: float
    """Time of training, without validation."""
    data_seconds: float = 0.0
    """Part of `seconds` that was spent waiting for clips."""

    @property
    def merit(self) -> tuple[float, float] | None:
        """Key that is largest for the best epoch: validation top-1, then lower loss."""
        if self.validation_top1 is None or self.validation_loss is None:
            return None
        return self.validation_top1, -self.validation_loss

    def summary(self) -> str:
        """Format the losses and the validation top-1 in one line."""
        text = f"loss {self.train_loss:.3f}"
        if self.validation_top1 is not None:
            text += f", validation {self.validation_loss:.3f}, top-1 {self.validation_top1:.3f}"
        return text


def is_best(history: Sequence[Epoch]) -> bool:
    """Return True if the last epoch is the best one, or if there is no validation."""
    merits = [epoch.merit for epoch in history if epoch.merit is not None]
    if not merits:
        return True
    return history[-1].merit is not None and history[-1].merit > max(merits[:-1], default=(-1, 0))


def _hide_write_errors(previous: Callable[[threading.ExceptHookArgs], Any]) -> None:
    """Print no traceback of TensorBoard's thread, whose errors the writer raises again."""

    def report(failure: threading.ExceptHookArgs) -> None:
        written = failure.thread is not None and "tensorboard" in type(failure.thread).__module__
        if not (written and isinstance(failure.exc_value, OSError)):
            previous(failure)

    threading.excepthook = report


class Log:
    """Writer of `log.csv` and TensorBoard's events in the directory of a run.

    Parameters
    ----------
    directory : Path
    done : int
        Number of completed epochs; later events, which a killed run wrote, are hidden.
    """

    def __init__(self, directory: Path, *, done: int) -> None:
        self._path = directory / "log.csv"
        self._previous = threading.excepthook
        _hide_write_errors(self._previous)
        self._events = SummaryWriter(str(directory / "tensorboard"), purge_step=done + 1)

    def write(self, history: Sequence[Epoch]) -> None:
        """Write all epochs to the CSV and the last one to the events."""
        text = io.StringIO()
        names = [field.name for field in fields(Epoch)]
        rows = csv.DictWriter(text, names, lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(epoch) for epoch in history)
        with whole_file(self._path) as part:
            part.write_text(text.getvalue(), encoding="utf-8")
        last = asdict(history[-1])
        for name in names[1:]:
            if last[name] is not None:
                tag = name.replace("train_", "train/").replace("validation_", "validation/")
                self._events.add_scalar(tag, last[name], last["epoch"])
        self._events.flush()

    def close(self) -> None:
        """Close the events."""
        try:
            self._events.close()
        finally:
            threading.excepthook = self._previous
