"""`flowstream doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowstream.extract import health
from flowstream.flow import METHODS
from tests.command_line import call, output


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try fewer bytes, and not the methods that compile for seconds."""
    monkeypatch.setattr(health, "_DISK_BYTES", 1 << 16)
    monkeypatch.setattr(health, "METHODS", {"dis": METHODS["dis"]})


def test_every_check_is_one_line(tmp_path: Path) -> None:
    lines = output("doctor", "--out", tmp_path).splitlines()
    names = [line[9:].split("  ")[0].strip() for line in lines]
    for name in ("flowstream", "python", "numpy", "codecs", "method dis", "cores", "disk"):
        assert name in names
    assert not list(tmp_path.iterdir())


def test_a_problem_does_not_hide_the_other_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(size: int) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.urandom", fail)
    result = call("doctor", "--out", tmp_path, "--json")
    assert result.exit_code == 1
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert findings["disk"]["status"] == "problem"
    assert "No space left" in findings["disk"]["text"]
    assert findings["decoding"]["status"] == "ok"


def test_a_method_that_cannot_be_used_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        METHODS["nothing"]

    monkeypatch.setattr(health, "METHODS", {"nothing": missing})
    line = next(
        line for line in output("doctor", "--out", tmp_path).splitlines() if "nothing" in line
    )
    assert line.startswith("missing")
    assert "unknown flow method" in line
