"""The batch stage: compute one stack for each of many videos, in parallel and resumable.

`plan` lists the jobs, `extract` runs them. A video that fails never stops the others; the same call
continues a run that was killed. Everything is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import lazy_attributes

if TYPE_CHECKING:
    from flowstream.extract.batch import extract
    from flowstream.extract.directory import Shard
    from flowstream.extract.forecast import Estimate, estimate
    from flowstream.extract.jobs import Job, JobList, find_jobs, plan
    from flowstream.extract.journal import Outcome, Summary, read_journal
    from flowstream.extract.options import RunOptions
    from flowstream.extract.recipe import ExtractRecipe
    from flowstream.extract.settings import ExtractSettings

_LAZY = {
    "Estimate": "flowstream.extract.forecast",
    "ExtractRecipe": "flowstream.extract.recipe",
    "ExtractSettings": "flowstream.extract.settings",
    "Job": "flowstream.extract.jobs",
    "JobList": "flowstream.extract.jobs",
    "Outcome": "flowstream.extract.journal",
    "RunOptions": "flowstream.extract.options",
    "Shard": "flowstream.extract.directory",
    "Summary": "flowstream.extract.journal",
    "estimate": "flowstream.extract.forecast",
    "extract": "flowstream.extract.batch",
    "find_jobs": "flowstream.extract.jobs",
    "plan": "flowstream.extract.jobs",
    "read_journal": "flowstream.extract.journal",
}

__all__ = [
    "Estimate",
    "ExtractRecipe",
    "ExtractSettings",
    "Job",
    "JobList",
    "Outcome",
    "RunOptions",
    "Shard",
    "Summary",
    "estimate",
    "extract",
    "find_jobs",
    "plan",
    "read_journal",
]


__getattr__ = lazy_attributes(__name__, _LAZY)
