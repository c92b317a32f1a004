"""What can go wrong, each with one line that says what, where, seen, expected and the way out.

Every error that flowstream raises on purpose is a `FlowstreamError` and also the builtin that a
caller who does not know flowstream would catch. The command line turns exactly these into one line
and exit code 1; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FlowstreamError(Exception):
    """Base of all errors that flowstream raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print the repr of its message, OSError a tuple.
        return str(self.args[0]) if self.args else ""


class ShapeError(FlowstreamError, ValueError):
    """An array has the wrong number of axes, or a wrong length along one."""


class ParameterError(FlowstreamError, ValueError):
    """A parameter is outside what it may be."""


class UnknownNameError(FlowstreamError, KeyError):
    """A name is not in a table."""


class MissingDependencyError(FlowstreamError, ImportError):
    """A part needs a package that is not installed."""


class RecipeError(FlowstreamError, ValueError):
    """A recipe, or a `key=value` setting, does not describe what it should."""


class VideoError(FlowstreamError, OSError):
    """A video cannot be opened or decoded."""


class DamagedVideoError(VideoError):
    """A video holds clearly fewer frames than its header says."""


class CodecError(FlowstreamError, ValueError):
    """Flow cannot be encoded or decoded."""


class FlowFileError(FlowstreamError, OSError):
    """A `.flo`, `.pfm` or KITTI PNG file does not hold a flow field."""


class StackError(FlowstreamError, OSError):
    """A file is not a complete stack that this version can read."""


class ExtractionError(FlowstreamError, RuntimeError):
    """A batch of videos cannot be planned or was not extracted whole."""


class SplitError(FlowstreamError, ValueError):
    """A split file, manifest or folder tree does not describe a data set."""


class CheckpointError(FlowstreamError, ValueError):
    """A checkpoint cannot be used: not one, damaged, or bound to other flow."""


class ScoresError(FlowstreamError, ValueError):
    """Score files cannot be read, or do not fit together."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of the known names, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
