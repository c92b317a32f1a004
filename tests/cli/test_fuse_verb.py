"""`flowstream fuse` without a run: the scores that it is fitted on."""

from __future__ import annotations

from pathlib import Path

from flowstream.scores import write_scores
from tests.command_line import data
from tests.test_fusion import scores_of as make_scores


def test_fuse_fits_on_cross_validated_scores_if_there_are_none_of_validation(
    tmp_path: Path,
) -> None:
    files = []
    for stream, strength in (("spatial", 0.9), ("temporal", 0.5)):
        rows = [[strength, 1 - strength, 0.0]] * 12
        for name, part in (("scores", "test"), ("scores-held-out", "train")):
            path = tmp_path / stream / f"{name}.npz"
            write_scores(
                path, make_scores(stream if part == "test" else "flow", rows, [0] * 12, part=part)
            )
        files.append(tmp_path / stream / "scores.npz")
    for method in ("weighted", "log_linear", "average"):
        found = data("fuse", *files, "--method", method)
        assert set(found["measures"]) == {"spatial", "temporal", "fused"}
        assert found["fitted_on"] == "train"
