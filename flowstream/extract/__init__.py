"""The batch stage: many videos to one stack file each, in parallel, resumable.

`plan` says which video becomes which file, `extract` makes the files. One bad video never stops the
rest; a run that was killed is continued by starting it again. Everything is imported when first
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import lazy_attributes

if TYPE_CHECKING:
    from flowstream.extract.batch import extract
    from flowstream.extract.forecast import Estimate, estimate
    from flowstream.extract.jobs import Job, plan
    from flowstream.extract.journal import Outcome, Summary, read_journal
    from flowstream.extract.settings import ExtractSettings

_LAZY = {
    "Estimate": "flowstream.extract.forecast",
    "ExtractSettings": "flowstream.extract.settings",
    "Job": "flowstream.extract.jobs",
    "Outcome": "flowstream.extract.journal",
    "Summary": "flowstream.extract.journal",
    "estimate": "flowstream.extract.forecast",
    "extract": "flowstream.extract.batch",
    "plan": "flowstream.extract.jobs",
    "read_journal": "flowstream.extract.journal",
}

__all__ = [
    "Estimate",
    "ExtractSettings",
    "Job",
    "Outcome",
    "Summary",
    "estimate",
    "extract",
    "plan",
    "read_journal",
]


__getattr__ = lazy_attributes(__name__, _LAZY)
