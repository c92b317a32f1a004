"""Errors that FFmpeg only logs: many decoders report damage in no other way."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

# Decoders that log errors about the start of sound videos, whose first frames may be built on
# frames that were cut off.
_STARTING = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpegvideo", "vvc"})
# Logged for sound videos: cameras write their own data in fields that are for applications.
_HARMLESS = re.compile(r"unable to decode APP fields|EXIF|ICC profile|Could not find codec param")


class _Level:
    """FFmpeg's log level, a setting of the process: raised while any thread listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self._before: tuple[int | None, bool] = (None, True)

    def __enter__(self) -> None:
        with self._lock:
            if self._listeners == 0:
                self._before = av.logging.get_level(), av.logging.get_skip_repeated()
                av.logging.set_level(av.logging.ERROR)
                av.logging.set_skip_repeated(False)
            self._listeners += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._listeners -= 1
            if self._listeners == 0:
                level, skip_repeated = self._before
                av.logging.set_level(level)
                av.logging.set_skip_repeated(skip_repeated)


_LEVEL = _Level()


@contextmanager
def collect_errors(*, started: bool) -> Iterator[list[str]]:
    """Yield a list that gets what FFmpeg logs as errors in this thread while the block runs.

    The list is filled when the block ends. Errors that intact videos cause are left out. Before
    `started` these are more, because frames before the first key frame cannot be decoded.
    """
    errors: list[str] = []
    with _LEVEL, av.logging.Capture() as logs:
        yield errors
    for level, source, message in logs:
        text = " ".join(message.split())
        if source in _STARTING and not started:
            continue
        if level <= av.logging.ERROR and not _HARMLESS.search(text):
            errors.append(f"{source}: {text}")
