"""Real full, small and read-only file systems, mounted for one process alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.namespaces import run_with_mounts

IN_PARTS = {"journal"}
"""Files that grow; after an error their last line is truncated."""


def test_on_a_full_disk_every_output_fails_in_one_line_and_the_old_file_stays(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    found = run_with_mounts({str(disk): "size=4m"}, "tests.faults.full_disk", disk)
    assert "Traceback" not in found.pop("stderr")
    assert len(found) >= 13
    for kind, case in found.items():
        assert "No space left on device" in case["error"], (kind, case)
        assert "\n" not in case["error"], (kind, case)
        assert case["unchanged"] or kind in IN_PARTS, (kind, case)
        assert (case["parts"], case["after"]) == (0, ""), (kind, case)


def test_training_on_a_full_disk_keeps_the_last_checkpoint_and_continues_to_the_same_end(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # /dev/shm is read-only, too: the workers that the recipe asks for must not be needed.
    mounts = {str(disk): "size=4m", "/dev/shm": "ro"}
    found = run_with_mounts(mounts, "tests.faults.training_disk", disk)
    assert "cannot write" in found["error"]
    assert "No space left on device" in found["error"]
    assert "\n" not in found["error"]
    assert (found["unchanged"], found["parts"], found["same"]) == (True, 0, True)
    assert "reading clips without workers" in found["stderr"]
    assert "Traceback" not in found["stderr"]


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_extraction_needs_no_shared_memory(tmp_path: Path, options: str) -> None:
    found = run_with_mounts(
        {"/dev/shm": options}, "tests.faults.shared_memory", tmp_path, "processes", "sequential"
    )
    assert set(found["done"].values()) == {2}
    assert len(found["done"]) == 4
    assert found["stderr"] == ""
