"""What every input of the table promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowstream.dataset.inputs import INPUTS
from flowstream.dataset.window import Window
from flowstream.store import Stack, open_stack
from tests.contracts.small_stack import PAIRS, SIZE, write_small_stack

inputs = pytest.mark.parametrize("name", list(INPUTS))


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return open_stack(write_small_stack(tmp_path / "small.h5"))


@inputs
def test_its_clip_has_the_shape_and_type_of_the_blank_one(name: str, stack: Stack) -> None:
    one, window = INPUTS[name](), Window(length=6)
    one.check_window(window)
    one.check_stack(stack)
    clip, blank = one.read(stack, window, 0), one.make_blank(window, SIZE)
    assert (clip.kind, clip.values.shape, clip.values.dtype) == (
        blank.kind,
        blank.values.shape,
        blank.values.dtype,
    )
    assert clip.values.shape == (one.channels, one.num_frames(window), *SIZE)
    assert clip.values.any()


@inputs
def test_every_start_of_the_stack_can_be_read_and_is_the_same_again(
    name: str, stack: Stack
) -> None:
    one, window = INPUTS[name](), Window(length=6)
    clips = [one.read(stack, window, start) for start in range(PAIRS - window.span + 1)]
    for start, clip in enumerate(clips):
        again = one.read(stack, window, start)
        assert np.array_equal(again.values, clip.values)


@inputs
def test_its_name_is_its_key(name: str) -> None:
    assert INPUTS[name].name == name
