"""Report of a test: measures of the streams and of their fusion.

`write_report` writes `report.json` for programs and `report.html` for people. The page is one file
and loads nothing from the network.
"""

from __future__ import annotations

from flowstream.report.measures import Measures, measure
from flowstream.report.write import write_report

__all__ = ["Measures", "measure", "write_report"]
