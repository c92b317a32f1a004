"""Calls in a child process with limits on time and memory; one child serves many calls."""

from __future__ import annotations

import importlib
import json
import os
import resource
import selectors
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MEMORY = 6 << 30
"""Address space of the child, bytes. Libraries reserve more than they use."""
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """Result of a call in a child process."""

    kind: str
    """`value`, `error` (raised by flowstream on purpose), `crashed` or `hung`."""
    value: Any
    """Return value of the function, or the error on one line."""

    def outcome(self, path: Path, expected: Any) -> str:
        """Return what became of reading a file that may be damaged; an error must name the file."""
        if self.kind == "error":
            return "detected" if path.name in self.value else "crashed"
        if self.kind == "value":
            return "harmless" if self.value == expected else "wrong"
        return self.kind


class WatchedProcess:
    """Child process that calls functions; replaced by a new one when it hangs or dies."""

    def __init__(self, *, seconds: float = 10.0, memory: int = MEMORY) -> None:
        self._seconds = seconds
        self._memory = memory
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WatchedProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def call(self, function: str, *arguments: Any) -> Answer:
        """Call `module:function` with arguments that JSON can hold."""
        # The first call also waits for the imports of a new process.
        seconds = self._seconds if self._child else self._seconds + _START_SECONDS
        child = self._child or self._start()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps([function, arguments]).encode() + b"\n")
            child.stdin.flush()
            line = self._read_line(child, seconds)
        except BrokenPipeError:
            line = b""
        if line is None:
            self.stop()
            return Answer("hung", f"no answer within {seconds:g} s")
        if not line:
            code = child.wait()
            self.stop()
            return Answer("crashed", f"the process ended with {code}")
        kind, value = json.loads(line)
        return Answer(kind, value)

    def stop(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._child

    def _read_line(self, child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return None
        return child.stdout.readline()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer calls until the requests end."""
    from flowstream.errors import FlowstreamError

    for line in requests:
        name, arguments = json.loads(line)
        module, _, attribute = name.partition(":")
        try:
            answer = "value", getattr(importlib.import_module(module), attribute)(*arguments)
        except FlowstreamError as error:
            one_line = "\n" not in str(error)
            answer = ("error" if one_line else "crashed"), str(error)
        except Exception:  # what a user would see as a traceback
            answer = "crashed", traceback.format_exc(limit=-3)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Serve calls on standard input; libraries that print cannot disturb the answers."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
