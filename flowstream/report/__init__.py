"""The report of a test: measures of each stream and of their fusion, as JSON and as one HTML page.

`write_report(folder, streams, fused, facts=...)` writes `report.json`, which programs read, and
`report.html`, which people read: one file, no request to anything outside it.
"""

from __future__ import annotations

from flowstream.report.measures import Measures, measure
from flowstream.report.write import write_report

__all__ = ["Measures", "measure", "write_report"]
