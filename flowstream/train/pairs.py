"""Models of RGB and flow together, on the one array in which their clips come."""

from __future__ import annotations

from torch import Tensor, nn

from flowstream.models.model import Classifier, PairClassifier


class PairScorer(nn.Module):
    """A model of both streams, on pairs as `flowstream.dataset.paired` packs them."""

    def __init__(self, model: PairClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, pairs: Tensor) -> Tensor:
        """(N, K) scores of `(N, 3 + 2L, 1, H, W)` pairs."""
        rgb, stack = pairs[:, :3], pairs[:, 3:, 0]
        fields = stack.reshape(len(stack), -1, 2, *stack.shape[2:])  # (N, L, 2, H, W)
        scores: Tensor = self.model(rgb, fields.transpose(1, 2))
        return scores


def scorer_of(model: Classifier) -> nn.Module:
    """What scores the clips of a recipe with the model: itself, or with pairs taken apart."""
    return PairScorer(model) if isinstance(model, PairClassifier) else model
