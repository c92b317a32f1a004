"""Regularised multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear classifier: scores = features @ weight.T + bias."""

    weight: Array
    """(K, D)"""
    bias: Array
    """(K,)"""

    def __call__(self, features: Array) -> Array:
        """Return the scores (N, K) of features (N, D)."""
        scores: Array = features @ self.weight.T + self.bias
        return scores


def fit_logistic(
    features: Array, labels: NDArray[np.int64], classes: int, *, cost: float
) -> Linear:
    """Minimise cost * sum of the log-losses + half the squared norm of the weights.

    The bias is not regularised. The problem is convex; L-BFGS solves it.

    Parameters
    ----------
    features : (N, D)
    labels : (N,)
    classes : int
        K; classes without videos get low scores.
    cost : float
        C in the notation of support vector machines and scikit-learn; larger values mean less
        regularisation.
    """
    inputs, targets = torch.from_numpy(features), torch.from_numpy(labels)
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=1000,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        scores = inputs @ weight.T + bias
        # divided by the cost and the number of videos, so that gradients have order 1 for all costs
        value = nn.functional.cross_entropy(scores, targets)
        value = value + weight.square().sum() / (2 * cost * len(targets))
        torch.autograd.backward(value)
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Linear(weight.detach().numpy(), bias.detach().numpy())


def rotate_features(features: Array) -> tuple[Array, Array]:
    """Return features (N, R) with R <= N, and the basis (R, D) that maps them back to D dimensions.

    Weights that minimise `fit_logistic` are in the span of the features of the videos. If there are
    more features than videos, the problem can therefore be solved in this span, and the solution is
    rotated back.
    """
    if features.shape[1] <= features.shape[0]:
        return features, np.eye(features.shape[1])
    values, vectors = np.linalg.eigh(features @ features.T)
    keep = values > values[-1] * 1e-10
    lengths = np.sqrt(values[keep])
    return vectors[:, keep] * lengths, (vectors[:, keep] / lengths).T @ features


def compute_log_loss(scores: Array, labels: NDArray[np.int64]) -> float:
    """Return the mean of -log of the softmax probability of each video's own class, in nats."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - own))


def fit_temperature(scores: Array, labels: NDArray[np.int64]) -> float:
    """Return the factor of the scores, from 1/16 to 16, that minimises the log-loss.

    The scores must come from held-out videos. They become calibrated probabilities (Guo et al.
    2017, arXiv:1706.04599, section 4.2; the factor is the inverse of their temperature).
    """
    factors = 2.0 ** np.linspace(-4, 4, 161)
    losses = [compute_log_loss(factor * scores, labels) for factor in factors]
    return float(factors[int(np.argmin(losses))])
