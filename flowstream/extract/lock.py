"""One run at a time in an output folder, and no worker that outlives its run.

When a run is killed, its workers may live on for a moment. If a new run started then, two processes
could write one file. So a run holds a lock on the folder, each worker holds one on the
journal while it writes, a worker ends itself when its run is gone, and a new run waits until the
last worker's lock is free. The kernel frees the locks of a dead process: nothing is left behind.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowstream.errors import ExtractionError

if sys.platform != "win32":
    import fcntl

ORPHAN_POLL_SECONDS = 0.2
# An orphan ends within a poll; a batch on a busy disk may delay it.
PATIENCE_SECONDS = 30.0


@contextmanager
def running_in(folder: Path) -> Iterator[None]:
    """Hold `folder` for one run.

    Raises
    ------
    ExtractionError
        If another run holds the folder.
    """
    with locked(folder, exclusive=True, patience=0.0) as free:
        if not free:
            raise ExtractionError(
                f"{folder}: another extraction is writing into this folder; "
                "wait for its end or give another --out"
            )
        yield


def wait_for_workers(journal: Path) -> None:
    """Return when no worker writes into the journal's folder any more.

    Raises
    ------
    ExtractionError
        If one still does after half a minute.
    """
    with locked(journal, exclusive=True, patience=PATIENCE_SECONDS) as free:
        if not free:
            raise ExtractionError(
                f"{journal.parent}: a worker of an earlier extraction still writes into this "
                "folder; end that process and start again"
            )


@contextmanager
def working_for(run: int | None, journal: Path) -> Iterator[None]:
    """Hold the journal's lock as a worker of the process `run`, and end when that process ends.

    None: the run is no parent of this process (another machine's, or itself), and not watched.
    """
    with locked(journal, exclusive=False, patience=PATIENCE_SECONDS):
        if run is not None and run != os.getpid():
            # Asked once the lock is held: a run that ends later is followed by none before we end.
            _end_without(run)
            _end_with(run)
        yield


@functools.cache
def _end_with(run: int) -> None:
    """From now on, end this process with the process `run`; also while it waits for work."""

    def watch() -> None:
        while True:
            time.sleep(ORPHAN_POLL_SECONDS)
            _end_without(run)

    threading.Thread(target=watch, daemon=True).start()


def _end_without(run: int) -> None:
    if os.getppid() != run:
        os._exit(1)


@contextmanager
def locked(path: Path, *, exclusive: bool, patience: float) -> Iterator[bool]:
    """Hold an advisory lock; gives whether it was had within `patience` seconds.

    True where the system has no such locks (Windows, some network file systems): there, two runs
    in one folder are the user's to avoid.
    """
    if sys.platform == "win32":
        yield True
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _acquire(descriptor, exclusive=exclusive, until=time.monotonic() + patience)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, *, exclusive: bool, until: float) -> bool:
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        except OSError:
            return True
        else:
            return True
