"""Messages between a run and its workers; imports nothing that only workers need."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flowstream.extract.devices import on_device
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.settings import ExtractSettings
from flowstream.store.losses import LossCounts

Report = Callable[[int], None]


@dataclass(frozen=True)
class Ticket:
    """Work for a worker: a video, a segment of one, or the segments to join.

    Parameters
    ----------
    job : Job
    slot : int
        Index of the job in its run.
    segment : int or None
        Index of the segment that `job.part` selects; None for a whole video.
    segments : tuple of Path
        Stacks of segments to join into the stack of the job.
    losses : tuple of LossCounts
        Vectors clipped and rounded to zero, of each segment.
    most : int or None
        Number of frames to read; None reads all.
    """

    job: Job
    slot: int = 0
    segment: int | None = None
    segments: tuple[Path, ...] = ()
    losses: tuple[LossCounts, ...] = ()
    most: int | None = None


@dataclass(frozen=True)
class Result:
    """Result of a ticket.

    Parameters
    ----------
    outcome : Outcome
    losses : LossCounts or None
    disk_error, device_error : str
        Reason if the disk cannot take more stacks, or the process of the device has ended; the run
        then ends.
    """

    outcome: Outcome
    losses: LossCounts | None = None
    disk_error: str = ""
    device_error: str = ""


@dataclass(frozen=True)
class Extraction:
    """The task of a worker.

    Parameters
    ----------
    settings : ExtractSettings
    device : str or None
        Device of the method, in place of its own.
    address : str or None
        Socket of the process that estimates flow; see `flowstream.extract.flow_server`.
    """

    settings: ExtractSettings
    device: str | None = None
    address: str | None = None

    def __call__(self, ticket: Ticket, report: Report) -> Result:
        """Run one ticket; an error of the video is part of the result."""
        from flowstream.extract.worker import attempt, one_opencv_thread

        with one_opencv_thread():
            settings = self._settings_here()
            return attempt(ticket, settings, report=report, address=self.address)

    def prepare(self) -> None:
        """Import and load in advance everything that the first ticket needs.

        An error here occurs again with the first ticket, and is reported then.
        """
        with suppress(Exception):
            from flowstream.extract.worker import one_opencv_thread

            if self.address is not None:
                return  # the process of the device estimates
            method = self._settings_here().method
            side = max(64, method.min_side)
            shape = (1, side, side, 3) if method.colour else (1, side, side)
            with one_opencv_thread():
                method(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    def _settings_here(self) -> ExtractSettings:
        if self.device is None:
            return self.settings
        return replace(self.settings, method=on_device(self.settings.method, self.device))
