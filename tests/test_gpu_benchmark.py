"""The GPU benchmark runs everywhere with tiny sizes, and loses no figure to an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from benchmarks import gpu
from benchmarks.gpu_parts import PARTS, Part, Place

DEVICE_TABLES = {
    "checks": {"codes", "fields"},
    "tvl1": {"numba", "by batch", "by engine"},
    "errors": {"errors"},
    "raft": {"speed"},
    "training": {"steps"},
    "extract": {"kernel", "end to end"},
    "memory": {"peak", "recovery"},
}


def test_all_parts_measure_something_on_a_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gpu.json"
    gpu.main(["--tiny", "--device", "cpu", "--out", str(path)])
    content = json.loads(path.read_text())
    errors = {name: part.get("error") for name, part in content["parts"].items()}
    assert errors == dict.fromkeys(PARTS)
    tables = {name: set(part["tables"]) for name, part in content["parts"].items()}
    assert tables == DEVICE_TABLES
    assert {"date", "command", "torch", "cores", "processor"} <= content["about"].keys()
    codes = content["parts"]["checks"]["tables"]["codes"]
    assert {row["codes"] for row in codes} == {"equal"}
    assert content["parts"]["memory"]["tables"]["recovery"][0]["batches"] == "4 2 1 1 1 1"
    extracted = content["parts"]["extract"]["tables"]["end to end"][0]
    assert (extracted["pairs"], extracted["failed"]) == (6, 0)

    capsys.readouterr()
    gpu.main(["--table", str(path)])
    page = capsys.readouterr().out
    for part in PARTS.values():
        assert f"### {part.title}" in page
    assert "| codec | codes | losses |" in page
    assert f"| torch | {content['about']['torch']} |" in page


def test_an_error_in_one_part_costs_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(place: Place, add: Any) -> None:
        add("speed", pairs_per_second=5.0)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def work(place: Place, add: Any) -> None:
        add("speed", pairs_per_second=1234.5)

    parts = {"first": Part("First", 1, fail), "second": Part("Second", 1, work)}
    monkeypatch.setattr(gpu, "PARTS", parts)
    path = tmp_path / "gpu.json"
    gpu.main(["--tiny", "--device", "cpu", "--out", str(path), "--only", "first,second"])
    found = json.loads(path.read_text())["parts"]
    assert found["first"]["tables"] == {"speed": [{"pairs_per_second": 5.0}]}
    assert "illegal memory access" in found["first"]["error"]
    assert "error" not in found["second"]
    assert "| 1,234 |" in gpu.print_tables({"about": {}, "parts": found})
    assert "Not complete: RuntimeError: CUDA error" in gpu.print_tables(
        {"about": {}, "parts": found}
    )


def test_an_unknown_part_and_a_missing_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--only", "speed", "--out", str(tmp_path / "gpu.json")])
    from flowstream.errors import ParameterError

    with pytest.raises(ParameterError, match="cuda:99"):
        gpu.main(["--device", "cuda:99", "--out", str(tmp_path / "gpu.json")])
    assert not (tmp_path / "gpu.json").exists()


def test_the_parts_fit_into_six_minutes() -> None:
    assert sum(part.seconds for part in PARTS.values()) <= 330
