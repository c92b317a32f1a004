"""Runs side by side: their accuracies, tests, recipes and clips."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.report.cards import describe_prediction, is_correct, select_clips
from flowstream.report.facts import Difference
from flowstream.report.runs import Run, build_page, read_run
from flowstream.scores import Scores, write_scores
from tests.command_line import output, refusal
from tests.small_stack import make_stack

CLASSES = ("left", "right")
VIDEOS = tuple(f"{CLASSES[i % 2]}/clip{i}" for i in range(8))


def scores(right: str, *, stream: str) -> Scores:
    """Return scores that are correct where `right` has a 1; later videos are more certain."""
    labels = np.arange(8) % 2
    sure = 0.6 + 0.04 * np.arange(8)
    values = np.zeros((8, 2), np.float32)
    given = np.where([letter == "1" for letter in right], labels, 1 - labels)
    values[np.arange(8), given] = sure
    values[np.arange(8), 1 - given] = 1 - sure
    return Scores(
        scores=values, labels=labels, videos=VIDEOS, classes=CLASSES, stream=stream, part="test"
    )


def make_run(path: Path, *, fused: str, **recipe: Any) -> Path:
    """Write the files of a complete run whose first stream knows the first four videos."""
    parts = {
        "spatial": scores("11110000", stream="spatial"),
        "temporal": scores("00001111", stream="temporal"),
        "fused": scores(fused, stream="fused"),
    }
    for name, part in parts.items():
        (path / name).mkdir(parents=True)
        write_scores(path / name / "scores.npz", part)
    (path / "report").mkdir()
    report = {"streams": {"spatial": {}, "temporal": {}}, "fused": {"top1": 1}}
    (path / "report" / "report.json").write_text(json.dumps(report))
    values = {"extract": {"method": "tvl1"}, "stacks": str(path / "stacks"), **recipe}
    (path / "recipe.json").write_text(json.dumps(values))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "one", fused="11111100")


def test_rescued_clips_and_failures_are_the_most_certain_ones(run: Path) -> None:
    found = read_run(run, name="one")
    rescued, failures = select_clips(found.scores, most=10)
    assert rescued == [VIDEOS[5], VIDEOS[4]]
    assert failures == [VIDEOS[7], VIDEOS[6]]
    assert select_clips(found.scores, most=1) == ([VIDEOS[5]], [VIDEOS[7]])
    assert describe_prediction(found.main, VIDEOS[7]) == "right → left (88\N{NO-BREAK SPACE}%)"
    assert describe_prediction(found.main, VIDEOS[0]) == "left (60\N{NO-BREAK SPACE}%)"
    assert is_correct(found.main, VIDEOS[::-1]).tolist() == [False] * 2 + [True] * 6


def test_a_single_stream_rescues_nothing(run: Path) -> None:
    found = read_run(run, name="one")
    alone = {"spatial": found.scores["spatial"]}
    rescued, failures = select_clips(alone, most=2)
    assert rescued == []
    assert failures == [VIDEOS[7], VIDEOS[6]]


def change(run: Run, **values: str) -> Run:
    """Return a run with settings that are not the default, which is always 0."""
    differences = [Difference(name, value, "0") for name, value in values.items()]
    return dataclasses.replace(run, differences=differences)


def test_the_page_compares_runs_by_mcnemar_and_by_what_differs(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", fused="00000000")
    found = [
        change(read_run(run, name="one"), epochs="7"),
        change(read_run(other, name="other"), epochs="7", seed="8"),
    ]
    page = build_page(found)
    assert "2 runs compared" in page
    # six videos that only the first run classifies correctly: 2 / 2^6
    assert "0.031" in page
    # the seed, which differs between the runs, comes first
    assert 0 < page.index(">seed<") < page.index(">epochs<")
    assert "http" not in page.replace("http-equiv", "")


def test_names_are_escaped(run: Path) -> None:
    found = change(read_run(run, name="<b>"), **{"<b>": "<b>"})
    assert "<b>" not in build_page([found]).partition("</style>")[2]


def test_report_writes_thumbnails_and_pages_of_clips(run: Path) -> None:
    for index in range(4, 8):
        make_stack(run / "stacks" / f"{VIDEOS[index]}.h5")
    out = output("report", run, "--clips", "1", "--pages").strip()
    assert out == str(run / "report" / "runs.html")
    page = Path(out).read_text(encoding="utf-8")
    assert page.count("data:image/webp") == 2
    pages = sorted((run / "report" / "clips").iterdir())
    assert [path.name for path in pages] == ["right_clip5.html", "right_clip7.html"]
    assert all(f"clips/{path.name}" in page for path in pages)


def test_clips_without_readable_stacks_are_named(run: Path) -> None:
    broken = run / "stacks" / f"{VIDEOS[6]}.h5"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no stack")
    page = Path(output("report", run).strip()).read_text(encoding="utf-8")
    assert "data:image/webp" not in page
    assert VIDEOS[7].rpartition("/")[2] in page.replace("<wbr>", "")
    assert page.count("its stack cannot be read") == 1


def test_a_directory_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    assert "flowstream train" in refusal(1, "report", tmp_path)
