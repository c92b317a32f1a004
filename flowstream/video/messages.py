"""Errors that FFmpeg only logs: many decoders report damage in no other way."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

# Decoders that mark damaged frames. They log errors about sound videos, too: where recordings are
# joined or start between key frames.
_MARKING = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpegvideo", "vvc"})
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
def collect_errors() -> Iterator[list[str]]:
    """Yield a list that gets what FFmpeg logs as errors in this thread while the block runs.

    The list is filled when the block ends. What sound videos cause is left out.
    """
    errors: list[str] = []
    with _LEVEL, av.logging.Capture() as logs:
        yield errors
    for level, source, message in logs:
        text = " ".join(message.split())
        if level <= av.logging.ERROR and source not in _MARKING and not _HARMLESS.search(text):
            errors.append(f"{source}: {text}")
