"""`flowstream verify`: damage, other settings, missing and extra stacks are findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.types import Vectors
from tests.command_line import call
from tests.small_stack import write_fields

SIZE = (12, 16)


def write(path: Path, *, fields: Vectors | None = None, **changes: Any) -> Path:
    vectors = np.random.default_rng(3).normal(0, 5, (3, 2, *SIZE)) if fields is None else fields
    known = {"method": {"name": "dis"}, "source": path.stem, "source_bytes": 0}
    return write_fields(path, vectors.astype(np.float32), **{**known, **changes})


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 8
    path.write_bytes(data)


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    for name in "abc":
        write(tmp_path / "stacks" / "run" / f"{name}.h5")
    return tmp_path / "stacks"


def findings(*arguments: str | Path, code: int = 1) -> list[dict[str, str]]:
    result = call("verify", *arguments, "--json")
    assert result.exit_code == code, result.output
    found: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    return found


def test_good_stacks_have_no_findings(stacks: Path) -> None:
    result = call("verify", stacks)
    assert (result.exit_code, result.stdout) == (0, "3 stacks checked, no findings\n")
    assert findings(stacks / "run" / "a.h5", code=0) == []


def test_a_damaged_stack_is_named_and_deleted_on_request(stacks: Path) -> None:
    damage(stacks / "run" / "b.h5")
    (found,) = findings(stacks)
    assert found["kind"] == "damaged"
    assert found["path"].endswith("b.h5")
    assert "extract it again" in found["problem"]
    result = call("verify", stacks, "--jobs", "1")
    assert "1 finding in 3 stacks. Replace damaged" in result.stderr
    assert "'flowstream extract --verify'" in result.stderr
    assert "--delete-damaged" in result.stderr
    result = call("verify", stacks, "--jobs", "1", "--delete-damaged")
    assert result.exit_code == 1
    assert "1 finding in 3 stacks; the damaged ones are deleted" in result.stderr
    assert not (stacks / "run" / "b.h5").exists()
    assert call("verify", stacks).exit_code == 0


def test_other_settings_than_most_are_named(stacks: Path) -> None:
    write(stacks / "d.h5", method={"name": "tvl1"}, compression="gzip")
    (found,) = findings(stacks)
    assert found["kind"] == "settings"
    assert found["path"].endswith("d.h5")
    assert "'tvl1'" in found["problem"]
    assert "compression is 'gzip', mostly 'lz4hc'" in found["problem"]


def test_videos_without_a_stack_and_stacks_without_a_video_are_named(
    stacks: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "videos.csv"
    manifest.write_text("video,label\nrun/a.mp4,x\nrun/b.mp4,x\nrun/z.mp4,y\n")
    found = {
        (entry["kind"], Path(entry["path"]).name)
        for entry in findings(stacks, "--sources", manifest)
    }
    assert found == {("missing", "z.h5"), ("extra", "c.h5")}
    result = call("verify", stacks / "run" / "a.h5", "--sources", manifest)
    assert result.exit_code == 2


def test_stacks_with_kept_suffixes_are_those_of_the_sources(tmp_path: Path) -> None:
    manifest = tmp_path / "videos.csv"
    manifest.write_text("video,start,end\nrun/a.mp4,0,1\nrun/a.avi,0,1\nrun/b.mp4,,\n")
    for name in ("a.mp4@0-1s", "a.avi@0-1s", "b.mp4"):
        write(tmp_path / "stacks" / "run" / f"{name}.h5")
    assert findings(tmp_path / "stacks", "--sources", manifest, code=0) == []
    (tmp_path / "stacks" / "run" / "b.mp4.h5").unlink()
    (found,) = findings(tmp_path / "stacks", "--sources", manifest)
    assert (found["kind"], Path(found["path"]).name) == ("missing", "b.mp4.h5")
