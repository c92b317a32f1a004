"""A recipe's stages: what they refuse, what they skip, what they leave."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowstream.dataset import read_split
from flowstream.dataset.names import VideoNames
from flowstream.errors import ExtractionError, RecipeError, SplitError
from flowstream.recipe import build
from flowstream.scores import read_scores
from flowstream.stages import Recipe, extract_flow, run_stages, train_streams
from flowstream.stages.evaluation import evaluate_run
from flowstream.store import write_pack
from flowstream.train.track import compute_data_fingerprint
from tests.stages.two_hues import write_tiny_set

SMALL = {"backbone": "small_cnn", "pretrained": False}


def described(folder: Path, **changes: Any) -> dict[str, Any]:
    stream = {
        "options": SMALL,
        "size": 24,
        "epochs": 1,
        "batch": 4,
        "evaluation": {"segments": 2, "crops": 1},
    }
    return {
        "out": str(folder / "run"),
        "extract": {"sources": [str(folder / "videos" / "manifest.csv")], "method": "farneback"},
        "split": {"layout": "manifest", "files": str(folder / "videos" / "manifest.csv")},
        "streams": {
            "spatial": {"stream": "rgb", "model": "single_frame", "frames": 1, **stream},
            "temporal": {"stream": "flow", "model": "early_fusion", "frames": 4, **stream},
        },
        **changes,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tiny classes with their stacks."""
    folder = tmp_path_factory.mktemp("stages")
    write_tiny_set(folder / "videos", motions=2, frames=8)
    recipe = build(Recipe, described(folder), where="test")
    summary = extract_flow(recipe.extract, recipe.stack_directory, progress=False)
    assert len(summary.done) == 16
    return folder


def test_a_run_leaves_scores_checkpoints_and_a_report(folder: Path) -> None:
    recipe = build(Recipe, described(folder), where="test")
    result = train_streams(recipe, progress=False)
    assert set(result.measures) == {"spatial", "temporal", "fused"}
    assert result.most_frequent == 1 / 4
    assert sum(result.weights.values()) == pytest.approx(1)
    for name in ("spatial", "temporal"):
        assert (recipe.out / name / "best.pt").exists()
        assert read_scores(recipe.out / name / "scores.npz").stream == name
        assert read_scores(recipe.out / name / "scores-validation.npz").part == "validation"
    assert read_scores(recipe.out / "fused" / "scores.npz").stream == "fused"
    page = result.report.read_text(encoding="utf-8")
    assert page.startswith("<!")
    # what differs from the defaults, and nothing else
    table = page.partition("differ from their defaults")[2].partition("</table>")[0]
    assert "extract.method</td><td>farneback</td>" in table
    assert "extract.codec" not in table
    # one epoch of tiny networks leaves misclassified videos, each with its picture and page
    shown = set(re.findall(r'href="(clips/[^"]+)"', page))
    assert shown
    assert page.count("data:image/webp") == len(shown)
    for address in shown:
        clip = (result.report.parent / address).read_text(encoding="utf-8")
        assert 'href="../report.html"' in clip


def test_a_single_stream_is_reported_without_fusion(folder: Path) -> None:
    recipe = build(Recipe, described(folder, out=str(folder / "single")), where="test")
    recipe = replace(
        recipe, streams={"spatial": recipe.streams["spatial"]}, stacks=folder / "run" / "stacks"
    )
    result = train_streams(recipe, progress=False)
    assert set(result.measures) == {"spatial"}
    assert not (recipe.out / "fused").exists()


def test_scores_of_another_checkpoint_are_computed_again(folder: Path) -> None:
    values = described(folder, out=str(folder / "twice"), stacks=str(folder / "run" / "stacks"))
    recipe = build(Recipe, values, where="test")
    train_streams(recipe, progress=False)
    stale = read_scores(recipe.out / "temporal" / "scores.npz").checkpoint
    other = replace(recipe.streams["temporal"], seed=5)
    for left in (recipe.out / "temporal").glob("*.pt"):
        left.unlink()
    train_streams(replace(recipe, streams={**recipe.streams, "temporal": other}), progress=False)
    assert read_scores(recipe.out / "temporal" / "scores.npz").checkpoint != stale


def test_a_failed_video_stops_before_training_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    values = described(tmp_path)
    values["extract"]["sources"] = [str(tmp_path / "videos")]
    recipe = build(Recipe, values, where="test")
    with pytest.raises(ExtractionError, match=r"1 videos? failed, the first: .*bad\.mp4"):
        extract_flow(recipe.extract, recipe.stack_directory, progress=False)


def test_a_split_without_test_videos_is_refused(folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    lines = (folder / "videos" / "manifest.csv").read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if not line.endswith(",test")))
    values = described(folder, split={"layout": "manifest", "files": str(manifest)})
    with pytest.raises(SplitError, match="no test video"):
        train_streams(build(Recipe, values, where="test"), progress=False)


def test_one_class_alone_is_refused(folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    lines = (folder / "videos" / "manifest.csv").read_text(encoding="utf-8").splitlines()
    manifest.write_text("\n".join([lines[0], *(x for x in lines if "red_left," in x)]) + "\n")
    split = {"layout": "manifest", "files": str(manifest)}
    changes = {"out": str(tmp_path / "run"), "stacks": str(folder / "run" / "stacks")}
    recipe = build(Recipe, described(folder, split=split, **changes), where="test")
    with pytest.raises(SplitError, match=r"videos of one class only \('red_left'\)"):
        train_streams(recipe, progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {}}, "streams: got none"),
        ({"fusion": {"methd": "average"}}, "methd: unknown key.*Did you mean 'method'"),
        ({"streams": {"report": None}}, "streams"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Recipe, described(tmp_path, **change), where="test")


def test_an_unknown_parameter_of_the_method_is_refused_with_the_nearest(tmp_path: Path) -> None:
    extract = {"sources": ["x"], "method": "dis", "parameters": {"preset_": "fast"}}
    recipe = build(Recipe, described(tmp_path, extract=extract), where="test")
    with pytest.raises(RecipeError, match="Did you mean 'preset'"):
        recipe.extract.settings()


def test_a_pack_replaces_the_directory_of_stacks(folder: Path, tmp_path: Path) -> None:
    trained = build(Recipe, described(folder), where="test")
    names = VideoNames(trained.stack_directory)
    stacks = {f"{name}.h5": names[name] for name in names}
    write_pack(stacks, tmp_path / "pk.h5")
    changes = {"out": str(tmp_path / "run"), "stacks": str(tmp_path / "pk.h5")}
    recipe = build(Recipe, described(folder, **changes), where="test")
    recipe = replace(recipe, streams={"spatial": recipe.streams["spatial"]})
    result = run_stages(recipe, progress=False)
    assert "cannot be read" not in result.report.read_text(encoding="utf-8")
    splits = [read_split(one.split, one.stack_directory) for one in (trained, recipe)]
    assert compute_data_fingerprint(splits[0]) == compute_data_fingerprint(splits[1])
    scores = evaluate_run(recipe, progress=False).scores["spatial"]
    assert (scores.scores == result.scores["spatial"].scores).all()
    lost = stacks.popitem()[0].removesuffix(".h5")
    write_pack(stacks, tmp_path / "pk.h5")
    with pytest.raises(ExtractionError, match=rf"1 of 16 videos have no stack .*{lost}.*--no-ext"):
        run_stages(recipe, progress=False)
