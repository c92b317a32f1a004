"""Running average of the weights of a network."""

from __future__ import annotations

import copy
from typing import Any

import torch

from flowstream.models.model import Classifier


class WeightAverage:
    """Exponential moving average of the weights of a network.

    The decay grows with the number of steps up to its limit, so that the average soon no longer
    depends on the random initial weights (as in Tarvainen & Valpola 2017, arXiv:1703.01780).

    Parameters
    ----------
    model : Classifier
        Network that is trained.
    decay : float
        Limit of the decay per step.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Classifier) -> None:
        """Add the weights after a step to the average; integer buffers are copied."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        current = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])

    def state_dict(self) -> dict[str, Any]:
        """Return the state for continuing a run, on the CPU."""
        weights = {name: value.cpu() for name, value in self.model.state_dict().items()}
        return {"weights": weights, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.model.load_state_dict(state["weights"])
        self.steps = state["steps"]
