"""Run the campaigns of faults and print their table."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults import CAMPAIGNS
from benchmarks.faults.tally import Budget, Tally, format_tallies


def run_campaign(name: str, *, seed: int, seconds: float, most: int) -> Tally:
    """Run one campaign in a directory of its own."""
    module, _, attribute = CAMPAIGNS[name][0].partition(":")
    function = getattr(importlib.import_module(module), attribute)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flowstream-faults-") as scratch:
        tally: Tally = function(Budget(Path(scratch), seed, seconds, most))
    tally.seconds = time.monotonic() - start
    return tally


def main() -> int:
    """Run the campaigns that the command line names; return 1 if one found a failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=15.0, help="for all campaigns together")
    parser.add_argument("--most", type=int, default=1200, help="faults of each campaign")
    parser.add_argument("--only", choices=CAMPAIGNS, action="append", metavar="CAMPAIGN")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    names = options.only or list(CAMPAIGNS)
    end = time.monotonic() + 60 * options.minutes
    tallies = []
    for index, name in enumerate(names):
        # What a campaign does not use is left to the following ones.
        left = sum(CAMPAIGNS[other][1] for other in names[index:])
        share = (end - time.monotonic()) * CAMPAIGNS[name][1] / left
        tally = run_campaign(name, seed=options.seed, seconds=share, most=options.most)
        tallies.append(tally)
        print(f"{name}: {tally.tried} faults, {tally.failures} failures", flush=True)
        for finding in tally.findings[:20]:
            print(f"  {finding}", flush=True)
    table = format_tallies(tallies)
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    facts = f"seed {options.seed}, {os.cpu_count()} CPU cores, {machine}"
    print(f"\n{facts}\n\n{table}")
    if options.out:
        options.out.write_text(f"{table}\n\n{facts}\n", encoding="utf-8")
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
