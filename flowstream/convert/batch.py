"""Conversion of many stacks and directories of raw frames; complete outputs are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowstream.codec.linear8 import Linear8
from flowstream.convert.annotations import Listed
from flowstream.convert.format import Format
from flowstream.convert.raw_import import read_raw_frames
from flowstream.convert.sources import Source
from flowstream.convert.stack import StackFormat, describe_difference
from flowstream.errors import ConversionError, FlowstreamError, ParameterError
from flowstream.locks import lock_directory
from flowstream.ranges import check_between
from flowstream.store import open_stack
from flowstream.store.pack import file_of

_MOST_FPS = 100_000.0


@dataclass(frozen=True)
class RawReading:
    """Values that raw frames do not store.

    Parameters
    ----------
    bound : float
        Pixels that the codes 0 and 255 stand for.
    fps : float
        Frames per second; 0 if unknown.
    """

    bound: float
    fps: float = 0.0

    def __post_init__(self) -> None:
        Linear8(self.bound)
        check_between("fps", self.fps, (0, _MOST_FPS))


@dataclass
class Outcome:
    """Paths of a finished conversion.

    Parameters
    ----------
    written, kept : list of Path
        Outputs that were written, and complete ones of an earlier conversion.
    lists : list of Path
        Files about all videos.
    failed : int
        Number of videos that could not be converted.
    """

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    lists: list[Path] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True)
class Conversion:
    """Conversion of sources to one format below one directory.

    Parameters
    ----------
    form : Format
    out : Path
    reading : RawReading, optional
        Required if there are raw frames.
    overwrite : bool
        Convert again what is complete.
    """

    form: Format
    out: Path
    reading: RawReading | None = None
    overwrite: bool = False

    def run(
        self,
        sources: Sequence[Source],
        *,
        say: Callable[[str], None],
        advance: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Convert all sources; one that fails does not stop the others.

        Parameters
        ----------
        sources : Sources
        say : function of a line
            Is called for each failure and note.
        advance : function
            Is called after each source.

        Raises
        ------
        FlowstreamError
            Before anything is written, if two outputs have the same path, an output is one of the
            sources, the format cannot hold the names, or another run writes into the directory.
        """
        self._check(sources)
        with lock_directory(self.out, ConversionError):
            return self._run(sources, say=say, advance=advance)

    def _run(
        self, sources: Sequence[Source], *, say: Callable[[str], None], advance: Callable[[], None]
    ) -> Outcome:
        self.form.prepare({self._name(s): s.class_name for s in sources}, self.out)
        outcome, listed = Outcome(), []
        for source in sources:
            try:
                found = self._import if source.is_raw else self._export
                listed += found(source, outcome=outcome, say=say)
            except FlowstreamError as error:
                outcome.failed += 1
                say(f"failed: {error}")
            advance()
        outcome.lists = self.form.finish(listed, self.out)
        return outcome

    def _name(self, source: Source) -> str:
        return self.form.output_name(source.name)

    def _target(self, source: Source) -> Path:
        target = self.out / self._name(source)
        return target.with_name(target.name + self.form.suffix)

    def _check(self, sources: Sequence[Source]) -> None:
        inputs = {os.path.realpath(file_of(source.path)) for source in sources}
        above = {str(path) for source in inputs for path in Path(source).parents}
        targets: dict[str, Source] = {}
        for source in sources:
            target = self._target(source)
            real = os.path.realpath(target)
            if real in inputs or (not self.form.suffix and real in above):
                raise ParameterError(
                    f"{target}: the output would replace an input; name another --out"
                )
            other = targets.setdefault(real, source)
            if other is not source:
                raise ParameterError(
                    f"{target}: is the output of both {other.path} and {source.path}; convert them "
                    "in two runs with different --out"
                )
            if source.is_raw and (not isinstance(self.form, StackFormat) or self.form.codec):
                raise ParameterError(
                    f"{source.path}: raw frames are converted to stacks of codec linear8; expected "
                    "--to stack without a codec. Convert the stacks in a second step"
                )
            if source.is_raw and self.reading is None:
                raise ParameterError(f"{source.path}: raw frames need a bound")

    def _export(
        self, source: Source, *, outcome: Outcome, say: Callable[[str], None]
    ) -> list[Listed]:
        """Convert a stack, or keep its output."""
        target = self._target(source)
        with open_stack(source.path) as stack:
            if self._is_current(source, target):
                _keep(target, self.form.find_difference(stack, target), outcome)
            else:
                self.form.convert(stack, self.out / self._name(source), overwrite=True)
                outcome.written.append(target)
            frames = stack.num_frames if stack.has_rgb else 0
            return [Listed(self._name(source), source.class_name, frames, stack.num_fields)]

    def _is_current(self, source: Source, target: Path) -> bool:
        """Return True if an output exists, is not older than its source, and may be kept."""
        if self.overwrite or not target.exists():
            return False
        if target.is_dir() == bool(self.form.suffix):
            kind = "file" if self.form.suffix else "directory"
            raise ConversionError(f"{target}: exists, but is not a {kind}; remove it")
        return target.stat().st_mtime_ns >= file_of(source.path).stat().st_mtime_ns

    def _import(
        self, source: Source, *, outcome: Outcome, say: Callable[[str], None]
    ) -> list[Listed]:
        """Write the stack of raw frames, or keep it."""
        reading, form, target = self.reading, self.form, self._target(source)
        assert reading is not None
        assert isinstance(form, StackFormat)
        compression = form.compression or "lz4hc"
        if self._is_current(source, target):
            with open_stack(target) as found:
                difference = describe_difference(
                    found, codec=Linear8(reading.bound), fps=reading.fps, compression=compression
                )
            _keep(target, difference, outcome)
            return []
        note = read_raw_frames(
            source.path, target, bound=reading.bound, fps=reading.fps, compression=compression
        )
        outcome.written.append(target)
        if note:
            say(f"note: {note}")
        return []


def _keep(target: Path, difference: str, outcome: Outcome) -> None:
    """Count a complete output; raise `ConversionError` if it is from other settings."""
    if difference:
        raise ConversionError(
            f"{target}: exists, but {difference}; use --overwrite or another --out"
        )
    outcome.kept.append(target)
