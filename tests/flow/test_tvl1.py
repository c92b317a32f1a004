"""What `tvl1` promises beyond every method's contract."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream import METHODS, synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import files, measure
from flowstream.flow.kernels.tvl1_parameters import PRESETS
from flowstream.flow.tvl1 import TVL1
from flowstream.plugins import provenance, rebuild
from flowstream.video import Sampling, read_frames

MIDDLEBURY = ("RubberWhale", "Urban2", "Venus", "Grove3")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_recovers_a_known_shift(preset: Any) -> None:
    first, second = synthetic.pan(dx=2.5, dy=-1.25, size=(96, 112), seed=1)
    vectors = TVL1(preset=preset)(first, second)[..., 8:-8, 8:-8]
    # 0.1 px: half a step of the 8-bit codec at bound 20
    assert np.abs(vectors - np.array([2.5, -1.25])[:, None, None]).mean() < 0.1


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (16, 200), (129, 33)])
def test_odd_and_tiny_frames_give_finite_flow_near_the_truth(
    preset: Any, size: tuple[int, int]
) -> None:
    first, second = synthetic.pan(dx=1, dy=0, size=size, seed=2)
    vectors = TVL1(preset=preset)(first, second)
    assert np.isfinite(vectors).all()
    # 0.5 px: most of a 16 x 16 frame is border
    assert abs(np.median(vectors[:, 0]) - 1) < 0.5


@pytest.mark.parametrize("shape", [(1, 1, 64), (1, 64, 1), (1, 15, 64)])
def test_frames_of_few_rows_or_columns_are_refused(shape: tuple[int, int, int]) -> None:
    frames = np.zeros(shape, np.uint8)
    with pytest.raises(ShapeError, match=r"at least 16 (rows|columns)"):
        TVL1()(frames, frames)


@pytest.mark.parametrize("preset", PRESETS)
@given(seed=st.integers(0, 2**16), low=st.integers(0, 255), high=st.integers(0, 255))
@settings(max_examples=5)
def test_noise_saturation_and_flatness_give_finite_bounded_flow(
    preset: Any, seed: int, low: int, high: int
) -> None:
    random = np.random.default_rng(seed)
    size = (1, *random.integers(16, 60, 2))
    low, high = min(low, high), max(low, high)
    first = random.integers(low, high + 1, size, np.uint8)
    second = np.where(random.random(size) < 0.5, np.uint8(low), np.uint8(high)).astype(np.uint8)
    vectors = TVL1(preset=preset)(first, second)
    assert np.isfinite(vectors).all()
    # A warp moves a pixel by λθ|∇I| an iteration at most; nothing plausible leaves the frame twice.
    assert np.abs(vectors).max() < 4 * max(size)


@pytest.mark.parametrize("preset", ["default", "fast", "accurate"])
def test_motion_of_a_tenth_of_the_frame_is_found(preset: Any) -> None:
    first, second = synthetic.pan(dx=16, dy=-8, size=(160, 200), seed=3)
    vectors = TVL1(preset=preset)(first, second)[0, :, 20:-20, 40:-40]
    assert np.abs(vectors - np.array([16, -8])[:, None, None]).mean() < 0.1


@pytest.mark.parametrize("preset", PRESETS)
def test_motion_too_large_to_be_found_gives_finite_flow(preset: Any) -> None:
    vectors = TVL1(preset=preset)(*synthetic.pan(dx=70, dy=-55, size=(64, 80), seed=3))
    assert np.isfinite(vectors).all()


def test_a_change_of_light_does_not_move_by_default() -> None:
    first, _ = synthetic.pan(dx=0, dy=0, size=(96, 112), seed=4)
    shade = np.linspace(-10, 10, 112)
    lit = np.clip(first + shade, 0, 255).astype(np.uint8)
    with_texture, without = (TVL1(texture=share)(first, lit) for share in (0.9, 0.0))
    assert np.abs(with_texture).mean() < 0.1
    assert np.abs(without).mean() > 3 * np.abs(with_texture).mean()


@pytest.mark.parametrize("gain", [0.75, 1.2])
def test_a_change_of_exposure_does_not_move(gain: float) -> None:
    first, second = synthetic.pan(dx=2, dy=-1, size=(96, 112), seed=4)
    exposed = np.clip(np.rint(second * gain), 0, 255).astype(np.uint8)
    plain, brightness = (TVL1(texture=share)(first, exposed) for share in (0.9, 0.0))
    # a step of the 8-bit codec at bound 20, and far below what brightness constancy costs
    error = np.abs(plain - TVL1(texture=0.9)(first, second)).mean()
    assert error < 0.15
    assert np.abs(brightness - plain).mean() > 5 * error


def test_a_pair_alone_and_in_a_batch_on_any_threads_gives_the_same_bits() -> None:
    pairs = [synthetic.pan(dx=k, dy=1, size=(48, 64), seed=5 + k) for k in range(-2, 3)]
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    alone = np.concatenate([TVL1()(*pair) for pair in pairs])
    for threads in (1, 2, 3, 0):
        np.testing.assert_array_equal(TVL1(threads=threads)(first, second), alone)


def test_pairs_that_share_a_frame_give_what_they_give_apart() -> None:
    """Consecutive pairs of a video: the second frame's pyramid serves the next pair."""
    frames = np.concatenate(
        [part for k in (1, 3) for part in synthetic.pan(dx=k, dy=-1, size=(48, 64), seed=9)]
    )
    for preset in PRESETS:
        method = TVL1(preset=preset)
        apart = [method(frames[k : k + 1], frames[k + 1 : k + 2]) for k in (2, 0, 1)]
        together = method(frames[:-1], frames[1:])
        np.testing.assert_array_equal(together, np.concatenate([apart[1], apart[2], apart[0]]))


def test_a_workspace_used_before_leaves_no_trace() -> None:
    first, second = synthetic.pan(dx=1, dy=1, size=(40, 72), seed=6)
    fresh = TVL1(preset="accurate")(first, second)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (2, 40, 72), np.uint8)
    TVL1(preset="accurate")(noise[:1], noise[1:])
    np.testing.assert_array_equal(TVL1(preset="accurate")(first, second), fresh)


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_record_holds_every_number_and_makes_the_method_again(preset: Any) -> None:
    method = TVL1(preset=preset)
    record = json.loads(json.dumps(provenance(method)))
    assert record == {"name": "tvl1", **PRESETS[preset]}
    assert rebuild(METHODS, record) == method


def test_a_preset_equals_its_numbers_written_out() -> None:
    assert TVL1(preset="fast") == TVL1(**PRESETS["fast"])
    assert hash(TVL1(preset="fast")) == hash(TVL1(**PRESETS["fast"]))
    assert TVL1(preset="fast") != TVL1()


def test_methods_that_differ_only_in_device_or_threads_are_equal() -> None:
    assert TVL1(threads=2) == TVL1()
    assert "threads" not in provenance(TVL1())


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("preset", "defualt", "Did you mean 'default'"),
        ("scheme", "joined", "one of: joint, separate"),
        ("attachment", 0.0, "got 0.0"),
        ("attachment", float("nan"), "got nan"),
        ("tightness", -1.0, "got -1.0"),
        ("time_step", 0.3, "1e-06 to 0.25"),
        ("warps", 0, "1 to 1000"),
        ("tolerance", -0.1, "at least 0"),
        ("tolerance", float("inf"), "at least 0"),
        ("pyramid_factor", 1.0, "0.5 to 0.95"),
        ("levels", 0, "'auto' or an integer of at least 1"),
        ("levels", "all", "'auto' or an integer of at least 1"),
        ("median_filter", 4, "one of: 0, 5"),
        ("weighted_median", 13, "one of: 0, 3, 5"),
        ("texture", 1.5, "0 to 1"),
        ("threads", -1, "0 to 1024"),
        ("engine", "cuda", "one of: auto, numba, torch"),
    ],
)
def test_a_parameter_outside_its_range_is_refused(parameter: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=parameter) as refusal:
        TVL1(**{parameter: value})
    assert message in str(refusal.value)


def test_every_preset_has_a_value_for_every_parameter() -> None:
    computing = {"preset", "threads", "device", "engine", "acceleration", "precision", "graphs"}
    names = {field.name for field in dataclasses.fields(TVL1)} - computing
    assert all(set(numbers) == names for numbers in PRESETS.values())


def test_the_defaults_shown_are_those_of_the_default_preset() -> None:
    shown = {field.name: field.default for field in dataclasses.fields(TVL1)}
    assert shown == {**shown, **PRESETS["default"]}


def test_a_given_value_replaces_the_value_of_the_preset() -> None:
    default = PRESETS["default"]["finest_warps"]
    assert TVL1(preset="fast", finest_warps=default).finest_warps == default
    changed = dataclasses.replace(TVL1(preset="accurate"), texture=0.0)
    assert changed == TVL1(preset="accurate", texture=0.0)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"'attachement'.* 'attachment'"):
        TVL1(attachement=0.1)


# --- processes ------------------------------------------------------------------------------------


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


FRAME = "numpy.zeros((1, 16, 16), numpy.uint8)"


def test_another_process_loads_the_compiled_kernel_from_disk() -> None:
    TVL1()(*synthetic.pan(dx=1, dy=0, size=(32, 32), seed=7))
    stats = run_python(
        "import numpy; from flowstream import METHODS; "
        "from flowstream.flow.kernels.tvl1_numba import compiled_stages; "
        f"METHODS['tvl1']()({FRAME}, {FRAME}); "
        "stats = compiled_stages().refine_plain.dispatcher.stats; "
        "print(sum(stats.cache_hits.values()), len(stats.cache_misses))"
    )
    assert stats.split() == ["1", "0"]


def test_the_processor_never_loads_torch() -> None:
    loaded = run_python(
        "import sys, numpy; from flowstream import METHODS; "
        f"METHODS['tvl1'](threads=2)({FRAME}, {FRAME}); print('torch' in sys.modules)"
    )
    assert loaded.strip() == "False"


# --- real data ------------------------------------------------------------------------------------


def middlebury(folder: Path, scene: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Any]:
    place = folder / "middlebury" / scene
    first, second = (
        np.asarray(cv2.imread(str(place / f"frame{k}.png"), cv2.IMREAD_GRAYSCALE), np.uint8)[None]
        for k in (10, 11)
    )
    return first, second, files.read_flow(place / "flow10.flo")


# Bounds of the project's own goals; OpenCV's mean on these four is 1.20.
@pytest.mark.parametrize(
    ("preset", "bound"), [("default", 0.38), ("fast", 0.45), ("accurate", 0.31)]
)
def test_the_mean_error_on_middlebury_stays_below(
    preset: Any, bound: float, shared_data: Path
) -> None:
    errors = []
    for scene in MIDDLEBURY:
        first, second, truth = middlebury(shared_data, scene)
        errors.append(measure.average_end_point_error(TVL1(preset=preset)(first, second)[0], truth))
    assert np.mean(errors) <= bound


def test_the_opencv_preset_gives_opencvs_field(shared_data: Path) -> None:
    frames = read_frames(shared_data / "samples" / "bikes.mp4", Sampling(size=(256, 340)))
    first, second = (np.asarray(frame.luma)[None] for frame in islice(frames, 60, 62))
    theirs = cv2.optflow.createOptFlow_DualTVL1().calc(first[0], second[0], None)  # type: ignore[call-overload]
    ours = TVL1(preset="opencv")(first, second)[0]
    assert np.abs(ours - np.moveaxis(theirs, 2, 0)).mean() < 0.1
