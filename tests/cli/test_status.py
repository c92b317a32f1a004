"""`flowstream status` and `flowstream plan`."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from flowstream.extract.journal import Journal, Outcome
from flowstream.synthetic import texture, write_video
from tests.command_line import call, data, output, refusal

QUICK = ["--method", "dis", "--backend", "sequential", "--quiet"]


def make_clip(path: Path, frames: int = 4, seed: int = 1) -> Path:
    image = texture((32, 48 + frames), seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, (image[:, shot : shot + 48] for shot in range(frames)), fps=10)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        make_clip(tmp_path / f"videos/{name}.mp4", seed=ord(name))
    (tmp_path / "videos/bad.mp4").write_text("no video")
    return tmp_path / "videos"


def test_status_counts_done_failed_by_reason_and_remaining(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    assert call("extract", videos, "--out", out, *QUICK).exit_code == 1
    make_clip(videos / "new.mp4")
    found = data("status", out, "--source", videos)
    assert (found["done"], found["failed"], found["remaining"]) == (3, 1, 1)
    assert found["pairs"] == 9
    assert found["bytes"] == sum(path.stat().st_size for path in out.glob("*.h5"))
    assert list(found["reasons"].values()) == [1]
    assert found["running"] == 0
    assert found["pairs_per_second"] > 0
    (videos / "a.mp4").unlink()
    assert data("status", out, "--source", videos)["others"] == 1
    text = output("status", out)
    assert re.search(r"done +3 videos, 9 pairs", text)
    assert re.search(r"failed +1 videos", text)
    assert re.search(r"remaining +unknown", text)


def test_kept_suffixes_and_patterns_are_known_to_status(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    pattern = f"{videos}/[ab].mp4"
    assert call("extract", pattern, "--out", out, "--keep-suffix", *QUICK).exit_code == 0
    for sources, remaining in ((pattern, 0), (videos, 2)):
        found = data("status", out, "--source", sources)
        assert (found["done"], found["remaining"], found["others"]) == (2, remaining, 0)
    assert call("verify", out, "--sources", pattern).exit_code == 0
    line = refusal(2, "extract", f"{videos}/z*.mp4", "--out", out, *QUICK)
    assert f"{videos}/z*.mp4: no file matches" in line


def test_status_lists_failures_with_their_reason_and_attempts(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        call("extract", videos, "--out", out, *QUICK)
    line = output("status", out, "--failed").strip()
    assert line.startswith(f"{videos / 'bad.mp4'}: ")
    assert "(attempt 2)" in line
    [record] = json.loads(output("status", out, "--failed", "--json"))
    assert record["attempt"] == 2
    make_clip(videos / "bad.mp4")
    call("extract", videos, "--out", out, *QUICK, "--retry-failed")
    assert output("status", out, "--failed") == ""


def test_status_includes_the_journals_of_running_shards(tmp_path: Path) -> None:
    for name in ("extract.jsonl", "extract.1-of-2.jsonl"):
        outcome = Outcome("a.mp4", str(tmp_path / f"{name}.h5"), "done", pairs=2)
        Journal(tmp_path / name).append([outcome])
        (tmp_path / f"{name}.h5").touch()
    assert data("status", tmp_path)["done"] == 2


def test_a_failed_part_is_named(tmp_path: Path) -> None:
    video, out = make_clip(tmp_path / "a.mp4", frames=20), tmp_path / "out"
    (tmp_path / "parts.csv").write_text("video,start,end\na.mp4,3f,4f\na.mp4,50,51\na.mp4,0,1\n")
    result = call("extract", tmp_path / "parts.csv", "--out", out, *QUICK)
    lines = output("status", out, "--failed").splitlines()
    for name, line in zip(("3-4f", "50-51s"), lines, strict=True):
        assert line.startswith(f"{video}@{name}: ")
        assert line.count(str(video)) == 1
        assert f"failed: {line}" in result.stderr
    assert set(data("status", out)["reasons"]) == {
        "1 frame after sampling, expected at least 2",
        "seconds 50 to 51 are not in the video",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="other limits")
def test_a_file_name_that_is_too_long_is_a_reason(tmp_path: Path) -> None:
    for letter in "ab":
        clip = make_clip(tmp_path / f"videos/{letter}.mp4", seed=ord(letter))
        clip.rename(clip.with_name(f"{letter * 250}.mp4"))
    call("extract", tmp_path / "videos", "--out", tmp_path / "out", *QUICK)
    assert data("status", tmp_path / "out")["reasons"] == {"cannot write: File name too long": 2}


def test_stacks_that_are_not_on_disk_are_not_done(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    make_clip(videos / "class/ü.mp4")
    make_clip(videos / "class/d.mp4")
    call("extract", videos, "--out", out, *QUICK)
    assert data("status", out, "--source", videos)["missing"] == 0
    (out / "a.h5").write_bytes(b"damaged")
    call("verify", out, "--delete-damaged")
    (out / "class/d.h5").unlink()
    found = data("status", out, "--source", videos)
    assert (found["done"], found["missing"], found["remaining"]) == (3, 2, 2)
    assert found["bytes"] == sum(path.stat().st_size for path in out.rglob("*.h5"))
    shutil.rmtree(out / "class")
    assert (data("status", out)["done"], data("status", out)["missing"]) == (2, 3)
    assert re.search("missing +3 stacks of the journal are not on disk", output("status", out))
    call("extract", videos, "--out", out, *QUICK)
    assert (data("status", out)["done"], data("status", out)["missing"]) == (5, 0)


def test_a_directory_without_journal_is_refused(tmp_path: Path) -> None:
    assert "no journal extract.jsonl" in refusal(1, "status", tmp_path)


def test_a_plan_finds_what_an_extraction_makes(tmp_path: Path, videos: Path) -> None:
    shutil.copy(videos / "a.mp4", videos / "copy.mp4")
    found: dict[str, Any] = data("plan", videos, "--out", tmp_path / "out", *QUICK)
    assert found["videos"] == 5
    assert list(found["unreadable"]) == [str(videos / "bad.mp4")]
    assert found["duplicates"] == [[str(videos / "a.mp4"), str(videos / "copy.mp4")]]
    assert found["pairs"] == 12
    assert found["fits"]
    assert not (tmp_path / "out").exists()
    text = output("plan", videos, "--out", tmp_path / "out", *QUICK)
    assert re.search(r"frame pairs +about 12", text)
    assert "1 videos are copies" in text
    call("extract", videos, "--out", tmp_path / "out", *QUICK)
    size = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.h5"))
    # The unreadable file counts as a video of its own, a fifth of this small batch.
    assert 0.75 * size < found["bytes"] < 1.4 * size


def test_a_plan_has_what_the_run_would_do(tmp_path: Path, videos: Path) -> None:
    out, dry = tmp_path / "out", [*QUICK, "--dry-run", "--json"]
    make_clip(videos / "bad.mp4")
    call("extract", videos / "a.mp4", "--out", out, *QUICK)
    (videos / "b.mp4").rename(tmp_path / "b.mp4")
    (videos / "b.mp4").write_text("no video")
    call("extract", videos / "b.mp4", "--out", out, *QUICK)
    (tmp_path / "b.mp4").replace(videos / "b.mp4")
    found = data("plan", videos, "--out", out, *QUICK)
    assert (found["videos"], found["complete"], found["pairs"]) == (3, 1, 9)
    assert re.search("videos +3, and 1 complete", output("plan", videos, "--out", out, *QUICK))
    [job] = data("extract", videos, "--out", out, *dry, "--retry-failed")["jobs"]
    assert job["output"] == str(out / "b.h5")
    assert len(data("extract", videos, "--out", out, *dry, "--overwrite")["jobs"]) == 4
    refused = call("plan", videos, "--out", out, *QUICK, "--step", "2")
    assert refused.exit_code == 1
    assert "1 existing stacks were made with other settings" in refused.stderr
    call("extract", videos, "--out", out, *QUICK)
    found = data("plan", videos, "--out", out, *QUICK)
    assert (found["videos"], found["complete"], found["seconds"]) == (0, 4, 0)
    assert output("plan", videos, "--out", out, *QUICK) == "Nothing to do; 4 videos are complete\n"


def test_a_plan_of_a_shard_without_videos_has_nothing_to_do(tmp_path: Path, videos: Path) -> None:
    text = output("plan", videos, "--out", tmp_path / "out", *QUICK, "--shard", "5/5")
    assert text == "Nothing to do\n"


def test_a_video_that_would_become_two_stacks_is_a_duplicate(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "videos/class/a.mp4", frames=20)
    out = tmp_path / "out"
    found = data("plan", tmp_path / "videos", video.parent, video, "--out", out, *QUICK)
    assert found["duplicates"] == [[f"{video} -> {out}/class/a.h5", f"{video} -> {out}/a.h5"]]
    (video.parent / "link.mp4").symlink_to(video)
    parts = video.parent / "parts.csv"
    parts.write_text("video,start,end\na.mp4,0f,5f\na.mp4,3f,8f\nlink.mp4,3f,8f\n")
    found = data("plan", parts, "--out", out, *QUICK)
    assert found["duplicates"] == [[str(video), str(video.parent / "link.mp4")]]


def test_shards_make_together_what_one_run_makes(tmp_path: Path, videos: Path) -> None:
    for shard in ("1/2", "2/2"):
        call("extract", videos, "--out", tmp_path / "parts", *QUICK, "--shard", shard)
    call("extract", videos, "--out", tmp_path / "whole", *QUICK)
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert {path.name for path in (tmp_path / "parts").iterdir()} == names
    for name in names - {"extract.jsonl"}:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_each_part_of_a_video_becomes_a_stack(tmp_path: Path) -> None:
    make_clip(tmp_path / "long.mp4", frames=20)
    (tmp_path / "parts.csv").write_text(
        "video,start,end,first,second\nlong.mp4,3f,8f,,\nlong.mp4,0.5,1.0,,\nlong.mp4,,,2,17\n"
    )
    result = call("extract", tmp_path / "parts.csv", "--out", tmp_path / "out", *QUICK)
    assert result.exit_code == 0, result.output
    from flowstream.store import open_stack

    found = {}
    for path in (tmp_path / "out").glob("*.h5"):
        with open_stack(path) as stack:
            found[path.name] = stack.frame_index.tolist()
    assert found == {
        "long@3-8f.h5": [3, 4, 5, 6, 7],
        "long@0.5-1s.h5": [5, 6, 7, 8, 9],
        "long@2+17f.h5": [2, 17],
    }


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        ("a.mp4,8f,3f,,", ("line 2", "end after the start")),
        ("a.mp4,,,5,2", ("line 2", "first < second")),
        ("a.mp4,,,5,", ("line 2", "'first' and 'second'", "got only first")),
        ("a.mp4,soon,,,", ("line 2", "start", "'soon'")),
        ("a.mp4,0,inf,,", ("line 2", "end", "'inf'")),
        ("a.mp4,,,x,3", ("line 2", "first", "'x'")),
    ],
)
def test_an_invalid_part_is_refused_with_its_line(
    tmp_path: Path, row: str, facts: tuple[str, ...]
) -> None:
    (tmp_path / "parts.csv").write_text(f"video,start,end,first,second\n{row}\n")
    line = refusal(1, "extract", tmp_path / "parts.csv", "--out", tmp_path / "out", *QUICK)
    for fact in facts:
        assert fact in line
