"""Features by several processes: the same numbers, and errors in one line."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from flowstream.dataset.clips import Item, StackClips
from flowstream.dataset.split import Split
from flowstream.errors import StackError
from flowstream.train.clips import viewed_clips
from flowstream.train.evaluation import Evaluation
from flowstream.train.parallel import compute_videos, count_processes
from flowstream.train.recipe import StreamRecipe

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.fixture
def recipe() -> StreamRecipe:
    return StreamRecipe(
        stream="flow",
        model="motion_histograms",
        frames=2,
        size=(20, 24),
        options={"grid": (2, 2), "block": 2},
    )


def describe(clips: Tensor) -> list[list[np.ndarray[Any, Any]]]:
    """Return the mean of each clip and the process that computed it."""
    return [[one.numpy().mean(axis=(1, 2, 3, 4)), np.array(os.getpid())] for one in clips]


def test_two_processes_give_the_numbers_of_one_in_the_same_order(
    recipe: StreamRecipe, split: Split
) -> None:
    clips = viewed_clips(recipe, split.train, Evaluation(segments=2, crops=1))
    rows = [5, 1, 4, 0]
    alone = replace(recipe, workers=0)
    plain = list(compute_videos(describe, clips, recipe=alone, device=CPU, rows=rows))
    shared = list(compute_videos(describe, clips, recipe=recipe, device=CPU, rows=rows))
    assert [row for row, _ in plain] == [row for row, _ in shared] == rows
    for (_, one), (_, two) in zip(plain, shared, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
    assert {int(arrays[1]) for _, arrays in plain} == {os.getpid()}
    assert len({int(arrays[1]) for _, arrays in shared} - {os.getpid()}) == 2


def test_an_error_in_a_process_keeps_its_class_and_message(recipe: StreamRecipe) -> None:
    class Damaged:
        def __getitem__(self, row: int) -> Item:
            raise StackError(f"stack-{row}.h5: damaged")

    clips = cast("StackClips", Damaged())
    with pytest.raises(StackError) as caught:
        list(compute_videos(describe, clips, recipe=recipe, device=CPU, rows=[3, 4]))
    assert str(caught.value) == "stack-3.h5: damaged"


def test_processes_are_used_on_a_cpu_unless_the_recipe_forbids_them(recipe: StreamRecipe) -> None:
    assert count_processes(recipe, CPU, videos=9) == 2
    assert count_processes(recipe, CPU, videos=1) == 1
    assert count_processes(recipe, torch.device("cuda"), videos=9) == 1
    assert count_processes(replace(recipe, workers=0), CPU, videos=9) == 1
