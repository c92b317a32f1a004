"""Campaigns of faults: damage, kill, fill and misname, and see whether a wrong result passes.

`python -m benchmarks.faults --seed 0 --minutes 15` runs them all and prints one table. Each
campaign is one file, whose function `run(budget)` returns a `Tally`, and one line in `CAMPAIGNS`.
"""

from __future__ import annotations

CAMPAIGNS = {
    "videos": "benchmarks.faults.videos:run",
    "stacks": "benchmarks.faults.stacks:run",
    "files": "benchmarks.faults.files:run",
    "small files": "benchmarks.faults.artefacts:run",
    "kills": "benchmarks.faults.kills:run_kills",
    "signals": "benchmarks.faults.kills:run_signals",
    "disks": "benchmarks.faults.disks:run",
    "paths": "benchmarks.faults.paths:run",
}
"""Name of a campaign, and `module:function` that runs it."""
