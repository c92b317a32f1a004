"""Recorded batches: when they are recorded, replayed, dropped, and given up.

A substitute records here; `record_graph` itself needs a CUDA device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from flowstream.flow.kernels.graphs_torch import Replays, record_graph  # noqa: E402


class Recorder:
    """Records by keeping the function and its inputs, like a graph keeps their addresses."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def __call__(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[..., Any]:
        self.recorded += 1
        kept = tuple(part.clone() for part in inputs)

        def replay(*new: Any) -> Any:
            self.replayed += 1
            for target, source in zip(kept, new, strict=True):
                target.copy_(source)
            return function(*kept).clone()

        return replay


def double(values: Any) -> Any:
    return 2 * values


def test_a_shape_is_recorded_at_its_second_call_and_then_replayed() -> None:
    recorder = Recorder()
    replays = Replays(recorder)
    for k in range(5):
        values = torch.full((3,), float(k))
        assert torch.equal(replays("double", double, values), 2 * values)
    assert (recorder.recorded, recorder.replayed) == (1, 4)


def test_other_shapes_and_keys_are_other_recordings() -> None:
    recorder = Recorder()
    replays = Replays(recorder)
    for _ in range(2):
        for key, shape in (("a", 3), ("a", 4), ("b", 3)):
            replays(key, double, torch.zeros(shape))
    assert recorder.recorded == 3


def test_only_the_last_used_recordings_are_kept() -> None:
    recorder = Recorder()
    replays = Replays(recorder, most=2)
    for _ in range(2):
        for shape in (1, 2, 3):
            replays("a", double, torch.zeros(shape))
    assert recorder.recorded == 3
    replays("a", double, torch.zeros(3))
    assert recorder.recorded == 3
    replays("a", double, torch.zeros(1))  # was dropped
    assert recorder.recorded == 4


def test_a_function_that_cannot_be_recorded_is_run_each_time() -> None:
    attempts = []

    def refuse(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Callable[..., Any]:
        attempts.append(inputs)
        raise RuntimeError("operation not permitted when stream is capturing")

    replays = Replays(refuse)
    for k in range(4):
        assert replays("a", double, torch.full((2,), float(k))).tolist() == [2.0 * k] * 2
    assert len(attempts) == 1
    assert list(replays.failures.values()) == ["operation not permitted when stream is capturing"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_computes_what_the_function_computes() -> None:
    values = torch.rand(100, device="cuda")
    replay = record_graph(double, (values,))
    first, second = replay(values), replay(values + 1)
    assert torch.equal(first, 2 * values)
    assert torch.equal(second, 2 * (values + 1))
