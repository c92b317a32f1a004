"""Score files."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.errors import ScoresError
from flowstream.scores import Scores, read_scores, write_scores


def scores(**changes: Any) -> Scores:
    values: dict[str, Any] = {
        "scores": np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]], np.float32),
        "labels": np.array([1, 0, -1]),
        "videos": ("down/a", "across/é b", "c"),
        "classes": ("across", "down"),
        "stream": "flow",
        "part": "test",
        "checkpoint": "0123",
    }
    return Scores(**{**values, **changes})


def test_written_values_are_read_back(tmp_path: Path) -> None:
    write_scores(tmp_path / "new" / "scores.npz", scores())
    read = read_scores(tmp_path / "new" / "scores.npz")
    assert read.scores.dtype == np.float32
    np.testing.assert_array_equal(read.scores, scores().scores)
    np.testing.assert_array_equal(read.labels, scores().labels)
    for name in ("videos", "classes", "stream", "part", "checkpoint"):
        assert getattr(read, name) == getattr(scores(), name)


def test_numpy_alone_reads_the_file(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.npz", scores())
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as archive:
        assert {"scores", "labels", "videos", "classes", "stream", "split"} <= set(archive.files)
        assert str(archive["split"]) == "test"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"videos": ("a", "b")}, r"got shape \(3, 2\), expected \(2, 2\)"),
        ({"classes": ("a", "b", "c")}, r"expected \(3, 3\)"),
        ({"labels": np.array([0, 1])}, "labels of shape"),
        ({"labels": np.array([0, 1, 2])}, "labels from 0 to 2, expected -1 to 1"),
        ({"scores": np.array([[2, -1]] * 3, np.float32)}, "expected probabilities"),
        ({"scores": np.array([[3, 1]] * 3, np.float32)}, "expected probabilities"),
        ({"scores": np.full((3, 2), np.nan, np.float32)}, "expected probabilities"),
    ],
)
def test_scores_that_are_not_probabilities_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        scores(**changes)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"scores": 1}), b"PK\x03\x04"])
def test_a_file_that_is_not_a_scores_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ScoresError, match=r"a\.npz: not a scores file"):
        read_scores(tmp_path / "a.npz")


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_scores(path, scores())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ScoresError, match="not a scores file, or a truncated one"):
        read_scores(path)


def test_another_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(ScoresError, match="not a scores file: no 'format' in it"):
        read_scores(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(ScoresError, match="not a scores file"):
        read_scores(tmp_path / "b.npy")


def test_another_format_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", format=np.array("flowstream.scores 2"))
    with pytest.raises(ScoresError, match=r"'flowstream.scores 2', expected 'flowstream.scores 1'"):
        read_scores(tmp_path / "a.npz")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match="cannot read the scores: No such file"):
        read_scores(tmp_path / "a.npz")


def test_a_failed_write_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    write_scores(path, scores())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ScoresError, match="cannot write the scores: No space left"):
        write_scores(path, scores(stream="rgb"))
    assert read_scores(path).stream == "flow"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]
