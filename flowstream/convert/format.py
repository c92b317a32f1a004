"""Contract of a format that stacks are converted to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowstream.disk import read_json, refuse_special, whole_file
from flowstream.errors import ConversionError
from flowstream.store import Stack
from flowstream.store.pack import file_of

if TYPE_CHECKING:
    from flowstream.convert.annotations import Listed

_SETTINGS_BYTES = 65536


class Format(ABC):
    """Layout of the flow and frames of one video; subclasses are frozen dataclasses."""

    name: ClassVar[str]
    """Key in FORMATS."""

    suffix: ClassVar[str]
    """Suffix of the file of one video; empty if it is a directory of files."""

    file_pattern: ClassVar[str] = ""
    """Regular expression of the names of all files in a directory of this format."""

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

    def output_name(self, name: str) -> str:
        """Return the name of an output, without suffix, from the name of its video."""
        return name

    def prepare(self, classes: Mapping[str, str], out: Path) -> None:  # noqa: B027 (optional)
        """Check a conversion of several videos before it starts.

        Parameters
        ----------
        classes : name of the class by name of the output
        out : directory of the outputs

        Raises
        ------
        ConversionError
            If the outputs cannot be written to `out`.
        """

    def finish(self, videos: Sequence[Listed], out: Path) -> list[Path]:
        """Write files about all videos to `out`, and return their paths."""
        return []

    def file_names(self, stack: Stack) -> Sequence[str]:
        """Return the names of the files in the directory of a stack."""
        return ()

    def find_difference(self, stack: Stack, target: Path) -> str:
        """Return how an existing output differs from what `write` writes; empty if it does not.

        Only what is cheap is compared, because a file or directory with its final name is complete.
        """
        if self.suffix:
            return ""
        found = set(os.listdir(target))
        missing = next((name for name in self.file_names(stack) if name not in found), None)
        return f"has no {missing}" if missing else ""

    def convert(self, stack: Stack, target: Path, *, overwrite: bool = False) -> Path:
        """Write a stack to `target` plus the suffix, completely or not at all; return that path.

        Parameters
        ----------
        stack : Stack
        target : Path
            Path of the output without its suffix.
        overwrite : bool
            Replace an existing output.

        Raises
        ------
        ConversionError
            If the output exists and `overwrite` is False, it is the stack itself or a directory of
            other files, or it cannot be written.
        FlowstreamError
            If `write` raises it.
        """
        target = target.with_name(target.name + self.suffix)
        try:
            if target.exists():
                self._check_replaceable(stack, target, overwrite=overwrite)
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) if self.suffix else whole_directory(target) as part:
                self.write(stack, part)
        except OSError as error:
            if type(error).__module__ == "builtins":
                raise ConversionError(f"{target}: cannot write: {error.strerror}") from error
            raise
        return target

    def _check_replaceable(self, stack: Stack, target: Path, *, overwrite: bool) -> None:
        if target.samefile(file_of(stack.path)):
            raise ConversionError(f"{target}: is the stack to convert; name another --out")
        if not overwrite:
            raise ConversionError(f"{target}: exists; use --overwrite or another --out")
        if self.suffix:
            return
        if target.is_symlink() or not target.is_dir():
            raise ConversionError(f"{target}: exists, but is not a directory; remove it")
        for name in os.listdir(target):
            if not re.fullmatch(self.file_pattern, name, re.IGNORECASE):
                raise ConversionError(
                    f"{target}: not replaced, because it holds other files, such as {name}; "
                    "remove it or name another --out"
                )


@contextlib.contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory that replaces `target` at the end of the block."""
    part = target.with_name(target.name + ".part")
    refuse_special(part, links=True)  # rmtree would wait for a pipe
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of a conversion; None if the file does not exist.

    Raises
    ------
    ConversionError
        If the file cannot be read, or does not hold settings.
    """
    try:
        found = read_json(path, limit=_SETTINGS_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConversionError(f"{path}: cannot read or write: {error.strerror}") from error
    except ValueError as error:
        raise ConversionError(f"{path}: not JSON: {error}; remove it") from error
    return found if isinstance(found, dict) else {}


def record_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a conversion; refuse to add outputs of other settings.

    Raises
    ------
    ConversionError
        If the file exists with other settings, or cannot be read or written.
    """
    found = read_settings(path)
    if found is not None:
        for key, value in settings.items():
            if found.get(key) != value:
                raise ConversionError(
                    f"{path.parent}: was written with {key}={found.get(key)}, requested: "
                    f"{key}={value}; name another --out, or remove this directory"
                )
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConversionError(f"{path}: cannot read or write: {error.strerror}") from error
