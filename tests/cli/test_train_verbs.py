"""The verbs around training: repeats, other protocols, fusion, the list of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.scores import read_scores
from flowstream.video import probe
from tests.command_line import call, data, output, refusal
from tests.stages.two_hues import write_tiny_set

RECIPE = """
out = "{folder}/run"
stacks = "{folder}/stacks"
[extract]
sources = ["{folder}/videos/manifest.csv"]
method = "farneback"
jobs = 1
[split]
layout = "manifest"
files = "{folder}/videos/manifest.csv"
[streams.spatial]
stream = "rgb"
model = "single_frame"
frames = 1
{rest}
[streams.temporal]
stream = "flow"
model = "early_fusion"
frames = 4
{rest}
"""
REST = """options = {{ backbone = "small_cnn", pretrained = false }}
size = 24
epochs = 1
batch = 4
evaluation = {{ segments = 2, crops = 1 }}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of six videos, trained on once."""
    folder = tmp_path_factory.mktemp("verbs")
    write_tiny_set(folder / "videos", train=3, test=2)
    text = RECIPE.replace("{rest}", REST.replace("{{", "{").replace("}}", "}"))
    (folder / "recipe.toml").write_text(text.replace("{folder}", folder.as_posix()))
    output("train", folder / "recipe.toml", "--quiet")
    return folder


def test_training_prints_every_stream_with_its_measures(folder: Path) -> None:
    found = data("train", folder / "recipe.toml", "--quiet")
    assert set(found["measures"]) == {"spatial", "temporal", "fused"}
    assert {"top1", "low", "high", "uar", "uf1"} <= set(found["measures"]["fused"])
    text = output("train", folder / "recipe.toml", "--quiet")
    assert "most frequent class: 0.500" in text


def test_folds_test_every_video_once(folder: Path) -> None:
    found = data("train", folder / "recipe.toml", "--folds", "3", "--quiet")
    assert set(found["repeats"]) == {"fold-1", "fold-2", "fold-3"}
    assert set(found["summary"]["fused"]) == {"top1", "uar", "uf1"}
    assert np.sum(found["pooled"]["fused"]["confusion"]) == 12
    pooled = read_scores(folder / "run" / "pooled" / "fused" / "scores.npz")
    assert len(set(pooled.videos)) == 12
    again = json.loads((folder / "run" / "repeats.json").read_text())
    assert again == found
    text = output("train", folder / "recipe.toml", "--folds", "3", "--quiet")
    assert "classes (rows) and predictions (columns) of fused" in text
    # the report of the run itself is another one
    assert (folder / "run" / "pooled" / "report" / "report.html").exists()
    assert "pooled" not in output("train", folder / "recipe.toml", "--quiet")


def test_seeds_are_summed_up_by_mean_and_spread(folder: Path) -> None:
    arguments = ("train", folder / "recipe.toml", "--seeds", "0-1", "--quiet")
    text = output(*arguments)
    assert "seed-0" in text
    assert "seed-1" in text
    assert "±" in text
    found = data(*arguments)
    values = [found["repeats"][name]["spatial"] for name in ("seed-0", "seed-1")]
    assert found["summary"]["spatial"]["top1"]["mean"] == pytest.approx(np.mean(values))
    assert found["summary"]["spatial"]["top1"]["std"] == pytest.approx(np.std(values, ddof=1))


def test_two_kinds_of_repetition_are_refused(folder: Path) -> None:
    line = refusal(1, "train", folder / "recipe.toml", "--folds", "2", "--seeds", "1", "--quiet")
    assert "expected one" in line
    assert call("train", folder / "recipe.toml", "--seeds", "x").exit_code == 2


def test_another_protocol_does_not_change_the_run(folder: Path) -> None:
    run = folder / "run"
    before = (run / "spatial" / "scores.npz").read_bytes()
    report = (run / "report" / "report.json").read_bytes()
    found = data("evaluate", run, "--segments", "3", "--crops", "5", "--quiet")
    (one,) = found.values()
    assert one["protocol"] == "3x5 probabilities"
    scores = read_scores(one["files"]["temporal"])
    assert scores.protocol == "3x5 probabilities"
    assert (run / "spatial" / "scores.npz").read_bytes() == before
    assert (run / "report" / "report.json").read_bytes() == report


def test_a_checkpoint_is_evaluated_on_any_part_over_whole_frames(folder: Path) -> None:
    best = folder / "run" / "spatial" / "best.pt"
    found = data("evaluate", best, "--crops", "full", "--part", "train", "--quiet")
    (one,) = found.values()
    assert set(one["measures"]) == {"spatial"}
    assert one["measures"]["spatial"]["total"] == 6
    assert "2xfull" in output("evaluate", best, "--crops", "full", "--quiet")


def test_a_protocol_that_does_not_exist_is_refused(folder: Path) -> None:
    assert "crops: got 4" in refusal(1, "evaluate", folder / "run", "--crops", "4", "--quiet")
    assert "not the directory of a run" in refusal(1, "evaluate", folder, "--quiet")


def scores_of(folder: Path) -> list[Path]:
    return [folder / "run" / name / "scores.npz" for name in ("spatial", "temporal")]


def test_scores_are_fused_by_any_method_without_touching_the_run(
    folder: Path, tmp_path: Path
) -> None:
    before = (folder / "run" / "fused" / "scores.npz").read_bytes()
    for method in ("average", "weighted", "svm", "rank", "product", "logit_sum"):
        found: dict[str, Any] = data("fuse", *scores_of(folder), "--method", method)
        assert set(found["measures"]) == {"spatial", "temporal", "fused"}
    given = data("fuse", *scores_of(folder), "--weights", "1,3", "-o", tmp_path / "fused.npz")
    assert given["fitted"] == {"spatial": 0.25, "temporal": 0.75}
    assert read_scores(tmp_path / "fused.npz").stream == "fused"
    assert (folder / "run" / "fused" / "scores.npz").read_bytes() == before


def test_the_weight_curve_ends_at_each_stream_alone(folder: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curve.svg"
    found = data("fuse", *scores_of(folder), "--plot", plot)
    measures, curve = found["measures"], found["curve"]
    assert curve[0] == [0.0, measures["spatial"]["top1"]]
    assert curve[-1] == [1.0, measures["temporal"]["top1"]]
    assert plot.read_text().startswith("<svg")
    assert "weight of temporal" in output("fuse", *scores_of(folder))


def test_fused_scores_are_not_fused_again(folder: Path) -> None:
    every = sorted((folder / "run").glob("*/scores.npz"))
    assert len(every) == 3
    result = call("fuse", *every, "--method", "average")
    assert "fused/scores.npz: left out" in result.stderr.replace("\\", "/")
    assert result.stdout == output("fuse", *scores_of(folder), "--method", "average")


def test_one_stream_is_nothing_to_fuse(folder: Path) -> None:
    assert "at least two" in refusal(1, "fuse", scores_of(folder)[0])
    assert "--weights" in refusal(1, "fuse", *scores_of(folder), "--weights", "a,b")


def test_runs_are_listed_with_epochs_and_accuracy(folder: Path) -> None:
    (run,) = [
        one for one in json.loads(output("runs", folder, "--json")) if one["path"].endswith("/run")
    ]
    assert run["epochs"] == {"spatial": "1/1", "temporal": "1/1"}
    assert set(run["top1"]) == {"spatial", "temporal", "fused"}
    assert "spatial 1/1" in output("runs", folder)


def test_more_epochs_continue_all_streams(folder: Path) -> None:
    others = ("--set", f"out='{folder / 'longer'}'", "--quiet")
    output("train", folder / "recipe.toml", *others)
    output("train", folder / "recipe.toml", *others, "--epochs", "2")
    for name in ("spatial", "temporal"):
        log = (folder / "longer" / name / "log.csv").read_text().splitlines()
        assert [line.partition(",")[0] for line in log] == ["epoch", "1", "2"]
    line = refusal(1, "train", folder / "recipe.toml", *others)
    assert "set epochs = 2" in line


def test_a_few_videos_can_be_memorised(folder: Path) -> None:
    text = output(
        "train",
        folder / "recipe.toml",
        "--overfit",
        "2",
        "--quiet",
        "--set",
        "streams.spatial.learning_rate=0.02",
        "--set",
        "streams.spatial.optimiser=adamw",
    )
    row = next(line for line in text.splitlines() if line.startswith("spatial"))
    assert row.split()[-1] == "1.000"
    found = data("train", folder / "recipe.toml", "--overfit", "2", "--quiet")
    assert found["temporal"]["videos"] == 2
    line = refusal(2, "train", folder / "recipe.toml", "--overfit", "2", "--seeds", "1")
    assert "leave out --seeds" in line


def test_a_learning_rate_is_suggested(folder: Path) -> None:
    text = output("train", folder / "recipe.toml", "--find-lr", "--quiet")
    assert "--set streams.temporal.learning_rate=" in text


def test_only_streams_that_depend_on_a_change_are_trained_again(folder: Path) -> None:
    run = folder / "run"
    changes = ("--set", "extract.method=dis", "--set", f"stacks='{folder / 'others'}'", "--quiet")
    line = refusal(1, "train", folder / "recipe.toml", *changes)
    assert "flow stream" in line
    before = (run / "spatial" / "best.pt").read_bytes()
    output("train", folder / "recipe.toml", *changes, "--retrain")
    assert (run / "spatial" / "best.pt").read_bytes() == before
    assert len(list(run.glob("temporal.before-*"))) == 1
    output("train", folder / "recipe.toml", "--quiet", "--retrain")


def videos_of(folder: Path) -> list[Path]:
    return sorted((folder / "videos").rglob("*.mp4"))


def test_new_videos_are_predicted_with_the_flow_of_training(folder: Path, tmp_path: Path) -> None:
    scores = read_scores(folder / "run" / "temporal" / "scores.npz")
    (video,) = [path for path in videos_of(folder) if path.with_suffix("").match(scores.videos[0])]
    stacks = tmp_path / "stacks"
    (one,) = json.loads(
        output(
            "predict", video, "--run", folder / "run", "--every", "100ms", "--stacks", stacks,
            "--json", "--quiet",
        )
    )  # fmt: skip
    assert sum(entry["probability"] for entry in one["top"]) == pytest.approx(1, abs=1e-5)
    assert set(one["streams"]) == {"spatial", "temporal"}
    assert [moment["seconds"] for moment in one["over_time"]] == pytest.approx([0, 0.1, 0.2])
    # the probabilities of the run itself, for the same video
    found = {entry["class"]: entry["probability"] for entry in one["streams"]["temporal"]}
    assert [found[name] for name in scores.classes] == pytest.approx(
        scores.scores[0].tolist(), abs=1e-4
    )


def test_a_directory_is_predicted_as_csv_and_films(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for video in videos_of(folder)[:2]:
        (few / video.name).write_bytes(video.read_bytes())
    text = output(
        "predict", few, "--run", folder / "run", "--stream", "spatial", "--top", "1", "--csv",
        "--film", tmp_path / "films", "--quiet",
    )  # fmt: skip
    lines = text.splitlines()
    assert lines[0] == "video,seconds,rank,class,probability"
    assert len({line.split(",")[0] for line in lines[1:]}) == 2
    films = sorted((tmp_path / "films").iterdir())
    assert [film.stem for film in films] == sorted(path.stem for path in few.iterdir())
    info = probe(films[0])
    assert (info.rows, info.columns) == (32, 32)


def test_films_of_videos_with_one_name_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    for name, video in zip(("a", "b"), videos_of(folder), strict=False):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / "videos" / name / "clip.mp4").write_bytes(video.read_bytes())
    output(
        "predict", tmp_path / "videos", "--run", folder / "run", "--stream", "spatial",
        "--film", tmp_path / "films", "--quiet",
    )  # fmt: skip
    films = {
        str(path.relative_to(tmp_path / "films")) for path in (tmp_path / "films").rglob("*.mp4")
    }
    assert films == {"a/clip.mp4", "b/clip.mp4"}


def test_a_bad_video_is_named_and_the_others_are_predicted(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    result = call("predict", videos_of(folder)[0], bad, "--run", folder / "run", "--quiet")
    assert result.exit_code == 1
    assert videos_of(folder)[0].name in result.stdout
    assert "1 of 2 videos failed" in result.stderr
    assert "bad.mp4" in result.stderr


def test_a_stream_given_by_a_url_is_recorded_first(folder: Path) -> None:
    urls = [video.as_uri() for video in videos_of(folder)[:2]]
    found = json.loads(
        output("predict", *urls, "--seconds", "0.2", "--run", folder / "run", "--json", "--quiet")
    )
    assert [one["video"] for one in found] == urls
    assert "cannot open" in refusal(1, "predict", "file:///no/such", "--run", folder / "run")


def test_a_time_that_is_none_is_a_usage_error(folder: Path) -> None:
    assert "1s or 500ms" in refusal(2, "predict", "x", "--run", folder / "run", "--every", "soon")
