"""A linear SVM on the stacked scores of the streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import MissingDependencyError, ParameterError, ScoresError
from flowstream.fusion.align import align
from flowstream.fusion.fusion import FittedFusion, Fusion, check_may_learn
from flowstream.scores import Scores


@dataclass(frozen=True)
class SVM(Fusion):
    """Multi-class linear SVM on stacked L2-normalised scores.

    Simonyan & Zisserman 2014 (arXiv:1406.2199), section 5: 87.0 % on UCF101, split 1, where the
    average has 85.9. It needs videos that the streams were not trained on; a class without such
    videos gets its probability from the average.

    Parameters
    ----------
    strength : float
        C of the SVM: larger values fit the videos more closely.
    """

    name: ClassVar[str] = "svm"

    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ParameterError(f"strength: got {self.strength}, expected a number above 0")

    def fit(self, parts: Sequence[Scores]) -> FittedSVM:
        """Fit the SVM to these parts, which must not be test scores."""
        try:
            from sklearn.svm import LinearSVC
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "fusion 'svm' needs 'scikit-learn'; install it with: pip install "
                "'flowstream[train]'"
            ) from error
        aligned = align(parts)
        check_may_learn(self.name, aligned)
        labels = aligned[0].labels
        seen = np.unique(labels)
        if len(seen) < 2:
            raise ScoresError(
                f"fusion 'svm': got videos of {len(seen)} class, expected at least two to fit to"
            )
        stacked = np.stack([part.scores for part in aligned]).astype(np.float64)
        # one order of the videos, because the last digits of the solution depend on it
        order = np.argsort(aligned[0].videos)
        machine = LinearSVC(C=self.strength, random_state=0, max_iter=10_000)
        machine.fit(stack_features(stacked)[order], labels[order])
        weights, bias = machine.coef_, machine.intercept_
        if len(seen) == 2:  # one row that tells the second class from the first
            weights, bias = np.vstack([-weights, weights]), np.concatenate([-bias, bias])
        return FittedSVM(
            tuple(part.stream for part in aligned),
            aligned[0].part,
            classes=seen,
            weights=weights,
            bias=bias,
        )


@dataclass(frozen=True, eq=False)
class FittedSVM(FittedFusion):
    """Linear SVM with one row of weights for each class that it was fitted to."""

    classes: NDArray[np.integer]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the softmax (N, K) of the margins; unknown classes have their average."""
        margins = stack_features(scores) @ self.weights.T + self.bias
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        fused = scores.mean(axis=0)
        unknown = np.setdiff1d(np.arange(scores.shape[2]), self.classes)
        left = 1 - fused[:, unknown].sum(axis=1, keepdims=True)
        fused[:, self.classes] = left * powers / powers.sum(axis=1, keepdims=True)
        result: NDArray[np.float64] = fused
        return result

    def describe(self) -> Mapping[str, Any]:
        """Return the norm of the weights on each stream's scores."""
        parts = np.split(self.weights, len(self.streams), axis=1)
        norms = (float(np.linalg.norm(part)) for part in parts)
        return dict(zip(self.streams, norms, strict=True))


def stack_features(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features (N, streams K) of scores (streams, N, K), each stream with L2 norm 1."""
    lengths = np.linalg.norm(scores, axis=2, keepdims=True)
    features: NDArray[np.float64] = np.concatenate(
        list(scores / np.maximum(lengths, 1e-12)), axis=1
    )
    return features
