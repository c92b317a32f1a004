"""Scores of the moments of a video: of one clip around each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from flowstream.train.checkpoint import Checkpoint


def score_moments(
    checkpoint: Checkpoint,
    stack: Path,
    fields: Sequence[int],
    *,
    section: int,
    device: torch.device,
) -> NDArray[np.float32]:
    """Return the probabilities (M, K) of the clips around some fields.

    Parameters
    ----------
    checkpoint : Checkpoint
    stack : Path
    fields : sequence of M int
    section : int
        Number of fields around a moment over which a clip is spread, for streams whose clips are
        spread over the whole video in training.
    device : torch.device
    """
    import torch

    from flowstream.dataset.split import Sample
    from flowstream.dataset.transforms import apply
    from flowstream.store import open_stack
    from flowstream.train.clips import viewed_clips
    from flowstream.train.evaluation import Evaluation
    from flowstream.train.predict import load_network
    from flowstream.train.scorer import Scorer

    recipe = replace(checkpoint.recipe, workers=0)
    sample = Sample(stack.stem, 0, stack.stem, stack)
    clips = viewed_clips(recipe, [sample], Evaluation(segments=1, crops=1))
    scorer = Scorer(load_network(checkpoint, clips).to(device)).eval()
    span = clips.window.span
    if clips.window.sampling == "spread":
        span = max(section, clips.window.run)
        clips.window = replace(clips.window, section=span)
    with open_stack(stack) as opened:
        last = max(0, opened.num_fields - span)
    rows = []
    generator = np.random.default_rng(0)
    for field in fields:
        start = min(max(0, field - span // 2), last)
        inputs: dict[str, torch.Tensor] = {}
        for key in clips.inputs:
            (clip,) = apply(clips.transform, clips.read(0, key, start), generator)
            inputs[key] = torch.from_numpy(np.ascontiguousarray(clip.values))[None].to(device)
        with torch.inference_mode():
            rows.append(scorer(inputs).float().softmax(dim=1)[0].cpu().numpy())
    return np.stack(rows)
