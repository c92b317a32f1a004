"""Training and scoring of one stream.

`flowstream.train.recipe.StreamRecipe` describes a stream, `flowstream.train.fit.fit` trains it,
`flowstream.train.predict.predict` scores the videos of a part, `flowstream.train.checkpoint` reads
and writes checkpoints.
"""

from __future__ import annotations

from flowstream.plugins import Plugins
from flowstream.train.trainer import Trainer

TRAINERS: Plugins[type[Trainer]] = Plugins(
    "trainer",
    {
        "gradient": "flowstream.train.gradient:GradientTrainer",
        "linear": "flowstream.train.linear:LinearTrainer",
        "multi_task": "flowstream.train.multi_task:MultiTaskTrainer",
    },
)
"""Trainers of a stream by name: `TRAINERS[name](**options).fit(recipe, split, out, ...)`."""

__all__ = ["TRAINERS", "Trainer"]
