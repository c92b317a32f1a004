"""The progress of a run on stderr: pairs done, pairs a second, time to go."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from flowstream.extract.forecast import estimate
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.worker import COUNTER
from flowstream.progress import Progress

REFRESH_SECONDS = 0.5


class Board:
    """A file of one counter a job: workers write their pairs so far, the run reads them all."""

    def __init__(self, path: Path, *, slots: int) -> None:
        self.path = path
        path.write_bytes(bytes(slots * COUNTER.size))

    def read(self) -> list[int]:
        """The pairs so far of every job."""
        counts: list[int] = np.fromfile(self.path, "<i8").tolist()
        return counts


@contextmanager
def open_board(slots: int) -> Iterator[Board]:
    """A board that lasts as long as the run."""
    with tempfile.TemporaryDirectory(prefix="flowstream-") as folder:
        yield Board(Path(folder) / "board", slots=slots)


class Meter:
    """A progress bar over frame pairs, fed by the board and by finished videos."""

    def __init__(
        self, jobs: Sequence[Job], settings: ExtractSettings, *, board: Board, workers: int
    ) -> None:
        expected = estimate(jobs, settings)
        self._expected = list(expected.pairs)
        self._final: dict[int, int] = {}
        self._failed = 0
        self._board = board
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)
        self._bar = Progress(sum(self._expected), unit="pair")
        self._bar.say(f"To extract: {expected}; {workers} at once.")

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._show()
        self._bar.close()

    def add(self, slot: int, outcome: Outcome) -> None:
        """Count a video that is over; its true number of pairs replaces the expected one."""
        self._final[slot] = outcome.pairs
        self._expected[slot] = outcome.pairs
        self._failed += outcome.status == "failed"

    def _refresh(self) -> None:
        while not self._over.wait(REFRESH_SECONDS):
            self._show()

    def _show(self) -> None:
        counts = self._board.read()
        done = sum(self._final.get(slot, pairs) for slot, pairs in enumerate(counts))
        text = f"{len(self._final)} of {len(self._expected)} videos"
        failed = f", {self._failed} failed" if self._failed else ""
        total = max(done, sum(self._expected))
        self._bar.set_done(max(done, self._bar.done), total=total, note=text + failed)
