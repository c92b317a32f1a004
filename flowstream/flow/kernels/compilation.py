"""Compilation of kernels at their first call, once per machine, by one process at a time."""

# only some versions of numba have type annotations
# mypy: disable-error-code="no-untyped-call, misc, import-untyped"

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

import numba
from numba.core import event

from flowstream.errors import FlowstreamError

try:
    import fcntl
except ImportError:  # Windows: processes that start together each compile
    fcntl = None  # type: ignore[assignment]


class Stage:
    """Function that numba compiles at its first call and keeps on disk.

    Several processes often start together, such as the workers of an extraction. One of them
    compiles; the others wait for it, and then load the compiled code.

    Raises
    ------
    FlowstreamError
        If no directory for compiled code is writable.
    """

    def __init__(self, function: Any) -> None:
        options: Any = {"nogil": True, "cache": True, "error_model": "numpy"}
        try:
            self.dispatcher = numba.njit(**options)(_enclose(function, digest_of_kernels()))
        except RuntimeError as error:
            raise FlowstreamError(
                f"flow method 'tvl1': no writable directory for compiled code ({error}); "
                "set the environment variable NUMBA_CACHE_DIR to one"
            ) from error
        self._ready = False

    def __call__(self, *arguments: Any) -> Any:
        if self._ready:
            return self.dispatcher(*arguments)
        directory = Path(self.dispatcher.stats.cache_path)
        with _locked(directory), event.install_listener("numba:compile", _notice()):
            result = self.dispatcher(*arguments)
        self._ready = True
        return result


@cache
def digest_of_kernels() -> str:
    """Return a digest of the source files that compiled code may come from."""
    kernels = sorted(Path(__file__).parent.glob("*.py"))
    sources = [path for path in kernels if not path.stem.endswith(("_torch", "_triton"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _enclose(function: Any, value: str) -> FunctionType:
    """Return the function with a closure that holds a value, which it does not use.

    numba notices changes of the file of a function only, but the compiled code comes from several
    files. The variables in the closure of a function are part of the key of its compiled code.
    """
    code = function.__code__.replace(co_freevars=("digest",))
    return FunctionType(code, function.__globals__, function.__name__, None, (CellType(value),))


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory of compiled code, if its file system has locks."""
    descriptor = None
    if fcntl is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(directory / "compiling.lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


class _Notice(event.Listener):
    """Listener that says, once in a process, why the first call takes long."""

    def __init__(self) -> None:
        self._given = False

    def on_start(self, event: Any) -> None:
        """Log one line when the first function is compiled."""
        if not self._given:
            self._given = True
            logging.getLogger("flowstream").warning(
                "flow method 'tvl1': compiling for this processor; this takes about a minute, once"
            )

    def on_end(self, event: Any) -> None:
        """Do nothing."""


@cache
def _notice() -> _Notice:
    return _Notice()
