"""One stack used from many processes and threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.errors import StackError
from flowstream.store import Stack, open_stack

# Python 3.12 on warns of any fork beside a thread, and pytest's own or torch's may run.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

METHODS = [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()]
# A new interpreter imports torch, which takes seconds.
WORKERS = {"fork": 2, "spawn": 1}


class Windows:
    """Windows of a stack and an image of each, as a data set of torch."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __len__(self) -> int:
        return self.stack.num_fields - 2

    def __getitem__(self, start: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        return self.stack.window(start, 3), self.stack.rgb(start), os.getpid()


@pytest.mark.parametrize("context", METHODS)
def test_data_loader_workers_read_what_the_parent_reads(stack: Stack, context: str) -> None:
    torch_data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    # read before the workers start: they inherit an open file where they are forked
    expected = [(stack.window(start, 3), stack.rgb(start)) for start in range(4)]
    loader = torch_data.DataLoader(
        Windows(stack),
        batch_size=None,
        num_workers=WORKERS[context],
        multiprocessing_context=context,
    )
    processes = set()
    for (window, image, process), (vectors, rgb) in zip(loader, expected, strict=True):
        assert (window.numpy() == vectors).all()
        assert (image.numpy() == rgb).all()
        processes.add(process)
    assert len(processes) == WORKERS[context]
    assert os.getpid() not in processes
    # and the parent's own file is as it was
    assert (stack.window(0, 3) == expected[0][0]).all()


def test_threads_share_a_stack(stack: Stack) -> None:
    expected = [stack.field(k) for k in range(6)]
    stack.close()
    start = threading.Barrier(6)

    def read(k: int) -> bool:
        start.wait()
        return all(
            (stack.field(k) == expected[k]).all() and stack.rgb(k).shape == (20, 28, 3)
            for _ in range(20)
        )

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(6)))


@pytest.mark.skipif("fork" not in METHODS, reason="this system cannot fork")
@pytest.mark.skipif(
    h5py.version.version_tuple[:2] < (3, 14),
    reason="h5py before 3.14 holds its lock for ever in a process forked beside a reading thread",
)
def test_a_fork_beside_reading_threads_reads_too(stack: Stack) -> None:
    expected = stack.window(0, 6)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            stack.window(0, 6)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            queue = context.SimpleQueue()
            child = context.Process(target=_send_sum, args=(stack, queue))
            child.start()
            child.join(30)
            assert child.exitcode == 0
            assert queue.get() == float(expected.sum())
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _send_sum(stack: Stack, queue: Any) -> None:
    queue.put(float(stack.window(0, 6).sum()))


@pytest.fixture
def few_files() -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_files")
def test_more_stacks_than_open_files_can_be_held_when_each_is_closed_after_use(write: Any) -> None:
    path = write()
    stacks = []
    for _ in range(200):
        with open_stack(path) as stack:
            stacks.append(stack)
    for stack in stacks:
        with stack:
            assert stack.field(0).any()


@pytest.mark.usefixtures("few_files")
def test_running_out_of_open_files_is_a_clear_error(write: Any) -> None:
    path: Path = write()

    def hold_all() -> list[Stack]:
        return [open_stack(path) for _ in range(200)]

    with pytest.raises(StackError, match="Too many open files"):
        hold_all()


def test_a_stack_that_is_dropped_unclosed_releases_its_file(write: Any) -> None:
    path = write()
    for _ in range(50):
        assert np.isfinite(open_stack(path).field(0)).all()
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        held = [os.readlink(entry) for entry in descriptors.iterdir() if entry.is_symlink()]
        assert str(path) not in held
