"""What each way of fusing is for: logits, ranks, and an SVM that learns whom to trust."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from flowstream.errors import ScoresError
from flowstream.fusion import FUSIONS
from flowstream.fusion.log_linear import compute_error
from flowstream.scores import Scores
from tests.test_fusion import fused, random_pair, scores_of, seeds


@pytest.mark.parametrize(
    "name", ["average", "weighted", "log_linear", "logit_sum", "product", "rank"]
)
@given(seed=seeds)
def test_streams_that_agree_on_the_class_keep_it(name: str, seed: int) -> None:
    rgb, _ = random_pair(seed)
    plain = FUSIONS["average"]().fit([rgb, replace(rgb, stream="flow")])
    fusion = FUSIONS[name]().fit([rgb, replace(rgb, stream="flow")])
    parts = [rgb, replace(rgb, stream="flow")]
    assert np.array_equal(fusion(parts).scores.argmax(1), plain(parts).scores.argmax(1))


def test_logits_are_added() -> None:
    rgb = scores_of("rgb", [[0.8, 0.1, 0.1]], [0])
    flow = scores_of("flow", [[0.2, 0.6, 0.2]], [0])
    expected = np.array([0.16, 0.06, 0.02]) / 0.24  # products, for exp(a + b) = exp(a) exp(b)
    assert np.allclose(fused(FUSIONS["logit_sum"](), rgb, flow).scores[0], expected, atol=1e-6)


def test_ranks_ignore_how_sure_a_stream_is() -> None:
    sure = scores_of("rgb", [[0.0, 0.999, 0.001]], [0])
    flow = scores_of("flow", [[0.5, 0.2, 0.3]], [0])
    other = scores_of("audio", [[0.4, 0.35, 0.25]], [0])
    ranks = FUSIONS["rank"]().fit([sure, flow, other])
    mean = FUSIONS["average"]().fit([sure, flow, other])
    assert mean([sure, flow, other]).scores[0].argmax() == 1
    assert ranks([sure, flow, other]).scores[0].argmax() == 0


def test_the_svm_learns_which_stream_to_trust_for_which_class() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    good = np.full((60, 3), 0.3) + 0.1 * np.eye(3)[labels]
    noise = random.dirichlet([0.3] * 3, size=60)  # sure of itself, and wrong
    parts = [scores_of("rgb", good, labels), scores_of("flow", noise, labels)]
    average, svm = (FUSIONS[name]().fit(parts)(parts).scores for name in ("average", "svm"))
    assert (average.argmax(1) == labels).mean() < 0.7
    assert (svm.argmax(1) == labels).mean() == 1


def test_the_svm_is_refused_test_scores_and_a_single_class() -> None:
    rgb, flow = random_pair(3)
    with pytest.raises(ScoresError, match="got test scores"):
        FUSIONS["svm"]().fit([replace(part, part="test") for part in (rgb, flow)])
    one = [replace(part, labels=np.zeros_like(part.labels)) for part in (rgb, flow)]
    with pytest.raises(ScoresError, match="1 class, expected at least two"):
        FUSIONS["svm"]().fit(one)


def test_log_linear_exponents_calibrate_and_silence_a_stream_of_noise() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    logits = random.normal(size=(300, 3)) + 2 * np.eye(3)[labels]
    good = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    noise = random.dirichlet([0.3] * 3, size=300)  # sure of itself, and wrong
    parts = [scores_of("rgb", good, labels), scores_of("flow", noise, labels)]
    fitted = FUSIONS["log_linear"]().fit(parts)
    exponents = dict(fitted.describe())
    assert 0 <= exponents["flow"] < 0.05 * exponents["rgb"]
    fused_scores = fitted(parts).scores
    assert (fused_scores.argmax(1) == labels).mean() >= (good.argmax(1) == labels).mean() - 0.01


def test_log_linear_exponents_stay_equal_without_evidence_and_refuse_test_scores() -> None:
    rgb = scores_of("rgb", [[0.5, 0.5, 0.0]], [0])
    flow = scores_of("flow", [[0.5, 0.5, 0.0]], [0])
    exponents = FUSIONS["log_linear"]().fit([rgb, flow]).describe()
    assert exponents["rgb"] == pytest.approx(exponents["flow"], abs=1e-6)
    assert exponents["rgb"] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ScoresError, match="got test scores"):
        FUSIONS["log_linear"]().fit([replace(part, part="test") for part in (rgb, flow)])


def noisy_pair(videos: int, *, flow: float, seed: int = 0) -> list[Scores]:
    """Return scores of a good stream, and of one whose logits have the class by `flow`."""
    random = np.random.default_rng(seed)
    labels = np.arange(videos) % 3
    parts = []
    for stream, strength in (("rgb", 3.0), ("flow", flow)):
        powers = np.exp(random.normal(size=(videos, 3)) + strength * np.eye(3)[labels])
        parts.append(scores_of(stream, powers / powers.sum(axis=1, keepdims=True), labels))
    return parts


def test_log_linear_uses_a_weaker_stream_only_where_its_gain_is_larger_than_its_error() -> None:
    few, many = noisy_pair(18, flow=0.6), noisy_pair(3000, flow=0.6)
    fit = FUSIONS["log_linear"]().fit
    assert fit(few).describe()["flow"] == 0
    assert fit(few).describe()["rgb"] > 0
    # many videos show a small gain, and then most of it is taken
    free = FUSIONS["log_linear"](caution=0).fit  # type: ignore[call-arg]
    assert fit(many).describe()["flow"] > 0.5 * free(many).describe()["flow"] > 0
    assert free(few).describe()["flow"] > 0


def test_log_linear_favours_no_stream_whose_lead_may_be_chance() -> None:
    equal = noisy_pair(60, flow=3.0)
    free = FUSIONS["log_linear"](caution=0).fit(equal)  # type: ignore[call-arg]
    assert FUSIONS["log_linear"]().fit(equal).describe() == free.describe()


def test_the_error_of_a_loss_counts_groups_and_not_their_videos() -> None:
    values = np.random.default_rng(0).normal(size=12)
    plain = values.std(ddof=1) / np.sqrt(12)
    assert compute_error(values, ()) == pytest.approx(plain)
    copies, groups = np.repeat(values, 10), [f"g{row}" for row in range(12) for _ in range(10)]
    assert compute_error(copies, groups) == pytest.approx(plain)
    assert np.isnan(compute_error(copies, ["one"] * 120))


def test_streams_that_exclude_each_others_classes_still_give_probabilities_by_product() -> None:
    rgb = scores_of("rgb", [[1.0, 0.0, 0.0]], [0])
    flow = scores_of("flow", [[0.0, 1.0, 0.0]], [0])
    row = fused(FUSIONS["product"](), rgb, flow).scores[0]
    assert row[0] == row[1] > row[2] > 0
