"""Fusion: several streams' scores into one, matched by video, with nothing learnt from a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError, ScoresError
from flowstream.fusion import FUSIONS, Fusion, align
from flowstream.fusion.weighted import Weighted, log_loss
from flowstream.scores import Scores

CLASSES = ("run", "jump", "sit")


def scores_of(stream: str, rows: Any, labels: Any, *, part: str = "validation") -> Scores:
    rows = np.asarray(rows, np.float32)
    return Scores(
        scores=rows,
        labels=np.asarray(labels, np.int64),
        videos=tuple(f"v{index}" for index in range(len(rows))),
        classes=CLASSES,
        stream=stream,
        part=part,
    )


def random_pair(seed: int, videos: int = 12) -> tuple[Scores, Scores]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, videos)
    rgb, flow = generator.dirichlet([0.7] * 3, size=(2, videos))
    return scores_of("rgb", rgb, labels), scores_of("flow", flow, labels)


def shuffled(scores: Scores, order: Any) -> Scores:
    return replace(
        scores,
        scores=scores.scores[order],
        labels=scores.labels[order],
        videos=tuple(scores.videos[index] for index in order),
    )


def accuracy(scores: Scores) -> float:
    return float((scores.scores.argmax(axis=1) == scores.labels).mean())


def fused(fusion: Fusion, *parts: Scores) -> Scores:
    return fusion.fit(parts)(parts)


seeds = st.integers(0, 2**32 - 1)
every_mean = pytest.mark.parametrize("name", ["average", "product", "weighted"])
every_fusion = pytest.mark.parametrize("name", FUSIONS)


def test_the_average_is_the_mean_of_the_probabilities() -> None:
    rgb = scores_of("rgb", [[0.8, 0.2, 0.0], [0.1, 0.2, 0.7]], [0, 1])
    flow = scores_of("flow", [[0.4, 0.4, 0.2], [0.3, 0.6, 0.1]], [0, 1])
    expected = [[0.6, 0.3, 0.1], [0.2, 0.4, 0.4]]
    # 1e-6: float32 holds probabilities to 6e-8
    assert np.allclose(fused(FUSIONS["average"](), rgb, flow).scores, expected, atol=1e-6)


def test_the_product_is_the_softmax_of_the_mean_logits() -> None:
    logits = np.random.default_rng(1).normal(size=(2, 6, 3))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    both = np.exp(logits.mean(axis=0))
    expected = both / both.sum(axis=1, keepdims=True)
    labels = [0] * 6
    parts = scores_of("rgb", softmax[0], labels), scores_of("flow", softmax[1], labels)
    assert np.allclose(fused(FUSIONS["product"](), *parts).scores, expected, atol=1e-6)


@every_fusion
@given(seed=seeds)
def test_fused_rows_are_probabilities(name: str, seed: int) -> None:
    result = fused(FUSIONS[name](), *random_pair(seed)).scores
    # 1e-6: three float32 roundings of values up to 1
    assert np.allclose(result.sum(axis=1), 1, atol=1e-6)
    assert result.dtype == np.float32
    assert result.min() >= 0


@every_fusion
@given(seed=seeds)
def test_the_order_of_the_videos_changes_nothing(name: str, seed: int) -> None:
    rgb, flow = random_pair(seed)
    order = np.random.default_rng(seed).permutation(len(rgb.videos))
    plain = fused(FUSIONS[name](), rgb, flow)
    mixed = fused(FUSIONS[name](), rgb, shuffled(flow, order))
    assert np.array_equal(plain.scores, mixed.scores)
    other = fused(FUSIONS[name](), shuffled(rgb, order), flow)
    assert other.videos == tuple(rgb.videos[index] for index in order)
    assert np.array_equal(plain.scores[order], other.scores)
    assert np.array_equal(plain.labels[order], other.labels)


@every_fusion
@given(seed=seeds)
def test_the_order_of_the_streams_changes_nothing_once_fitted(name: str, seed: int) -> None:
    rgb, flow = random_pair(seed)
    mixture = FUSIONS[name]().fit([rgb, flow])
    assert np.array_equal(mixture([rgb, flow]).scores, mixture([flow, rgb]).scores)


@every_mean
def test_streams_of_equal_scores_fuse_to_those_scores_at_equal_weights(name: str) -> None:
    rgb, _ = random_pair(3)
    mixture = FUSIONS[name]().fit([rgb, replace(rgb, stream="flow")])
    assert mixture.describe() == {"rgb": 0.5, "flow": 0.5}
    same = mixture([rgb, replace(rgb, stream="flow")])
    assert np.allclose(same.scores, rgb.scores, atol=1e-6)  # float32 once more


@every_mean
def test_one_stream_fuses_to_itself(name: str) -> None:
    rgb, _ = random_pair(4)
    assert np.allclose(fused(FUSIONS[name](), rgb).scores, rgb.scores, atol=1e-6)


@every_fusion
def test_fused_scores_keep_videos_labels_classes_and_part(name: str) -> None:
    rgb, flow = random_pair(5)
    test = [replace(part, part="test") for part in (rgb, flow)]
    result = FUSIONS[name]().fit([rgb, flow])(test)
    assert (result.stream, result.part) == ("fused", "test")
    assert (result.videos, result.classes) == (rgb.videos, rgb.classes)
    assert np.array_equal(result.labels, rgb.labels)


@given(seed=seeds)
def test_weight_one_to_nought_is_the_one_stream(seed: int) -> None:
    rgb, flow = random_pair(seed)
    assert np.allclose(fused(Weighted(weights=(1, 0)), rgb, flow).scores, rgb.scores, atol=1e-6)
    assert np.allclose(fused(Weighted(weights=(0, 3)), rgb, flow).scores, flow.scores, atol=1e-6)


def test_given_weights_count_by_their_ratio() -> None:
    rgb, flow = random_pair(6)
    mixture = Weighted(weights=(1.0, 1.5)).fit([rgb, flow])
    assert mixture.weights == (0.4, 0.6)
    expected = 0.4 * rgb.scores + 0.6 * flow.scores
    assert np.allclose(mixture([rgb, flow]).scores, expected, atol=1e-6)


@given(seed=seeds)
def test_chosen_weights_lose_at_most_a_standard_error_to_a_stream_or_the_average(seed: int) -> None:
    rgb, flow = random_pair(seed)
    chosen = accuracy(fused(Weighted(), rgb, flow))
    best = max(accuracy(rgb), accuracy(flow), accuracy(fused(FUSIONS["average"](), rgb, flow)))
    # the share whose standard error counts is the grid's best, at least as good as these
    assert chosen >= best - np.sqrt(0.25 / len(rgb.labels))


@given(seed=seeds)
def test_chosen_weights_follow_the_one_standard_error_rule_of_plain_loops(seed: int) -> None:
    rgb, flow = random_pair(seed)
    labels, steps = rgb.labels, range(21)
    mixed = [(20 - step) / 20 * rgb.scores + step / 20 * flow.scores for step in steps]
    shares = [np.mean([row.argmax() == k for row, k in zip(m, labels, strict=True)]) for m in mixed]
    # as the search rounds its mean log-loss: the last bits break no tie
    losses = [round(log_loss(m / m.sum(axis=1, keepdims=True), labels), 9) for m in mixed]
    least = max(shares) - np.sqrt(max(shares) * (1 - max(shares)) / len(labels)) - 1e-12
    kept = min((abs(step - 10), losses[step], step) for step in steps if shares[step] >= least)[2]
    weights = Weighted().fit([rgb, flow]).weights
    assert weights == pytest.approx((1 - kept / 20, kept / 20), abs=1e-9)


def test_weights_that_are_as_right_stay_equal() -> None:
    # Both streams are right everywhere; that flow is surer of it argues nothing away.
    rgb = scores_of("rgb", [[0.5, 0.3, 0.2], [0.3, 0.4, 0.3]], [0, 1])
    flow = scores_of("flow", [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1]], [0, 1])
    assert Weighted().fit([rgb, flow]).weights == (0.5, 0.5)


def test_many_videos_take_a_misleading_stream_away() -> None:
    labels = np.arange(600) % 3
    # always sure of the class before, where the other is only fairly sure of the right one
    misled = scores_of("rgb", np.eye(3)[(labels + 2) % 3] * 0.9 + 0.1 / 3, labels)
    right = scores_of("flow", np.eye(3)[labels] * 0.2 + 0.8 / 3, labels)
    # 0.85 is the first twentieth by which 0.2 outvotes 0.9
    assert Weighted().fit([misled, right]).weights[1] == pytest.approx(0.85)


def test_three_streams_are_weighted_too() -> None:
    rgb, flow = random_pair(7)
    truth = scores_of("oracle", np.eye(3)[rgb.labels], rgb.labels)
    mixture = Weighted(steps=4).fit([rgb, flow, truth])
    assert accuracy(mixture([rgb, flow, truth])) == 1


def test_weights_are_not_chosen_on_test_scores_but_may_be_given() -> None:
    test = [replace(part, part="test") for part in random_pair(8)]
    with pytest.raises(ScoresError, match="got test scores"):
        Weighted().fit(test)
    assert Weighted(weights=(1, 1)).fit(test).fitted_on == "test"


def test_weights_are_not_chosen_on_videos_without_a_label() -> None:
    rgb = scores_of("rgb", [[0.5, 0.3, 0.2]] * 2, [0, -1])
    with pytest.raises(ScoresError, match="1 of 2 videos have no label"):
        Weighted().fit([rgb])


def test_log_loss_is_the_mean_surprise_in_nats() -> None:
    rows = np.array([[0.5, 0.5], [0.25, 0.75]])
    expected = -(np.log(0.5) + np.log(0.25)) / 2
    assert log_loss(rows, np.array([0, 0])) == pytest.approx(expected, rel=1e-12)


def test_impossible_weights_and_an_empty_grid_are_refused() -> None:
    for weights in [(-1.0, 2.0), (0.0, 0.0), (float("nan"), 1.0)]:
        with pytest.raises(ParameterError, match="weights: got"):
            Weighted(weights=weights)
    with pytest.raises(ParameterError, match="steps: got 0, expected at least 1"):
        Weighted(steps=0)


def test_a_weight_is_needed_for_each_stream() -> None:
    with pytest.raises(ScoresError, match=r"3 weights for 2 streams \(rgb, flow\)"):
        Weighted(weights=(1, 1, 1)).fit(random_pair(9))


def test_videos_that_one_stream_lacks_are_counted_and_named() -> None:
    rgb, flow = random_pair(10, videos=6)
    fewer = shuffled(flow, [0, 3, 4, 5])
    with pytest.raises(ScoresError) as caught:
        align([rgb, fewer])
    assert str(caught.value) == (
        "scores of 'rgb' and 'flow': videos differ: 2 only in 'rgb' (v1, v2); "
        "predict both from one split"
    )
    renamed = replace(flow, videos=("w0", *flow.videos[1:]))
    with pytest.raises(ScoresError, match=r"1 only in 'rgb' \(v0\), 1 only in 'flow' \(w0\)"):
        align([rgb, renamed])


def test_a_long_list_of_missing_videos_is_cut() -> None:
    rgb, flow = random_pair(11)
    with pytest.raises(ScoresError, match=r"11 only in 'rgb' \(v1, v10, v11 and 8 more\)"):
        align([rgb, shuffled(flow, [0])])


def test_other_classes_or_the_same_in_another_order_are_refused() -> None:
    rgb, flow = random_pair(12)
    with pytest.raises(ScoresError, match=r"classes differ: 1 only in 'rgb' \(sit\)"):
        align([rgb, replace(flow, classes=("run", "jump", "swim"))])
    with pytest.raises(ScoresError, match="the same classes in another order"):
        align([rgb, replace(flow, classes=("jump", "run", "sit"))])


def test_a_video_listed_twice_is_refused_with_its_name() -> None:
    rgb, flow = random_pair(13)
    with pytest.raises(ScoresError, match=r"1 videos occur more than once \(v1\)"):
        align([rgb, replace(flow, videos=("v1", *flow.videos[1:]))])


def test_a_video_with_two_labels_is_refused_and_named() -> None:
    rgb, flow = random_pair(14)
    labels = flow.labels.copy()
    labels[2] = (labels[2] + 1) % 3
    with pytest.raises(ScoresError, match=r"videos with another label: 1 \(v2\)"):
        align([rgb, replace(flow, labels=labels)])


def test_scores_of_two_parts_two_of_one_stream_or_none_are_refused() -> None:
    rgb, flow = random_pair(15)
    with pytest.raises(ScoresError, match="of the parts 'validation' and 'test'"):
        align([rgb, replace(flow, part="test")])
    with pytest.raises(ScoresError, match="two scores of one stream among rgb, rgb"):
        align([rgb, rgb])
    with pytest.raises(ScoresError, match="no scores to fuse"):
        align([])


def test_a_mixture_refuses_streams_it_was_not_fitted_on() -> None:
    rgb, flow = random_pair(16)
    mixture = FUSIONS["average"]().fit([rgb, flow])
    with pytest.raises(ScoresError, match="fitted on the streams rgb, flow, got rgb, audio"):
        mixture([rgb, replace(flow, stream="audio")])


def test_fusing_writes_to_no_input() -> None:
    parts = random_pair(17)
    before = [part.scores.copy() for part in parts]
    for name in FUSIONS:
        fused(FUSIONS[name](), *parts)
    assert all(np.array_equal(part.scores, old) for part, old in zip(parts, before, strict=True))
