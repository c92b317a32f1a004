"""Conversion of the signals that end a program to one exception in the main thread."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
STOPPING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Signals that ask a program to end: Ctrl-C, batch systems, containers, a closed terminal."""


class Terminated(KeyboardInterrupt):
    """Request to end the program by another signal than Ctrl-C."""


@dataclass
class Stop:
    """Number of the signal that asked the program to end; 0 if there was none."""

    number: int = 0

    @property
    def exit_code(self) -> int:
        """Exit code of a program that ended because of the signal."""
        return 128 + self.number


@contextmanager
def stop_once(*, ends_process: bool = False) -> Iterator[Stop]:
    """Raise on the first signal of `STOPPING`, and ignore the following ones until the block ends.

    Cleaning up after the first one must not be interrupted by the second: a user who presses
    Ctrl-C twice, or a batch system that repeats its signal, would leave files and workers behind.
    Outside the main thread, where Python cannot handle signals, the block runs unchanged.

    Parameters
    ----------
    ends_process : bool
        True if the process ends after the block. Signals then stay ignored after the first one, so
        that a later one cannot replace the exit code.
    """
    state = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return

    outer = getattr(signal.getsignal(signal.SIGINT), "state", None)
    if outer is not None:  # a block inside such a block
        yield outer
        return

    def stop(number: int, _: FrameType | None) -> None:
        if not state.number:
            state.number = number
            _raise(number)

    stop.state = state  # type: ignore[attr-defined]
    previous = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in previous.items():
        # A signal that the parent process ignores (nohup, a background job) stays ignored.
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, stop)
    try:
        yield state
    finally:
        for number, handler in previous.items():
            if handler is not None:
                ignored = ends_process and state.number
                signal.signal(number, signal.SIG_IGN if ignored else handler)


def block_signals() -> None:
    """Leave the signals of `STOPPING` to the main thread; processes started here ignore them too.

    A terminal sends Ctrl-C to all processes of a command. The workers ignore it, because the main
    process ends them.
    """
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, set(STOPPING))


def _raise(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
