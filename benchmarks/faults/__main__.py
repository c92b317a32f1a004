"""Run the campaigns of faults and print their table."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults import CAMPAIGNS
from benchmarks.faults.disks import unmount_below
from benchmarks.faults.runs import stop_all
from benchmarks.faults.tally import Budget, Tally, format_tallies

# Without it, a share of nothing would never be cut.
_LEAST_SECONDS = 0.1


class ShareSpentError(Exception):
    """A campaign used up its share of the time in the middle of a fault."""


def run_campaign(name: str, *, seed: int, seconds: float, most: int, tallies: list[Tally]) -> None:
    """Run one campaign in a directory of its own, and cut it when its time is over.

    A fault in progress at the end is not counted. A campaign that fails itself counts as a crash.
    The tally is added to `tallies` also if a signal ends the program.
    """
    module, _, attribute = CAMPAIGNS[name][0].partition(":")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flowstream-faults-") as scratch:
        budget = Budget(Path(scratch), seed, seconds, most)
        budget.tally(name)
        before = signal.signal(signal.SIGALRM, _cut)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, _LEAST_SECONDS))
        try:
            getattr(importlib.import_module(module), attribute)(budget)
        except ShareSpentError:
            pass
        except Exception as error:
            budget.tallies[-1].add("crashed", f"the campaign itself: {error!r}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            tally = budget.tallies[-1]
            tally.seconds = time.monotonic() - start
            tallies.append(tally)
            print(f"{name}: {tally.tried} faults, {tally.failures} failures", flush=True)
            for finding in tally.findings[:20]:
                print(f"  {finding}", flush=True)
            stop_all()
            unmount_below(Path(scratch))


def _cut(number: int, frame: object) -> None:
    raise ShareSpentError


def _end(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # the table is printed once
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns that the command line names; return 1 if one found a failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=14.5, help="for all campaigns together")
    parser.add_argument("--most", type=int, default=1200, help="faults of each campaign")
    parser.add_argument("--only", choices=CAMPAIGNS, action="append", metavar="CAMPAIGN")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    options = parser.parse_args(arguments)
    names = options.only or list(CAMPAIGNS)
    end = time.monotonic() + 60 * options.minutes
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    facts = f"seed {options.seed}, {os.cpu_count()} CPU cores, {machine}"
    tallies: list[Tally] = []
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for index, name in enumerate(names):
            # What a campaign does not use is left to the following ones.
            left = sum(CAMPAIGNS[other][1] for other in names[index:])
            share = (end - time.monotonic()) * CAMPAIGNS[name][1] / left
            run_campaign(name, seed=options.seed, seconds=share, most=options.most, tallies=tallies)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        table = format_tallies(tallies)
        print(f"\n{facts}\n\n{table}", flush=True)
        if options.out:
            options.out.write_text(f"{table}\n\n{facts}\n", encoding="utf-8")
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
