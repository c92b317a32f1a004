"""Reading a stack: fields, windows, images, and what it says about itself."""

from __future__ import annotations

import json
import pickle
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.codec.centred8 import Centred8
from flowstream.errors import ParameterError, StackError
from flowstream.store import FlowSpec, Stack, open_stack

SIZE = (20, 28)


def test_a_stack_says_what_made_it(stack: Stack, content: Any) -> None:
    assert (stack.num_frames, stack.num_fields, stack.size) == (7, 6, SIZE)
    header = stack.header
    assert (header.source, header.source_bytes) == ("run/clip.mp4", 12345)
    assert header.source_size == (240, 336)
    assert stack.fps == 25.0
    assert stack.method == {"name": "dis", "preset": "medium"}
    assert stack.sampling["step"] == 2
    assert stack.codec == Centred8()
    assert (stack.compression, stack.has_rgb) == ("lz4hc", True)
    assert stack.frame_index.tolist() == content.frame_index
    assert stack.time.tolist() == content.times


def test_fields_come_back_within_half_a_step(stack: Stack, content: Any) -> None:
    truth = content.vectors.clip(-20, 20)
    for k in range(6):
        field = stack.field(k)
        assert field.dtype == np.float32
        assert field.shape == (2, *SIZE)
        # half a step of the codec, and float32's rounding
        assert np.abs(field - truth[k]).max() <= 20 / 127 / 2 + 1e-5
    assert (stack.field(2) == 0).all()


def test_a_window_is_its_fields_one_after_the_other(stack: Stack) -> None:
    window = stack.window(1, 4)
    assert window.dtype == np.float32
    assert window.shape == (8, *SIZE)
    assert (window == np.concatenate([stack.field(k) for k in range(1, 5)])).all()
    assert (stack.codec.decode(stack.codes(1, 4)) == window).all()
    assert (np.stack(list(stack.fields())).reshape(12, *SIZE) == stack.window(0, 6)).all()


def test_images_come_back_as_rgb(stack: Stack, content: Any) -> None:
    for t in range(7):
        image = stack.rgb(t)
        assert image.dtype == np.uint8
        assert image.shape == (*SIZE, 3)
        # quality 95 on smooth gradients; channels in the wrong order would be off by about 80
        assert np.abs(image.astype(int) - content.images[t]).mean() < 2


def test_a_field_or_image_of_its_own_may_be_written_to(stack: Stack) -> None:
    stack.field(0)[:] = 1
    stack.rgb(0)[:] = 1


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 0), (0, 7), (6, 1), (5, 2), (2, -1)])
def test_a_window_outside_the_stack_is_refused(stack: Stack, start: int, length: int) -> None:
    with pytest.raises(ParameterError, match=rf"got {length} fields from {start}, .* 0 to 5"):
        stack.window(start, length)


@pytest.mark.parametrize("k", [-1, 6])
def test_a_field_outside_the_stack_is_refused(stack: Stack, k: int) -> None:
    with pytest.raises(ParameterError, match="of the fields 0 to 5"):
        stack.field(k)


@pytest.mark.parametrize("t", [-1, 7])
def test_an_image_outside_the_stack_is_refused(stack: Stack, t: int) -> None:
    with pytest.raises(ParameterError, match=f"got frame {t}, expected 0 to 6"):
        stack.rgb(t)


def test_numpy_integers_are_numbers_of_fields_too(stack: Stack) -> None:
    assert (stack.window(np.int32(1), np.int64(2)) == stack.window(1, 2)).all()


def test_images_that_were_not_stored_are_refused(write: Any) -> None:
    with open_stack(write(outputs=())) as stack:
        assert not stack.has_rgb
        with pytest.raises(StackError, match=r"holds no .*--rgb"):
            stack.rgb(0)


def test_a_closed_stack_still_says_what_it_is_and_opens_again_to_read(stack: Stack) -> None:
    before = stack.field(1)
    stack.close()
    assert stack.num_fields == 6
    assert (stack.field(1) == before).all()


def test_a_pickled_stack_reads_the_same(stack: Stack) -> None:
    copy = pickle.loads(pickle.dumps(stack))
    with copy:
        assert (copy.window(0, 6) == stack.window(0, 6)).all()
        assert (copy.rgb(3) == stack.rgb(3)).all()
        assert copy.spec == stack.spec


def test_two_stacks_of_one_file_do_not_disturb_each_other(stack: Stack) -> None:
    with open_stack(stack.path) as other:
        other.field(0)
    assert stack.field(5).shape == (2, *SIZE)


def test_a_file_that_h5py_has_open_can_be_opened(write: Any) -> None:
    path = write(compression="gzip")
    with h5py.File(path, "r") as file, open_stack(path) as stack:
        assert (file["flow"][:2] == stack.codes(0, 1)).all()


def test_a_file_in_a_read_only_place_can_be_opened(write: Any) -> None:
    path = write()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with open_stack(path) as stack:
            assert stack.field(0).shape == (2, *SIZE)
    finally:
        path.parent.chmod(0o700)


def test_a_stack_that_was_replaced_since_is_refused_rather_than_mixed(write: Any) -> None:
    with open_stack(write()) as stack:
        stack.close()
        write(source="another.mp4")
        with pytest.raises(StackError, match="was replaced since it was opened"):
            stack.field(0)


def test_a_stack_that_was_only_copied_in_place_stays_readable(write: Any) -> None:
    path = write()
    with open_stack(path) as stack:
        stack.close()
        path.write_bytes(path.read_bytes())
        assert stack.field(0).shape == (2, *SIZE)


def test_the_summary_is_plain_data_that_agrees_with_the_stack(stack: Stack) -> None:
    summary = json.loads(json.dumps(stack.summary()))
    assert summary["path"] == str(stack.path)
    assert summary["size"] == [20, 28]
    assert (summary["num_frames"], summary["num_fields"]) == (7, 6)
    assert summary["codec"] == {"name": "centred8", "bound": 20.0}
    assert summary["method"] == stack.method
    assert summary["seconds"] == pytest.approx(0.44)
    assert summary["bytes"] == stack.path.stat().st_size
    assert summary["raw_flow_bytes"] == 12 * 20 * 28
    flow_bytes = summary["item_bytes"]["flow"]
    assert summary["compression_ratio"] == summary["raw_flow_bytes"] / flow_bytes
    assert summary["outputs"] == ["rgb"]


def test_the_spec_has_the_requested_settings(stack: Stack) -> None:
    assert stack.spec == FlowSpec(
        method={"name": "dis", "preset": "medium"},
        sampling={"step": 2, "fps": None, "short_side": None, "size": (20, 28)},
        size=SIZE,
        codec={"name": "centred8", "bound": 20},
    )
