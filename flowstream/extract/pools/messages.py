"""Messages between a run and its worker processes, and the main loop of a worker."""

from __future__ import annotations

import os
import pickle
import queue
import struct
import sys
import threading
from typing import IO, Any

_LENGTH = struct.Struct("<Q")

PROGRESS, RESULT = "progress", "result"
"""Kinds of a worker's messages: a number of pairs so far, or the value of its task."""


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write one message with its length in front."""
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes | None:
    """Read one message; return None if the other side has ended."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None


def serve() -> None:
    """Run tickets until the input ends; the first message is the task.

    A task that has a method `prepare` is prepared before the first ticket comes.

    The input is read by a thread of its own, so that a worker notices the end of its run while it
    computes. It then ends without cleaning up: nobody would use what it computes.
    """
    source, target = take_pipes()
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, inbox), daemon=True).start()
    task = pickle.loads(inbox.get())
    prepare = getattr(task, "prepare", None)
    if prepare is not None:
        prepare()
    while True:
        ticket = pickle.loads(inbox.get())
        value = task(ticket, lambda count: send(target, pickle.dumps((PROGRESS, count))))
        send(target, pickle.dumps((RESULT, value)))


def _read(source: IO[bytes], inbox: queue.SimpleQueue[bytes]) -> None:
    while (message := receive(source)) is not None:
        inbox.put(message)
    os._exit(1)


def take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return input and output as private files; what libraries print goes to standard error."""
    source: Any = os.fdopen(os.dup(0), "rb")
    target: Any = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdin = os.fdopen(0, closefd=False)
    return source, target
