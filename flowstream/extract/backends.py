"""Where jobs run: joblib's backends, each with what flowstream needs of it."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import joblib

from flowstream.errors import MissingDependencyError

A = TypeVar("A")
B = TypeVar("B")

BACKENDS = ("loky", "sequential", "dask", "ray")
"""loky: processes of this machine. sequential: this process, for debuggers and profilers.
dask, ray: a cluster whose machines see the same files."""


def run_parallel(
    function: Callable[[A], B], items: Iterable[A], *, backend: str, workers: int
) -> Iterator[B]:
    """The results of `function` over `items`, each as soon as it is there, in any order.

    Not more than `workers` items are taken ahead of the results, so that a worker that dies takes
    no more than those with it. To be used within `opened(backend)`.
    """
    if backend == "sequential":
        yield from map(function, items)
        return
    if backend == "ray":
        # Ray's joblib backend gives results only when all are there: so a few at a time.
        remaining = iter(items)
        while part := list(itertools.islice(remaining, 4 * workers)):
            yield from joblib.Parallel(n_jobs=workers)(map(joblib.delayed(function), part))
        return
    parallel = joblib.Parallel(
        # joblib would run a single job in this process, which a crashing decoder takes with it.
        n_jobs=max(2, workers),
        pre_dispatch=workers,
        batch_size=1,
        return_as="generator_unordered",
    )
    yield from parallel(map(joblib.delayed(function), items))


def opened(
    backend: str, *, workers: int, threads: int, scheduler: str | None = None
) -> AbstractContextManager[object]:
    """Joblib set to a backend; `threads` caps OpenMP, BLAS and numba in each loky worker.

    Raises
    ------
    MissingDependencyError
        If the backend's package is not installed.
    """
    if backend == "dask":
        return _dask(workers, scheduler)
    if backend == "ray":
        return _ray(workers, scheduler)
    return _here(backend, threads)


@contextmanager
def _here(backend: str, threads: int) -> Iterator[None]:
    capped = {"inner_max_num_threads": threads} if backend == "loky" else {}
    with joblib.parallel_config(backend, **capped):
        yield


@contextmanager
def _dask(workers: int, scheduler: str | None) -> Iterator[None]:
    distributed = _imported("distributed", backend="dask")
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.Client(scheduler, **({} if scheduler else local)) as client,
        joblib.parallel_config("dask", client=client),
    ):
        yield


@contextmanager
def _ray(workers: int, scheduler: str | None) -> Iterator[None]:
    ray = _imported("ray", backend="ray")
    ray.init(address=scheduler, **({} if scheduler else {"num_cpus": workers}))
    try:
        _imported("ray.util.joblib", backend="ray").register_ray()
        with joblib.parallel_config("ray"):
            yield
    finally:
        ray.shutdown()


def _imported(module: str, *, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"backend {backend!r} needs {error.name!r}; "
            f"install it with: pip install 'flowstream[{backend}]'"
        ) from error
