"""Pools of workers, one file for each kind: where the tickets of a batch are run.

A pool runs `task(ticket)` for each submitted ticket and returns the replies in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import Plugins

if TYPE_CHECKING:
    from flowstream.extract.pools.pool import Pool

POOLS: Plugins[type[Pool]] = Plugins(
    "backend",
    {
        "processes": "flowstream.extract.pools.processes:ProcessPool",
        "sequential": "flowstream.extract.pools.sequential:SequentialPool",
        "dask": "flowstream.extract.pools.dask_cluster:DaskPool",
        "ray": "flowstream.extract.pools.ray_cluster:RayPool",
    },
    extras={"distributed": "dask", "dask": "dask", "ray": "ray"},
)
"""Backends by name: processes of this machine; this process, for debuggers and profilers; or a
cluster whose machines see the same files."""

__all__ = ["POOLS"]
