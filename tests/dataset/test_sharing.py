"""Stacks shared by the datasets of a run: opened once, and again after a change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowstream.dataset import sharing
from flowstream.dataset.split import Sample
from flowstream.dataset.window import Window
from flowstream.store import Stack, open_stack
from tests.dataset.cut import flow_clips, only


def test_a_run_opens_each_stack_once_unless_it_changed(
    stacks: Callable[..., tuple[Sample, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def count(path: Path) -> Stack:
        opened.append(path)
        return open_stack(path)

    monkeypatch.setattr(sharing, "open_stack", count)
    samples = stacks(6, 7)
    first, second = (sample.path for sample in samples)
    with sharing.share_stacks():
        one = flow_clips(samples, Window(2), (), training=False)
        with sharing.share_stacks():
            other = flow_clips(samples, Window(2), (), training=False)
        assert opened == [first, second]
        np.testing.assert_array_equal(only(one[1]), only(other[1]))
        os.utime(second)
        flow_clips(samples, Window(2), (), training=False)
        assert opened == [first, second, second]
    flow_clips(samples, Window(2), (), training=False)
    assert opened == [first, second, second, first, second]
