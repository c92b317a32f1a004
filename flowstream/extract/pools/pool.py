"""The interface of a pool of workers."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flowstream.errors import ExtractionError

_CONNECT_SECONDS = 5.0

Task = Callable[[Any, Callable[[int], None]], Any]
"""Function of a ticket and a progress callback, run in a worker."""


@dataclass(frozen=True)
class PoolOptions:
    """Size and surroundings of a pool.

    Parameters
    ----------
    workers : int
        Number of tickets that are run at the same time.
    threads : int
        Number of threads that OpenMP, BLAS and numba may use in each worker.
    scheduler : str or None
        Address of a running cluster; None starts one on this machine.
    timeout : float or None
        Seconds after which a ticket is given up.
    inherited : sequence of int
        File descriptors that workers keep open: the lock of the run.
    """

    workers: int = 1
    threads: int = 1
    scheduler: str | None = None
    timeout: float | None = None
    inherited: Sequence[int] = ()


@dataclass(frozen=True)
class Reply:
    """Result of one ticket.

    Parameters
    ----------
    ticket : object
    value : object
        Return value of the task; None if there is none.
    failure : str
        Reason why the worker ended before the task did; empty if it did not.
    may_retry : bool
        True if the failure may not be the ticket's fault.
    """

    ticket: Any
    value: Any = None
    failure: str = ""
    may_retry: bool = field(default=False)


class Pool(ABC):
    """Workers that run tasks; a context manager that leaves no process behind.

    Parameters
    ----------
    tasks : sequence of Task
        The task of each worker, in turns: they may differ in their device.
    options : PoolOptions
    report : callable
        Called with a ticket and its progress, from any thread.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        options: PoolOptions,
        report: Callable[[Any, int], None],
    ) -> None:
        self.tasks = tasks
        self.options = options
        self.report = report

    def __enter__(self) -> Pool:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:  # noqa: B027
        """Start the workers; the default does nothing."""

    @abstractmethod
    def submit(self, ticket: Any) -> None:
        """Add a ticket to the queue."""

    @abstractmethod
    def get(self) -> Reply:
        """Wait for the next reply."""

    @abstractmethod
    def close(self) -> None:
        """End all workers at once; tickets that are being run are given up."""


def check_scheduler(address: str) -> None:
    """Raise `ExtractionError` if nothing answers at HOST:PORT, with or without a protocol.

    Clients of clusters try for minutes. Addresses without a port, such as Ray's `auto`, are left to
    the client.
    """
    try:
        found = urlsplit(address if "://" in address else f"//{address}")
        host, port = found.hostname, found.port
    except ValueError as error:
        raise ExtractionError(f"--scheduler {address}: expected HOST:PORT; {error}") from error
    if host is None or port is None:
        return
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExtractionError(
            f"--scheduler {address}: no answer: {reason}. Start the cluster, or check the address"
        ) from error
