"""The demo does what `make demo` promises."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowstream.synthetic import write_action_set
from pipelines import demo

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_the_demo_reaches_its_ceilings_and_costs_nothing_when_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # half as long as those of `make demo`, and still longer than the 10 fields of a clip
    monkeypatch.setattr(demo, "write_action_set", partial(write_action_set, frames=14))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(demo.main, [])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    # A stream that knows its half of the class for certain guesses the other: 240 guesses scatter
    # by 0.03 about the ceiling, and three times that is no accident.
    for name, ceiling in (("spatial", 1 / 4), ("temporal", 1 / 3)):
        assert abs(report["streams"][name]["top1"]["value"] - ceiling) < 0.09
    assert report["fused"]["top1"]["value"] >= 0.9
    assert "hue known in 100%" in done.stdout
    kept = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "demo").rglob("*")
        # fusing is quicker than to see whether it is done
        if path.suffix in (".h5", ".pt", ".npz") and path.parent.name != "fused"
    }
    assert len(kept) >= 360 + 4 + 4
    assert (tmp_path / "demo" / "pictures" / "sheet.png").exists()
    program = [sys.executable, str(ROOT / "pipelines" / "demo.py")]
    again = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
