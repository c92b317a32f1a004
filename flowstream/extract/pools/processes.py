"""Pool of processes on this machine: plain pipes, no semaphores, no shared memory.

Each worker is one interpreter that reads tickets from its standard input and writes replies to its
standard output. A thread of the main process serves each worker, so that it is known which ticket
a worker had when it died. A worker ends when its input is closed, which happens whenever the main
process ends.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import cloudpickle

from flowstream.extract.pools.messages import PROGRESS, receive, send
from flowstream.extract.pools.pool import Pool, Reply
from flowstream.interrupts import block_signals

# Ending a killed process takes milliseconds; on a machine out of memory it may take longer.
_END_SECONDS = 3.0
# On Windows an untimed wait cannot be interrupted by Ctrl-C.
_WAIT_SECONDS = 0.5
_NEW_PROCESS_GROUP = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which Windows alone has
_COMMAND = "from flowstream.extract.pools.messages import serve; serve()"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# By default glibc returns the memory of each array to the system and takes it back page by page
# for the next. Workers keep it, but for the few large arrays that they allocate once. Other C
# libraries ignore the variables.
_KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}


class ProcessPool(Pool):
    """Runs tickets in processes of this machine; a ticket that kills its worker fails alone."""

    def start(self) -> None:
        """Start the threads, each of which starts its worker, whether there are tickets or not."""
        self._closing = threading.Event()
        self._tickets: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        self._lanes = [_Lane(self, index) for index in range(self.options.workers)]
        for lane in self._lanes:
            lane.thread.start()

    def submit(self, ticket: Any) -> None:
        """Add a ticket to the queue."""
        self._tickets.put(ticket)

    def get(self) -> Reply:
        """Wait for the next reply.

        Raises
        ------
        OSError
            If a worker cannot be started.
        """
        while True:
            try:
                reply = self._replies.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                continue
            if isinstance(reply, BaseException):
                raise reply
            return reply

    def close(self) -> None:
        """Kill the workers and wait for their end."""
        self._closing.set()
        for lane in self._lanes:
            self._tickets.put(None)
            lane.kill()
        for lane in self._lanes:
            lane.thread.join(_END_SECONDS)


class _Lane:
    """One worker process after another, and the thread that serves it."""

    def __init__(self, pool: ProcessPool, index: int) -> None:
        self.pool = pool
        self.task = pool.tasks[index % len(pool.tasks)]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._overdue = False

    def kill(self) -> None:
        with self._starting:
            if self._process is not None:
                self._process.kill()

    def _serve(self) -> None:
        block_signals()
        try:
            self._start()
            while (ticket := self.pool._tickets.get()) is not None:
                if not self.pool._closing.is_set():
                    reply = self._run(ticket)
                    if not self.pool._closing.is_set():
                        self.pool._replies.put(reply)
        # Whatever it is, the main thread waits for a reply.
        except Exception as error:
            self.pool._replies.put(error)
        finally:
            self.kill()
            if self._process is not None:
                self._forget(self._process)

    def _run(self, ticket: Any) -> Reply:
        process = self._process or self._start()
        if process is None:
            return Reply(ticket, failure="the run is ending")
        assert process.stdin is not None
        assert process.stdout is not None
        self._overdue = False
        timer = threading.Timer(self.pool.options.timeout or 0, self._expire)
        if self.pool.options.timeout is not None:
            timer.start()
        try:
            send(process.stdin, cloudpickle.dumps(ticket))
            while (message := receive(process.stdout)) is not None:
                kind, value = cloudpickle.loads(message)
                if kind != PROGRESS:
                    return Reply(ticket, value)
                self.pool.report(ticket, value)
        except OSError:
            pass  # the worker is gone
        finally:
            timer.cancel()
        return self._explain(ticket, process)

    def _expire(self) -> None:
        self._overdue = True
        self.kill()

    def _explain(self, ticket: Any, process: subprocess.Popen[bytes]) -> Reply:
        """Return the reply of a ticket whose worker has died."""
        code = process.wait()
        self._forget(process)
        if self._overdue:
            seconds = self.pool.options.timeout
            return Reply(ticket, failure=f"took longer than {seconds:g} s and was stopped")
        return Reply(ticket, failure=_describe(code), may_retry=True)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._starting:
            if self.pool._closing.is_set():
                return None
            threads = {name: str(self.pool.options.threads) for name in _THREAD_VARIABLES}
            variables = {**_KEEP_FREED_MEMORY, **threads}
            self._process = start_python(_COMMAND, variables, self.pool.options.inherited)
        assert self._process.stdin is not None
        with suppress(OSError):
            send(self._process.stdin, cloudpickle.dumps(self.task))
        return self._process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        self._process = None


def start_python(
    code: str, variables: Mapping[str, str], inherited: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs a line of code, with pipes to and from it.

    Parameters
    ----------
    code : str
    variables : mapping
        Added to the environment.
    inherited : sequence of int
        File descriptors that the process keeps open.
    """
    # The process must find the modules that this one has found, and not others in the working
    # directory, such as a clone of flowstream, which "-c" would search first.
    command = [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path); {code}"]
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = {**os.environ, **variables, "PYTHONPATH": path}
    # Children inherit no descriptor on Windows, and a group of their own keeps Ctrl-C from them.
    special: dict[str, Any] = (
        {"creationflags": _NEW_PROCESS_GROUP}
        if sys.platform == "win32"
        else {"pass_fds": tuple(inherited)}
    )
    process: subprocess.Popen[bytes] = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **special
    )
    return process


def _describe(code: int) -> str:
    """Return why a worker ended, in words."""
    if code >= 0:
        return f"its worker ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    cause = "; it may have run out of memory" if name == "SIGKILL" else ""
    return f"its worker was ended by {name}{cause}"
