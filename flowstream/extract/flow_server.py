"""The process of one device: batches of frame pairs of several videos, to codes.

Each worker has a connection. A thread reads its windows into pinned memory; the main thread takes
windows that wait, of one size, copies them to the device, estimates and encodes; another thread of
the connection sends the codes when they have arrived in the memory of the host. Copies and
computation overlap, because two batches are under way.
"""

from __future__ import annotations

import os
import pickle
import queue
import socket
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from torch import Tensor

from flowstream.codec.encoding import encode_tensor
from flowstream.extract.device_memory import DeviceMemory, Wait
from flowstream.extract.pools.messages import receive, send, take_pipes
from flowstream.extract.remote_flow import (
    FlowLayout,
    open_socket,
    receive_into,
    receive_shape,
    send_reply,
)
from flowstream.flow.tensor_method import TensorMethod

UNDER_WAY = 2  # batches: one is computed while another is copied


@dataclass(frozen=True, eq=False)
class Reply:
    """Fields of a window: counts and codes, or vectors, of each direction; or an error.

    `parts` are complete after `wait`.
    """

    parts: list[Tensor]
    wait: Wait = lambda: None
    error: str = ""


Replies = queue.SimpleQueue[Reply | None]


@dataclass(frozen=True, eq=False)
class Window:
    """Frames of one worker that wait for their flow, and the queue of its replies."""

    frames: Tensor
    replies: Replies

    @property
    def pairs(self) -> int:
        """Number of pairs of neighbouring frames."""
        return len(self.frames) - 1


class FlowServer:
    """Flow on one device for the windows of all connected workers.

    Parameters
    ----------
    method : TensorMethod
    spec : FlowLayout
    """

    def __init__(self, method: TensorMethod, spec: FlowLayout) -> None:
        self.method = method
        self.spec = spec
        self.batches: list[int] = []
        """Number of pairs of each batch so far."""
        self._memory = DeviceMemory(method.device)
        self._arrived: queue.SimpleQueue[Window] = queue.SimpleQueue()
        self._waiting: deque[Window] = deque()
        self._under_way: deque[Wait] = deque()
        self._most: dict[Sequence[int], int] = {}

    def listen(self, listener: socket.socket) -> None:
        """Accept workers until the socket is closed; each gets two threads."""
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                replies: Replies = queue.SimpleQueue()
                for call in (self._read, self._write):
                    threading.Thread(target=call, args=(connection, replies), daemon=True).start()

    def run(self) -> None:
        """Compute batches until an error makes the device unusable."""
        while True:
            self.compute(self._next_batch())

    def _read(self, source: socket.socket, replies: Replies) -> None:
        with suppress(OSError):
            while (shape := receive_shape(source)) is not None:
                frames = self._memory.allocate(shape, torch.uint8)
                if not receive_into(source, frames.numpy().data.cast("B")):
                    break
                self._arrived.put(Window(frames, replies))
        replies.put(None)

    def _write(self, target: socket.socket, replies: Replies) -> None:
        with suppress(OSError), target:
            while (reply := replies.get()) is not None:
                reply.wait()
                parts = [part.numpy() for part in reply.parts]
                if reply.error:
                    parts = [np.frombuffer(reply.error.encode(), np.uint8)]
                views = [np.ascontiguousarray(part).data.cast("B") for part in parts]
                send_reply(target, views, is_fields=not reply.error)

    def _next_batch(self) -> list[Window]:
        """Wait for a window; return it with others of its size that wait, up to the batch size."""
        if not self._waiting:
            self._waiting.append(self._arrived.get())
        with suppress(queue.Empty):
            while True:
                self._waiting.append(self._arrived.get_nowait())
        size = self._waiting[0].frames.shape[1:]
        most = self._most.get(size) or self.method.pairs_at_once((size[0], size[1]))
        batch: list[Window] = []
        rest: deque[Window] = deque()
        for window in self._waiting:
            pairs = sum(other.pairs for other in batch) + window.pairs
            fits = window.frames.shape[1:] == size and (not batch or pairs <= most)
            (batch if fits else rest).append(window)
        self._waiting = rest
        return batch

    def compute(self, batch: list[Window]) -> None:
        """Start the computation of a batch, and hand its results to the threads that send them."""
        if len(self._under_way) >= UNDER_WAY:
            self._under_way.popleft()()
        try:
            parts, wait = self._memory.download(self._estimate([one.frames for one in batch]))
        except Exception as error:
            for window in batch:
                window.replies.put(Reply([], error=f"{type(error).__name__}: {error}"))
            if self._memory.is_broken():
                raise
            return
        self._under_way.append(wait)
        self.batches.append(sum(window.pairs for window in batch))
        start = 0
        for window in batch:
            own = slice(start, start + window.pairs)
            window.replies.put(Reply([part[own] for part in parts], wait))
            start = own.stop

    def _estimate(self, windows: list[Tensor]) -> list[Tensor]:
        """Return the parts of the reply to several windows; what does not fit is halved."""
        try:
            return self._estimate_at_once(windows)
        except torch.OutOfMemoryError:
            pairs = sum(len(frames) - 1 for frames in windows)
            if pairs == 1:
                raise
        torch.cuda.empty_cache()
        self._most[windows[0].shape[1:]] = pairs // 2
        half = (len(windows[0]) - 1) // 2
        halves = [[windows[0][: half + 1]], [windows[0][half:]]]
        if len(windows) > 1:
            half = len(windows) // 2
            halves = [windows[:half], windows[half:]]
        found = [self._estimate(part) for part in halves]
        return [torch.cat(both) for both in zip(*found, strict=True)]

    @torch.inference_mode()
    def _estimate_at_once(self, windows: list[Tensor]) -> list[Tensor]:
        pairs = _list_pairs(windows)
        count = len(pairs)
        length = 0
        if self._memory.device.type == "cuda":  # a few shapes, so that CUDA graphs are used again
            length = _round_up(count)
            pairs = np.concatenate([pairs, np.repeat(pairs[:1], length - count, axis=0)])
            length += length // 8
        frames = self._memory.upload(windows, length)
        place = self._memory.allocate(pairs.shape, torch.int64)
        place.numpy()[:] = pairs
        indices = self._memory.upload([place], 0)
        directions = self.spec.directions
        fields = self.method.estimate_tensors(frames, indices, directions=directions)[:, :count]
        if self.spec.codec is None:
            return list(fields)
        encoded = [encode_tensor(self.spec.codec, vectors) for vectors in fields]
        return [part for codes, counts in encoded for part in (counts, codes)]


def _list_pairs(windows: list[Tensor]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the indices (N, 2) of neighbouring frames in windows that follow one another."""
    starts = np.cumsum([0, *(len(frames) for frames in windows)])
    lengths = [len(frames) - 1 for frames in windows]
    first = np.concatenate([a + np.arange(n) for a, n in zip(starts, lengths, strict=False)])
    return np.stack([first, first + 1], axis=1)


def _round_up(count: int) -> int:
    """Return the next power of two."""
    return 1 << (count - 1).bit_length()


def serve() -> None:
    """Serve one run; the first message says for which method, spec and address."""
    source, target = take_pipes()
    try:
        method, spec, address = pickle.loads(receive(source) or b"")
        server = FlowServer(method, spec)
        listener = open_socket()
        listener.bind(address)
        listener.listen()
    except Exception as error:
        send(target, f"{type(error).__name__}: {error}".encode())
        return
    send(target, b"")
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    threading.Thread(target=server.listen, args=(listener,), daemon=True).start()
    server.run()


def _end_with(source: IO[bytes]) -> None:
    """End this process, without cleaning up, when the run ends."""
    receive(source)
    os._exit(0)
