"""Pretrained weights in files are looked at before the videos are."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torchvision.models.vision_transformer import VisionTransformer

from flowstream.errors import CheckpointError
from flowstream.recipe import build, load_recipe
from flowstream.stages import Recipe, run_stages, train_streams
from flowstream.stages.zoo import ZooRecipe, compare_models
from flowstream.train.checkpoint import load_checkpoint
from tests.command_line import call, refusal
from tests.stages.two_hues import write_two_hues

ROOT = Path(__file__).resolve().parents[2]
STREAMS = """
[streams.spatial]
stream = "rgb"
model = "single_frame"
frames = 1
size = 16
batch = 4
epochs = 1
options = {{ backbone = "small_cnn", pretrained = false }}
evaluation = {{ segments = 1, crops = 1 }}
[streams.temporal]
stream = "flow"
model = "video_transformer"
frames = 4
size = 16
batch = 4
epochs = 1
options = {{ patch = 8, width = 16, depth = 1, heads = 2, weights = "{folder}/vit.pt" }}
evaluation = {{ segments = 1, crops = 1 }}
"""


def transformer(**changes: int) -> dict[str, Any]:
    shape = {"image_size": 32, "patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 16}
    return dict(VisionTransformer(**{**shape, "mlp_dim": 64, **changes}).state_dict())


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Of two streams, the second from a 2D transformer that is there and fits."""
    torch.save(transformer(), tmp_path / "vit.pt")
    return write_two_hues(tmp_path, STREAMS)


def gone(weights: Path) -> None:
    weights.unlink()


def a_folder(weights: Path) -> None:
    weights.unlink()
    weights.mkdir()


def cut_off(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-200])


def nested(weights: Path) -> None:
    torch.save({"model": transformer()}, weights)


def a_list(weights: Path) -> None:
    torch.save(list(transformer().values()), weights)


def too_wide(weights: Path) -> None:
    torch.save(transformer(hidden_dim=32), weights)


def off_a_square(weights: Path) -> None:
    torch.save({**transformer(), "encoder.pos_embedding": torch.zeros(1, 16, 16)}, weights)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (gone, "neither a file nor one of torchvision's"),
        (a_folder, "got a directory, expected a file"),
        (cut_off, "not a file of weights, or a truncated one"),
        (nested, "'model' is a dict, expected tensors by name"),
        (a_list, "got a list, expected a dict of tensors"),
        (too_wide, "width: got 16, expected 32; set width = 32"),
        (off_a_square, "has 15 positions, expected a square"),
    ],
)
def test_training_is_refused_before_a_video_is_extracted(
    recipe: Path, damage: Callable[[Path], None], message: str
) -> None:
    weights = recipe.with_name("vit.pt")
    damage(weights)
    line = refusal(1, "train", recipe, "--quiet")
    assert line.startswith(f"Error: temporal: weights '{weights.as_posix()}': ")
    assert message in line
    assert not recipe.with_name("run").exists()


def test_a_wrong_number_of_heads_is_refused_before_a_video_is_extracted(recipe: Path) -> None:
    options = "streams.temporal.options="
    wide = '{ patch = 16, width = 768, depth = 1, heads = 3, weights = "vit_b_16" }'
    line = refusal(1, "train", recipe, "--quiet", "--set", options + wide)
    assert line.endswith("weights 'vit_b_16': heads: got 3, expected 12; set heads = 12")
    assert not recipe.with_name("run").exists()


def test_the_other_programs_refuse_before_they_begin(recipe: Path) -> None:
    """`train_two_stream.py` before its first stream, `zoo.py` before a video is rendered."""
    recipe.with_name("vit.pt").unlink()
    program = runpy.run_path(str(ROOT / "pipelines" / "train_two_stream.py"))["main"]
    done = CliRunner().invoke(program, [str(recipe)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: temporal: weights ")
    assert done.stderr.count("\n") == 1
    manifest = recipe.with_name("toy") / "manifest.csv"
    zoo = {
        "out": str(recipe.with_name("zoo")),
        "toy": {"directory": str(manifest.parent)},
        "extract": {"sources": [str(manifest)]},
        "split": {"layout": "manifest", "files": str(manifest)},
        "stream": {"stream": "rgb", "frames": 8, "size": 32},
        "models": {"c3d": {}, "video_transformer": {"options": {"weights": "gone.pt"}}},
    }
    with pytest.raises(
        CheckpointError, match=r"video_transformer: weights 'gone\.pt': got neither"
    ):
        compare_models(build(ZooRecipe, zoo, where="test"), progress=False)
    assert not manifest.parent.exists()


def test_a_started_run_does_not_need_the_weights_file(recipe: Path) -> None:
    assert call("train", recipe, "--quiet").exit_code == 0
    recipe.with_name("vit.pt").unlink()
    loaded = load_recipe(recipe, Recipe)
    again = run_stages(loaded, progress=False)
    assert set(again.measures) == {"spatial", "temporal", "fused"}
    # and a checkpoint is read where the file never was
    assert load_checkpoint(loaded.out / "temporal" / "best.pt").network().classes == 2
    for left in (loaded.out / "temporal").glob("*.pt"):
        left.unlink()
    with pytest.raises(CheckpointError, match="temporal: weights"):
        train_streams(loaded, progress=False)


def test_blocks_behind_no_part_are_refused_before_the_videos_are_extracted(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8").replace('"video_transformer"', '"nonlocal"')
    start = text.index("options = {", text.index('"nonlocal"'))
    end = text.index("\n", start)
    recipe.write_text(text[:start] + 'options = { behind = ["mops"] }' + text[end:])
    said = refusal(1, "train", recipe, "--quiet")
    assert "temporal: nonlocal: no part 'mops' in Conv3DNet. Did you mean 'maps'?" in said
    assert not (recipe.parent / "run").exists()
