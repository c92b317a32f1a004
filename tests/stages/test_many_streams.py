"""Any number of streams, each with its own model, schedule and seed, are trained and fused."""

from __future__ import annotations

import json
from pathlib import Path

from flowstream.recipe import load_recipe
from flowstream.scores import read_scores
from flowstream.stages import Recipe, run_stages
from tests.stages.two_hues import write_two_hues

SHARED = """size = 24
batch = 4
options = {{ backbone = "small_cnn", pretrained = false }}
evaluation = {{ segments = 1, crops = 1 }}
"""
STREAMS = f"""
[streams.frames]
stream = "rgb"
model = "single_frame"
frames = 1
epochs = 1
seed = 1
{SHARED}
[streams.changes]
stream = "rgb_difference"
model = "late_fusion_pool"
frames = 3
epochs = 2
seed = 2
optimiser = "adamw"
{SHARED}
[streams.motion]
stream = "flow"
model = "early_fusion"
frames = 4
epochs = 3
seed = 3
channels = ["magnitude", "strain"]
schedule = "step"
milestones = [2]
{SHARED}
[fusion]
method = "average"
"""


def test_three_streams_keep_their_own_settings(tmp_path: Path) -> None:
    recipe = load_recipe(write_two_hues(tmp_path, STREAMS), Recipe)
    result = run_stages(recipe, progress=False)
    assert list(result.measures) == ["frames", "changes", "motion", "fused"]
    for number, name in enumerate(recipe.streams, start=1):
        record = json.loads((recipe.out / name / "run.json").read_text())
        assert record["seed"] == number
        assert len((recipe.out / name / "log.csv").read_text().splitlines()) == 1 + number
    parts = [read_scores(recipe.out / name / "scores.npz").scores for name in recipe.streams]
    fused = read_scores(recipe.out / "fused" / "scores.npz").scores
    assert abs(fused - sum(parts) / 3).max() < 1e-6  # float32
