"""Exceptions, each with a one-line message: place, problem, expected and actual value, way out.

Every error that flowstream raises on purpose is a `FlowstreamError` and also the builtin exception
that a caller who does not know flowstream would catch. The command line prints these as one line
and exits with code 1; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


class FlowstreamError(Exception):
    """Base class of all errors that flowstream raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print the repr of its message, and OSError a tuple.
        return str(self.args[0]) if self.args else ""


class ShapeError(FlowstreamError, ValueError):
    """Array with a wrong number of axes, or a wrong length along one."""


class ParameterError(FlowstreamError, ValueError):
    """Parameter outside its valid range."""


class UnknownNameError(FlowstreamError, KeyError):
    """Name that is not in a table of plug-ins."""


class MissingDependencyError(FlowstreamError, ImportError):
    """Package that is needed but not installed."""


class RecipeError(FlowstreamError, ValueError):
    """Invalid recipe or `key=value` setting."""


class VideoError(FlowstreamError, OSError):
    """Video that cannot be opened or decoded."""


class DamagedVideoError(VideoError):
    """Video with missing or corrupt frames."""


class CodecError(FlowstreamError, ValueError):
    """Flow that cannot be encoded or decoded."""


class FlowFileError(FlowstreamError, OSError):
    """Invalid `.flo`, `.pfm` or KITTI PNG file."""


class StackError(FlowstreamError, OSError):
    """File that is not a complete stack of this version."""


class ConversionError(FlowstreamError, OSError):
    """Stack that cannot be converted to or from another format."""


class ExtractionError(FlowstreamError, RuntimeError):
    """Batch of videos that cannot be planned or was not extracted completely."""


class SplitError(FlowstreamError, ValueError):
    """Split file, manifest or directory tree that does not describe a dataset."""


class CheckpointError(FlowstreamError, ValueError):
    """Checkpoint that is invalid, corrupted, or bound to other flow."""


class ScoresError(FlowstreamError, ValueError):
    """Score files that cannot be read, or do not match."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the one that it was raised from or during, and so on to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` with the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
