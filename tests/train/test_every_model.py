"""Every model of the table goes through the same training stage."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flowstream.dataset.split import Split
from flowstream.fusion import FUSIONS
from flowstream.models import MODELS
from flowstream.train.evaluation import Evaluation
from flowstream.train.fit import fit
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe
from tests.tiny_models import tiny_options

# Torchvision's video networks have millions of parameters, which are saved after each epoch: one
# stream each is enough for them, and as few epochs as lower the loss.
LARGE = {
    "mc3_18": ("rgb", 2),
    "mvit_v2_s": ("flow", 2),
    "r2plus1d_18": ("rgb", 3),
    "r3d_18": ("flow", 2),
    "s3d": ("rgb", 3),
    "swin3d_t": ("flow", 2),
}
CASES = [
    (name, stream)
    for name, model in MODELS.items()
    for stream in (("both",) if len(model.streams) > 1 else ("rgb", "flow"))
    if name not in LARGE or LARGE[name][0] == stream
]


@pytest.mark.parametrize(("name", "stream"), CASES)
def test_it_learns_its_clips_and_its_scores_can_be_fused_with_any_others(
    name: str, stream: str, long_split: Split, tmp_path: Path
) -> None:
    options = {**tiny_options(name), "dropout": 0.0}
    model = MODELS[name](**options)
    frames, rows, columns = model.min_clip
    recipe = StreamRecipe(
        stream=stream,
        model=name,
        options=options,
        frames=max(4, frames),
        size=max(16, rows, columns),
        fixed_clips=True,
        batch=4,
        epochs=9,
        optimiser="adamw",
        learning_rate=1e-2,
        warm_up=1.0,
        evaluation=Evaluation(segments=2, crops=1),
        workers=0,
    )
    if name in LARGE:
        epochs = LARGE[name][1]
        recipe = replace(recipe, learning_rate=3e-4, epochs=epochs, warm_up=epochs - 2.0)
    best = fit(recipe, long_split, tmp_path, device="cpu", progress=False)
    with (tmp_path / "log.csv").open(encoding="utf-8", newline="") as rows_of_log:
        losses = [float(row["train_loss"]) for row in csv.DictReader(rows_of_log)]
    # A few steps on the same four clips: less than the first loss, if no more.
    assert min(losses[-2:]) < 0.95 * losses[0]
    scores = predict(best, long_split, "test", device="cpu", progress=False)
    other = replace(scores, stream="other", scores=scores.scores[:, ::-1].copy())
    fused = FUSIONS["average"]().fit([scores, other])([scores, other])
    np.testing.assert_allclose(fused.scores, 0.5, atol=1e-6)  # p and 1 - p
