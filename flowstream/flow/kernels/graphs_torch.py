"""CUDA graphs: replay all launches of a batch at once, for batches of a shape seen before.

A batch of TV-L1 takes some hundreds of launches of a few microseconds each. Recorded once, they are
replayed by a single call, so that the GPU does not wait for Python.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeAlias

import torch
from torch import Tensor

Function: TypeAlias = Callable[..., Tensor]
Record: TypeAlias = Callable[[Function, tuple[Tensor, ...]], Function]
"""(function, inputs) to a function that replays it for other inputs of the same shapes."""

MOST = 4  # graphs of one device; each holds the memory of its batch


def record_graph(function: Function, inputs: tuple[Tensor, ...]) -> Function:
    """Record a function of CUDA tensors as a graph.

    Raises
    ------
    RuntimeError
        If a step cannot be recorded, for example because it waits for the device.
    """
    kept = tuple(part.clone() for part in inputs)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function(*kept)  # nothing may be compiled or allocated for the first time while recording
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Threads that copy other batches must not end the recording.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = function(*kept)

    def replay(*new: Tensor) -> Tensor:
        for target, source in zip(kept, new, strict=True):
            target.copy_(source, non_blocking=True)
        graph.replay()
        # The next replay writes to the same memory.
        return result.clone()

    return replay


class Replays:
    """Recordings by key and shapes of the inputs, the last used ones.

    The first call of a key runs the function, the second one records it. A function that cannot be
    recorded is run each time.

    Parameters
    ----------
    record : callable
        `record_graph`, or a substitute in tests.
    most : int
        Number of recordings that are kept.
    """

    def __init__(self, record: Record = record_graph, *, most: int = MOST) -> None:
        self._record = record
        self._most = most
        self._seen: set[Hashable] = set()
        self._recordings: OrderedDict[Hashable, Function] = OrderedDict()
        self._lock = threading.Lock()
        self.failures: dict[Hashable, str] = {}
        """Reasons why functions could not be recorded, by key."""

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """Return `function(*inputs)`; equal keys stand for the same function."""
        key = (key, *((part.shape, part.dtype) for part in inputs))
        with self._lock:
            recording = self._find(key, function, inputs)
            return function(*inputs) if recording is None else recording(*inputs)

    def _find(
        self, key: Hashable, function: Function, inputs: tuple[Tensor, ...]
    ) -> Function | None:
        if key in self._recordings:
            self._recordings.move_to_end(key)
            return self._recordings[key]
        if key in self.failures:
            return None
        if key not in self._seen:
            self._seen.add(key)
            return None
        while len(self._recordings) >= self._most:
            self._recordings.popitem(last=False)
        try:
            self._recordings[key] = self._record(function, inputs)
        except RuntimeError as error:
            self.failures[key] = str(error)
        return self._recordings.get(key)
