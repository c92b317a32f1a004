"""Measure everything that runs on a GPU, in at most six minutes.

    python benchmarks/gpu.py [--out gpu.json] [--device cuda] [--only tvl1,raft]
    python benchmarks/gpu.py --table gpu.json

Each part runs in a process of its own and in limited time, and each figure is printed and written
as soon as it is known: an interrupted run, a failed part or an error on the card loses no figure.
`--table` prints a file of figures as the tables of docs/gpu.md. `--tiny` tries all parts in
seconds, on any device, in one process; its figures say nothing. FLOWSTREAM_TEST_DATA adds the
errors on Middlebury and KITTI.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.gpu_parts import PARTS, Place
from flowstream.disk import whole_file

Record = dict[str, Any]


class Figures:
    """Figures of a run, in a JSON file that is complete at any time."""

    def __init__(self, path: Path, content: Record) -> None:
        self.path = path
        self.content = content

    def add(self, part: str, table: str, **row: Any) -> None:
        """Print and write one row of a table."""
        tables = self.content["parts"].setdefault(part, {}).setdefault("tables", {})
        tables.setdefault(table, []).append(row)
        cells = "  ".join(f"{key} {readable(value)}" for key, value in row.items())
        print(f"{part}: {table}: {cells}", flush=True)
        self.write()

    def write(self) -> None:
        with whole_file(self.path) as path:
            path.write_text(json.dumps(self.content, indent=1))


def readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def describe(device: str) -> Record:
    """Return what the figures depend on: card, driver, versions, date, command."""
    import torch

    found: Record = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python", *sys.argv]),
        "device": device,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    if device.startswith("cuda"):
        found["card"] = torch.cuda.get_device_name(torch.device(device))
        found["driver"] = query_card("driver_version")
    try:
        import triton

        found["triton"] = triton.__version__
    except ImportError:
        found["triton"] = None
    return found


def processor() -> str:
    lines = Path("/proc/cpuinfo")
    names = [
        line.partition(": ")[2]
        for line in (lines.read_text().splitlines() if lines.exists() else [])
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def query_card(name: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={name}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return next(iter(done.stdout.splitlines()), "unknown")


def measure_part(name: str, place: Place, figures: Figures) -> None:
    """Run one part; an error is recorded."""
    part = figures.content["parts"].setdefault(name, {})
    start = time.monotonic()
    try:
        PARTS[name].measure(place, lambda table, **row: figures.add(name, table, **row))
    # Whatever fails in one part must not cost the figures of the others.
    except Exception as error:
        part["error"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    part["seconds"] = round(time.monotonic() - start, 1)
    figures.write()


def run_part(name: str, figures: Figures, options: argparse.Namespace) -> None:
    """Run one part in a process of its own, which is killed when its time is over."""
    seconds = PARTS[name].seconds * options.patience
    path = figures.path.with_suffix(f".{name}.json")
    path.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--part", name, "--out", str(path)]
    command += ["--device", options.device, "--patience", str(options.patience)]
    error = ""
    start = time.monotonic()
    try:
        # The part itself stops in time; the limit is for a part that hangs.
        done = subprocess.run(command, timeout=seconds + 15, check=False)
        error = f"its process ended with code {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        error = f"took longer than {seconds + 15:g} s and was stopped"
    found = json.loads(path.read_text())["parts"].get(name, {}) if path.exists() else {}
    path.unlink(missing_ok=True)
    found.setdefault("seconds", round(time.monotonic() - start, 1))
    if error:
        found.setdefault("error", error)
        print(f"{name}: {error}", flush=True)
    figures.content["parts"][name] = found
    figures.write()


def print_tables(content: Record) -> str:
    """Return the figures as Markdown."""
    about = content["about"]
    lines = ["| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in about.items() if value is not None]
    for name, part in content["parts"].items():
        lines += ["", f"### {PARTS[name].title}", ""]
        for table, rows in part.get("tables", {}).items():
            columns = list(dict.fromkeys(key for row in rows for key in row))
            lines += [f"{table}:", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
            for row in rows:
                cells = [readable(row[key]) if key in row else "" for key in columns]
                lines.append(f"| {' | '.join(cells)} |")
            lines.append("")
        if "error" in part:
            lines += [f"Not complete: {part['error']}", ""]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="file of the figures")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts: {', '.join(PARTS)}")
    parser.add_argument("--tiny", action="store_true", help="try all parts with tiny sizes")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print a file as tables")
    parser.add_argument("--patience", type=float, default=1, help="factor of the time of a part")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.table:
        print(print_tables(json.loads(options.table.read_text())), end="")
        return
    chosen = [options.part] if options.part else options.only.split(",")
    if set(chosen) - set(PARTS):
        parser.error(f"--only: got {options.only}; known parts: {', '.join(PARTS)}")
    from flowstream.device import choose_device

    device = str(choose_device(options.device))
    about = {} if options.part else describe(device)
    figures = Figures(options.out, {"about": about, "parts": {}})
    figures.write()
    for name in chosen:
        if options.tiny or options.part:
            seconds = PARTS[name].seconds * options.patience
            place = Place(device, tiny=options.tiny, seconds=seconds)
            measure_part(name, place, figures)
        else:
            run_part(name, figures, options)


if __name__ == "__main__":
    main()
