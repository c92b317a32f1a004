"""Campaigns of faults: damage, kill, fill and misname, and see whether a wrong result passes.

`python -m benchmarks.faults --seed 0 --minutes 14.5` runs them all and prints one table. Each
campaign is one file, whose function `run(budget)` returns a `Tally`, and one line in `CAMPAIGNS`.
"""

from __future__ import annotations

CAMPAIGNS = {
    "videos": ("benchmarks.faults.videos:run", 4.0),
    "joined videos": ("benchmarks.faults.joined:run", 1.0),
    "stacks": ("benchmarks.faults.stacks:run", 2.0),
    "files": ("benchmarks.faults.artefacts:run", 1.0),
    "hostile files": ("benchmarks.faults.hostile:run", 0.5),
    "paths": ("benchmarks.faults.paths:run", 1.0),
    "kills": ("benchmarks.faults.kills:run_kills", 1.5),
    "signals": ("benchmarks.faults.kills:run_signals", 1.0),
    "disks": ("benchmarks.faults.disks:run", 1.5),
    "training": ("benchmarks.faults.training:run", 2.0),
}
"""Campaigns by name: `module:function` that runs it, and its share of the time."""
