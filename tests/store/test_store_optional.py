"""What a stack may hold of each pair besides its flow: backward flow, consistency, the camera."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    fill,
    make,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("optional") / "clip.h5", **KINDS)


def test_everything_comes_back(whole: Path) -> None:
    verify_stack(whole)
    with open_stack(whole) as stack:
        assert stack.has_backward
        assert stack.has_consistency
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


def test_the_file_can_be_read_without_this_library(whole: Path) -> None:
    with h5py.File(whole, "r") as file:
        assert file["flow_backward"].shape == file["flow"].shape == (2 * PAIRS, *SIZE)
        assert file["flow_backward"].chunks == file["flow"].chunks
        assert dict(file["flow_backward"].attrs)["codec"] == "float32"
        assert file["consistent"].chunks == (1, SIZE[0], 3)
        mask = np.unpackbits(file["consistent"][3], axis=-1, count=SIZE[1])
        np.testing.assert_array_equal(mask, MASKS[3])
        assert file["consistency"].dtype == file["inliers"].dtype == np.float32
        assert file["homography"].shape == (PAIRS, 3, 3)
        assert json.loads(file.attrs["stabiliser"])["name"] == "homography"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_stands_alone(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path / "clip.h5", **{kind: KINDS[kind]})
    verify_stack(path)
    with open_stack(path) as stack:
        there = (stack.has_backward, stack.has_consistency, stack.stabiliser is not None)
        assert there == tuple(kind == other for other in KINDS)


def test_a_stack_without_them_says_how_to_get_them(tmp_path: Path) -> None:
    with open_stack(make(tmp_path / "clip.h5")) as stack:
        assert (stack.has_backward, stack.has_consistency) == (False, False)
        assert (stack.stabiliser, stack.clipped_backward) == (None, None)
        asked: list[tuple[Callable[[], object], str]] = [
            (lambda: stack.backward_field(0), "--backward"),
            (lambda: stack.consistent(0), "--consistency"),
            (lambda: stack.consistency, "--consistency"),
            (lambda: stack.homographies, "--stabilise homography"),
            (lambda: stack.inliers, "--stabilise homography"),
        ]
        for ask, option in asked:
            with pytest.raises(StackError, match=rf"holds no .*; extract it again with {option}"):
                ask()


def test_fields_that_are_not_there_are_refused(whole: Path) -> None:
    with open_stack(whole) as stack:
        for ask in (stack.backward_field, stack.consistent):
            with pytest.raises(ParameterError, match="of the fields 0 to 4"):
                ask(PAIRS)
        with pytest.raises(ParameterError, match="got 3 fields from 3"):
            stack.backward_window(3, 3)


def test_the_bound_is_counted_in_each_direction(tmp_path: Path) -> None:
    from flowstream.codec.centred8 import Centred8

    path = make(tmp_path / "clip.h5", backward=True, codec=Centred8(bound=30))
    verify_stack(path)
    with open_stack(path) as stack:
        assert stack.clipped == 0
        assert stack.clipped_backward == 1 / (PAIRS * SIZE[0] * SIZE[1])


def test_the_summary_tells_of_them(whole: Path) -> None:
    with open_stack(whole) as stack:
        summary = json.loads(json.dumps(stack.summary()))
    assert summary["has_backward"]
    assert summary["flow_backward_bytes"] > 0
    assert summary["consistency"] == pytest.approx(MASKS.mean(), abs=1e-6)
    assert summary["stabiliser"]["features"] == "sift"
    assert summary["inliers"] == pytest.approx(0.63)
    assert summary["stabilised"] == 0.8


def test_only_the_stabiliser_makes_other_flow(tmp_path: Path, whole: Path) -> None:
    plain = make(tmp_path / "plain.h5")
    both = make(tmp_path / "both.h5", backward=True, consistency=True)
    with open_stack(plain) as one, open_stack(both) as two, open_stack(whole) as three:
        assert one.spec == two.spec
        assert one.spec.differences(three.spec) == [
            "stabiliser.name: absent here, 'homography' there"
        ]
        other = dataclasses.replace(three.spec, stabiliser={"name": "homography", "tolerance": 1})
        assert "stabiliser.features: 'sift' here, absent there" in three.spec.differences(other)
        assert type(one.spec).from_dict(three.spec.as_dict()) == three.spec
        assert "stabiliser" not in one.spec.as_dict()


@settings(max_examples=15)
@given(columns=st.integers(1, 26), seed=st.integers(0, 99))
def test_a_mask_of_any_width_comes_back(
    tmp_path_factory: pytest.TempPathFactory, columns: int, seed: int
) -> None:
    masks = np.random.default_rng(seed).random((2, 3, columns)) < 0.5
    path = tmp_path_factory.mktemp("mask") / "clip.h5"
    with begin(path, size=(3, columns), consistency=True, compression="gzip") as writer:
        for t in range(3):
            writer.add_frame(t, t)
        writer.add_fields(np.zeros((2, 2, 3, columns), np.float32))
        writer.add_consistency(masks)
    verify_stack(path)
    with open_stack(path) as stack:
        np.testing.assert_array_equal([stack.consistent(k) for k in range(2)], masks)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("backward", "backward fields"),
        ("consistency", "masks of consistency"),
        ("stabiliser", "homographies"),
    ],
)
def test_what_was_promised_must_come(tmp_path: Path, kind: str, what: str) -> None:
    writer = begin(tmp_path / "clip.h5", **{kind: KINDS[kind]})
    writer.__enter__()
    for t in range(PAIRS + 1):
        writer.add_frame(t, t)
    writer.add_fields(FORWARD)
    with pytest.raises(StackError, match=f"got 0 {what} for 6 frames, expected 5"):
        writer.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


def test_what_was_not_promised_is_refused(tmp_path: Path) -> None:
    with begin(tmp_path / "clip.h5") as writer:
        additions: list[Callable[[], None]] = [
            lambda: writer.add_backward_fields(BACKWARD),
            lambda: writer.add_consistency(MASKS),
            lambda: writer.add_cameras(HOMOGRAPHIES, INLIERS),
        ]
        for add in additions:
            with pytest.raises(StackError, match="expected none"):
                add()
        for t in range(PAIRS + 1):
            writer.add_frame(t, t)
        fill(writer)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with begin(tmp_path / "clip.h5", **KINDS) as writer:
        with pytest.raises(ShapeError, match=r"fields have shape .*expected \(n, 2, 12, 19\)"):
            writer.add_backward_fields(BACKWARD[:, :, 1:])
        with pytest.raises(CodecError, match="not finite"):
            writer.add_backward_fields(np.where(BACKWARD > 39, np.nan, BACKWARD))
        with pytest.raises(ShapeError, match=r"masks have shape .*expected \(n, 12, 19\)"):
            writer.add_consistency(MASKS[0])
        with pytest.raises(ShapeError, match=r"homographies have shape"):
            writer.add_cameras(HOMOGRAPHIES[0], INLIERS)
        with pytest.raises(ShapeError, match=r"inlier fractions"):
            writer.add_cameras(HOMOGRAPHIES, INLIERS[1:])
        with pytest.raises(ParameterError, match="finite"):
            writer.add_cameras(HOMOGRAPHIES * np.inf, INLIERS)
        with pytest.raises(ParameterError, match="fractions"):
            writer.add_cameras(HOMOGRAPHIES, INLIERS * 2)
        for t in range(PAIRS + 1):
            writer.add_frame(t, t)
        fill(writer)
    verify_stack(tmp_path / "clip.h5")


def test_a_stack_with_them_survives_a_journey_to_a_worker(whole: Path) -> None:
    import pickle

    with open_stack(whole) as stack:
        again = pickle.loads(pickle.dumps(stack))
        np.testing.assert_array_equal(again.backward_field(2), stack.backward_field(2))
        np.testing.assert_array_equal(again.consistent(2), stack.consistent(2))
        again.close()
