"""Pool of the workers of a Ray cluster, which must see the same files."""

from __future__ import annotations

from typing import Any

import ray as _ray

from flowstream.errors import ExtractionError
from flowstream.extract.pools.pool import Pool, Reply, check_scheduler

ray: Any = _ray
_WAIT_SECONDS = 0.5


class RayPool(Pool):
    """Runs tickets on a Ray cluster; those of a worker that died are run by another one."""

    def start(self) -> None:
        """Connect to the cluster, or start one on this machine."""
        scheduler = self.options.scheduler
        if scheduler:
            check_scheduler(scheduler)
        local = {} if scheduler else {"num_cpus": self.options.workers}
        try:
            ray.init(address=scheduler, include_dashboard=False, log_to_driver=False, **local)
        except Exception as error:  # Ray raises nothing narrower where a node cannot start
            ray.shutdown()
            reason = " ".join(str(error).split())
            raise ExtractionError(
                f"cannot use the Ray cluster: {reason} Without one, use --backend processes"
            ) from error
        self._task = ray.put(self.tasks[0])
        self._tickets: dict[Any, Any] = {}

    def submit(self, ticket: Any) -> None:
        """Send a ticket to the cluster."""
        self._tickets[_run.remote(self._task, ticket)] = ticket

    def get(self) -> Reply:
        """Wait for the next reply."""
        ready: list[Any] = []
        while not ready:
            ready, _ = ray.wait(list(self._tickets), timeout=_WAIT_SECONDS)
        ticket = self._tickets.pop(ready[0])
        try:
            return Reply(ticket, ray.get(ready[0]))
        except ray.exceptions.RayError as error:
            failure = " ".join(str(error).split())
            return Reply(ticket, failure=failure, may_retry=True)

    def close(self) -> None:
        """Cancel what is left, and leave or end the cluster."""
        for reference in self._tickets:
            ray.cancel(reference, force=True)
        ray.shutdown()


@ray.remote(num_cpus=1, max_retries=3)  # type: ignore[untyped-decorator]
def _run(task: Any, ticket: Any) -> Any:
    return task(ticket, lambda count: None)
