"""What a stack may hold of each pair besides its flow: backward flow, consistency, the camera."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream.codec.centred8 import Centred8
from flowstream.errors import CodecError, ParameterError, ShapeError, StackError
from flowstream.flow.camera import Stabiliser
from flowstream.store import open_stack, verify_stack
from tests.store.whole_stack import (
    BACKWARD,
    FORWARD,
    HOMOGRAPHIES,
    INLIERS,
    KINDS,
    MASKS,
    PAIRS,
    SIZE,
    begin,
    make,
    optional,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("optional") / "clip.h5", KINDS)


def test_everything_comes_back(whole: Path) -> None:
    verify_stack(whole)
    with open_stack(whole) as stack:
        assert stack.outputs == set(KINDS)
        assert stack.stabiliser == {"name": "homography", **dataclasses.asdict(Stabiliser("sift"))}
        np.testing.assert_array_equal(stack.window(1, 3).reshape(3, 2, *SIZE), FORWARD[1:4])
        np.testing.assert_array_equal(
            stack.backward_window(1, 3).reshape(3, 2, *SIZE), BACKWARD[1:4]
        )
        for k in range(PAIRS):
            np.testing.assert_array_equal(stack.backward_field(k), BACKWARD[k])
            np.testing.assert_array_equal(stack.consistent(k), MASKS[k])
        assert stack.consistent(0).dtype == np.bool_
        np.testing.assert_array_equal(stack.consistency, MASKS.mean(axis=(1, 2)).astype(np.float32))
        np.testing.assert_array_equal(stack.homographies, HOMOGRAPHIES)
        np.testing.assert_array_equal(stack.inliers, INLIERS)


def test_the_file_can_be_read_without_this_library(tmp_path: Path) -> None:
    whole = make(tmp_path / "clip.h5", KINDS, compression="gzip")
    with h5py.File(whole, "r") as file:
        assert file["flow_backward"].shape == file["flow"].shape == (2 * PAIRS, *SIZE)
        assert file["flow_backward"].chunks == file["flow"].chunks
        assert file["consistent"].chunks == (1, SIZE[0], 3)
        mask = np.unpackbits(file["consistent"][3], axis=-1, count=SIZE[1])
        np.testing.assert_array_equal(mask, MASKS[3])
        np.testing.assert_array_equal(file["flow_backward"][4:6], BACKWARD[2])
        assert file["consistency"].dtype == file["inliers"].dtype == np.float32
        np.testing.assert_array_equal(file["homography"], HOMOGRAPHIES)
        assert json.loads(file.attrs["stabiliser"])["name"] == "homography"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_stored_without_the_others(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path / "clip.h5", [kind])
    verify_stack(path)
    with open_stack(path) as stack:
        assert stack.outputs == {kind}
        stored = (stack.has_backward, stack.has_consistency, stack.stabiliser is not None)
        assert stored == tuple(kind == other for other in KINDS)


def test_a_stack_without_them_names_the_option_that_stores_them(tmp_path: Path) -> None:
    with open_stack(make(tmp_path / "clip.h5")) as stack:
        assert (stack.has_backward, stack.has_consistency) == (False, False)
        assert (stack.stabiliser, stack.header.clipped_backward) == (None, None)
        asked: list[tuple[Callable[[], object], str]] = [
            (lambda: stack.backward_field(0), "--backward"),
            (lambda: stack.consistent(0), "--consistency"),
            (lambda: stack.consistency, "--consistency"),
            (lambda: stack.homographies, "--stabilise homography"),
            (lambda: stack.inliers, "--stabilise homography"),
        ]
        for ask, option in asked:
            with pytest.raises(StackError, match=f"holds no .*{option}"):
                ask()


def test_fields_that_are_not_there_are_refused(whole: Path) -> None:
    with open_stack(whole) as stack:
        for ask in (stack.backward_field, stack.consistent):
            with pytest.raises(ParameterError, match="of the fields 0 to 4"):
                ask(PAIRS)
        with pytest.raises(ParameterError, match="got 3 fields from 3"):
            stack.backward_window(3, 3)


def test_the_bound_is_counted_in_each_direction(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.h5", ["backward"], codec=Centred8(bound=30))
    verify_stack(path)
    with open_stack(path) as stack:
        assert stack.clipped == 0
        assert stack.header.clipped_backward == 1 / (PAIRS * SIZE[0] * SIZE[1])


def test_the_summary_includes_them(whole: Path) -> None:
    with open_stack(whole) as stack:
        summary = json.loads(json.dumps(stack.summary()))
    assert summary["outputs"] == sorted(KINDS)
    assert summary["item_bytes"]["flow_backward"] > 0
    assert summary["consistency"] == pytest.approx(MASKS.mean(), abs=1e-6)
    assert summary["stabiliser"]["features"] == "sift"
    assert summary["inliers"] == pytest.approx(0.63)
    assert summary["stabilised"] == 0.8


def test_only_the_stabiliser_changes_the_flow(tmp_path: Path, whole: Path) -> None:
    plain = make(tmp_path / "plain.h5")
    both = make(tmp_path / "both.h5", ["backward", "consistency"])
    with open_stack(plain) as one, open_stack(both) as two, open_stack(whole) as three:
        assert one.spec == two.spec
        assert any("stabiliser" in text for text in one.spec.list_differences(three.spec))
        other = dataclasses.replace(three.spec, stabiliser={"name": "homography", "tolerance": 1})
        assert any("stabiliser.features" in text for text in three.spec.list_differences(other))
        assert type(one.spec).from_dict(three.spec.as_dict()) == three.spec
        assert "stabiliser" not in one.spec.as_dict()


@settings(max_examples=15)
@given(columns=st.integers(1, 26), seed=st.integers(0, 99))
def test_a_mask_of_any_width_comes_back(
    tmp_path_factory: pytest.TempPathFactory, columns: int, seed: int
) -> None:
    masks = np.random.default_rng(seed).random((2, 3, columns)) < 0.5
    path = tmp_path_factory.mktemp("mask") / "clip.h5"
    with begin(path, ["consistency"], size=(3, columns), compression="gzip") as writer:
        for t in range(3):
            writer.add_frame(t, t)
        writer.add_fields(np.zeros((2, 2, 3, columns), np.float32), consistent=masks)
    verify_stack(path)
    with open_stack(path) as stack:
        np.testing.assert_array_equal([stack.consistent(k) for k in range(2)], masks)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("backward", "flow_backward"), ("consistency", "consistent"), ("camera", "homography")],
)
def test_declared_values_must_be_given(tmp_path: Path, kind: str, missing: str) -> None:
    writer = begin(tmp_path / "clip.h5", [kind]).__enter__()
    for t in range(PAIRS + 1):
        writer.add_frame(t, t)
    with pytest.raises(StackError, match=f"got nothing for '{missing}'|'consistency'"):
        writer.add_fields(FORWARD)
    with pytest.raises(StackError, match="got 0 entries of flow for 6 frames, expected 10"):
        writer.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


def test_values_that_were_not_declared_are_refused(tmp_path: Path) -> None:
    with begin(tmp_path / "clip.h5") as writer:
        for kind in KINDS:
            with pytest.raises(StackError, match=r"got values for .*, expected none"):
                writer.add_fields(FORWARD, **optional([kind]))
        with pytest.raises(StackError, match="got values for 'corrupt', expected none"):
            writer.add_values("corrupt", [1])
        for t in range(PAIRS + 1):
            writer.add_frame(t, t)
        writer.add_fields(FORWARD)


def test_values_that_do_not_fit_are_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    def add(**changes: NDArray[Any]) -> None:
        writer.add_fields(FORWARD, **{**optional(KINDS), **changes})

    with begin(tmp_path / "clip.h5", KINDS) as writer:
        with pytest.raises(ShapeError, match=r"flow_backward has shape .*expected \(5, 2, 12, 19"):
            add(flow_backward=BACKWARD[:, :, 1:])
        with pytest.raises(CodecError, match="not finite"):
            add(flow_backward=np.where(BACKWARD > 39, np.nan, BACKWARD))
        with pytest.raises(ShapeError, match=r"consistent has shape .*expected \(5, 12, 19\)"):
            add(consistent=MASKS[:, 1:])
        with pytest.raises(ShapeError, match="homography has shape"):
            add(homography=HOMOGRAPHIES[0])
        with pytest.raises(ShapeError, match="inliers has shape"):
            add(inliers=INLIERS[1:])
        with pytest.raises(ParameterError, match="finite"):
            add(homography=HOMOGRAPHIES * np.inf)
        with pytest.raises(ParameterError, match="outside 0 to 1"):
            add(inliers=INLIERS * 2)
        for t in range(PAIRS + 1):
            writer.add_frame(t, t)
        add()
    verify_stack(tmp_path / "clip.h5")


def test_homographies_come_with_a_stabiliser_and_only_then(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="'camera' with a stabiliser"):
        begin(tmp_path / "clip.h5", ["camera"], stabiliser=None)
    with pytest.raises(ParameterError, match="'camera' with a stabiliser"):
        begin(tmp_path / "clip.h5", [], stabiliser={"name": "homography"})


def test_corrupt_frames_are_listed(tmp_path: Path) -> None:
    with begin(tmp_path / "clip.h5", ["corrupt"]) as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(2 * t, t)
        writer.add_fields(FORWARD)
        writer.add_values("corrupt", [2, 6])
    verify_stack(tmp_path / "clip.h5")
    with open_stack(tmp_path / "clip.h5") as stack:
        assert stack.corrupt.tolist() == [2, 6]
    with open_stack(make(tmp_path / "plain.h5")) as stack:
        assert stack.corrupt.tolist() == []
    empty = begin(tmp_path / "none.h5", ["corrupt"])
    with empty as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(t, t)
        writer.add_fields(FORWARD)
    verify_stack(tmp_path / "none.h5")


def test_a_stack_with_them_can_be_sent_to_a_worker(whole: Path) -> None:
    import pickle

    with open_stack(whole) as stack:
        again = pickle.loads(pickle.dumps(stack))
        np.testing.assert_array_equal(again.backward_field(2), stack.backward_field(2))
        np.testing.assert_array_equal(again.consistent(2), stack.consistent(2))
        again.close()
