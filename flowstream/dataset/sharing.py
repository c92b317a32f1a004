"""Stacks that several datasets of one run share, so that each file is opened and checked once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowstream.store import Stack, open_stack

_shared: dict[Path, Stack] | None = None


@contextmanager
def share_stacks() -> Iterator[None]:
    """Remember the stacks that `closed_stack` opens in this block; an inner block adds to it."""
    global _shared
    outer = _shared
    _shared = {} if outer is None else outer
    try:
        yield
    finally:
        _shared = outer


def closed_stack(path: Path) -> Stack:
    """Return a stack that was opened, checked and closed again; it opens itself when it is read.

    In a block of `share_stacks`, a file that was opened before and did not change is not opened
    again.

    Raises
    ------
    StackError
        If the file is not a complete stack.
    """
    known = None if _shared is None else _shared.get(path)
    if known is not None and known.is_unchanged():
        return copy.copy(known)  # an object of its own, because a stack holds its open file
    with open_stack(path) as stack:
        pass
    if _shared is not None:
        _shared[path] = copy.copy(stack)
    return stack
