"""Progress of a run on standard error: pairs done, pairs per second, time left."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from flowstream.extract.journal import Outcome
from flowstream.extract.work import Ticket
from flowstream.progress import Progress

REFRESH_SECONDS = 0.5


class Meter:
    """Progress over frame pairs, fed by workers and by finished videos.

    Parameters
    ----------
    expected : sequence of int
        Expected frame pairs of each job.
    shown : bool
        False shows nothing.
    """

    def __init__(self, expected: Sequence[int], *, shown: bool) -> None:
        self._expected = list(expected)
        self._total = sum(self._expected)
        self._finished_pairs = self._finished = self._failed = 0
        # Pairs so far of the tickets that are being run.
        self._running: dict[int, dict[int | None, int]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)
        self._bar = Progress(self._total, unit="pair", enabled=shown)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._show()
        self._bar.close()

    def report(self, ticket: Ticket, pairs: int) -> None:
        """Record the pairs of a ticket so far; called by the threads of the pool."""
        with self._lock:
            self._running.setdefault(ticket.slot, {})[ticket.segment] = pairs

    def add(self, slot: int, outcome: Outcome) -> None:
        """Count a finished video; its true number of pairs replaces the expected one."""
        with self._lock:
            self._running.pop(slot, None)
            self._finished += 1
            self._finished_pairs += outcome.pairs
            self._total += outcome.pairs - self._expected[slot]
            self._failed += outcome.status == "failed"

    def _refresh(self) -> None:
        while not self._over.wait(REFRESH_SECONDS):
            self._show()

    def _show(self) -> None:
        with self._lock:
            running = sum(sum(pairs.values()) for pairs in self._running.values())
            done = self._finished_pairs + running
            failed = f", {self._failed} failed" if self._failed else ""
            note = f"{self._finished}/{len(self._expected)} videos{failed}"
            total = max(done, self._total)
        self._bar.set_done(done, total=total, note=note)
