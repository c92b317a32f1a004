"""Pool of the workers of a Dask cluster, which must see the same files."""

from __future__ import annotations

import logging
import multiprocessing
import queue
from typing import Any

import distributed as _distributed

from flowstream.errors import ExtractionError, causes
from flowstream.extract.pools.pool import Pool, Reply, Task, check_scheduler

distributed: Any = _distributed
# On Windows an untimed wait cannot be interrupted by Ctrl-C.
_WAIT_SECONDS = 0.5


class DaskPool(Pool):
    """Runs tickets on a Dask cluster; those of a worker that died are run by another one."""

    def start(self) -> None:
        """Connect to the scheduler, or start a cluster on this machine."""
        scheduler = self.options.scheduler
        how: dict[str, Any] = {
            "n_workers": self.options.workers,
            "threads_per_worker": 1,
            "dashboard_address": None,
            "silence_logs": logging.CRITICAL,  # an error is raised as well
        }
        if scheduler:
            check_scheduler(scheduler)
            how = {"address": scheduler}
        try:
            if not scheduler:
                # Needs /dev/shm, as Dask's workers do, which would log their tracebacks.
                multiprocessing.Lock()
            self._client = distributed.Client(**how)
        except (OSError, ValueError, RuntimeError) as error:
            *_, first = causes(error)
            texts = dict.fromkeys(str(one) for one in (error, first))
            reason = ": ".join(" ".join(text.split()).rstrip(".") for text in texts)
            raise ExtractionError(
                f"cannot use the Dask cluster: {reason}. Without one, use --backend processes"
            ) from error
        self._tickets: dict[str, Any] = {}
        self._futures: dict[str, Any] = {}
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Sent to each worker once, not with each ticket.
        self._task = self._client.scatter(self.tasks[0], broadcast=True, hash=False)

    def submit(self, ticket: Any) -> None:
        """Send a ticket to the scheduler."""
        future = self._client.submit(_run, self._task, ticket, pure=False)
        self._tickets[future.key] = ticket
        self._futures[future.key] = future
        future.add_done_callback(self._finished.put)

    def get(self) -> Reply:
        """Wait for the next reply."""
        while True:
            try:
                future = self._finished.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                continue
            ticket = self._tickets.pop(future.key)
            del self._futures[future.key]
            error = future.exception()
            if error is not None:
                failure = " ".join(f"{type(error).__name__}: {error}".split())
                return Reply(ticket, failure=failure, may_retry=True)
            return Reply(ticket, future.result())

    def close(self) -> None:
        """Cancel what is left, and end the cluster if it was started here."""
        self._client.cancel(list(self._futures.values()))
        self._client.close()


def _run(task: Task, ticket: Any) -> Any:
    return task(ticket, lambda count: None)
