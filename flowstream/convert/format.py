"""Contract of a format that stacks are converted to."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from flowstream.disk import whole_file
from flowstream.errors import ConversionError
from flowstream.store import Stack


class Format(ABC):
    """Layout of the flow and frames of one video; subclasses are frozen dataclasses."""

    name: ClassVar[str]
    """Key in FORMATS."""

    suffix: ClassVar[str]
    """Suffix of the file of one video; empty if it is a directory of files."""

    @abstractmethod
    def write(self, stack: Stack, target: Path) -> None:
        """Write a stack to a file, or to files in an existing empty directory.

        Parameters
        ----------
        stack : Stack
        target : Path

        Raises
        ------
        FlowstreamError, OSError
            If the stack is damaged or lacks what the format needs, or `target` cannot be written.
        """

    def convert(self, stack: Stack, target: Path) -> Path:
        """Write a stack to `target` plus the suffix, completely or not at all; return that path.

        An existing file is replaced; an existing directory is refused.

        Raises
        ------
        ConversionError
            If `target` exists as a directory, or cannot be written.
        FlowstreamError
            If `write` raises it.
        """
        target = target.with_name(target.name + self.suffix)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) if self.suffix else whole_directory(target) as part:
                self.write(stack, part)
        except OSError as error:
            if type(error).__module__ == "builtins":
                raise ConversionError(f"{target}: cannot write: {error.strerror}") from error
            raise
        return target


@contextlib.contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory that is renamed to `target` at the end of the block.

    Raises
    ------
    ConversionError
        If `target` exists.
    """
    if target.exists():
        raise ConversionError(f"{target}: exists; remove it or name another --out")
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
