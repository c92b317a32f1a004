"""Pool without workers: tickets run in this process, for debuggers and profilers."""

from __future__ import annotations

from collections import deque
from typing import Any

from flowstream.extract.pools.pool import Pool, Reply


class SequentialPool(Pool):
    """Runs each ticket when its reply is asked for."""

    def start(self) -> None:
        """Start with an empty queue."""
        self._queue: deque[Any] = deque()

    def submit(self, ticket: Any) -> None:
        """Add a ticket to the queue."""
        self._queue.append(ticket)

    def get(self) -> Reply:
        """Run the next ticket."""
        ticket = self._queue.popleft()
        return Reply(ticket, self.tasks[0](ticket, lambda count: self.report(ticket, count)))

    def close(self) -> None:
        """Forget the queue."""
        self._queue.clear()
