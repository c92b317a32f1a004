"""Both directions, their consistency and the camera's motion, from a video into its stack."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.codec.float32 import Float32
from flowstream.extract import ExtractSettings, Job
from flowstream.extract.worker import extract_video
from flowstream.flow import FlowMethod
from flowstream.flow.camera import Camera, Stabiliser
from flowstream.flow.dis import DIS
from flowstream.store import Stack, open_stack, verify_stack
from flowstream.synthetic import texture, write_video
from flowstream.types import Images, Vectors
from flowstream.video import Frame, read_frames

ROWS, COLUMNS, FRAMES = 120, 160, 5
CAMERA, OWN = -3, 2  # dx of the ground and of the square, pixels a frame
SIDE, TOP, LEFT = 44, 40, 50
CONSISTENCY = ("consistency",)
EVERYTHING: dict[str, Any] = {
    "backward": True,
    "outputs": CONSISTENCY,
    "stabilise": Stabiliser(),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ground that pans, and before it a square that goes its own way; nothing lost in coding."""
    ground = texture((ROWS, COLUMNS + FRAMES * abs(CAMERA)), seed=1)
    square = texture((SIDE, SIDE), seed=2)
    frames = []
    for t in range(FRAMES):
        frame = ground[:, -CAMERA * t : -CAMERA * t + COLUMNS].copy()
        frame[TOP : TOP + SIDE, LEFT + OWN * t : LEFT + OWN * t + SIDE] = square
        frames.append(frame)
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return write_video(path, frames, codec="ffv1", pixel_format="gray")


def extracted(clip: Path, folder: Path, method: FlowMethod | None = None, **options: Any) -> Stack:
    method = method or DIS(preset="medium")
    settings = ExtractSettings(method, codec=Float32(), rgb=False, **options)
    job = Job(clip, folder / "clip.h5", clip.name)
    extract_video(job, settings)
    verify_stack(job.output)
    return open_stack(job.output)


def of_the_square(t: int, *, grow: int) -> tuple[slice, slice]:
    """Its pixels in frame t, and `grow` more on each side."""
    left = LEFT + OWN * t
    return slice(TOP - grow, TOP + SIDE + grow), slice(left - grow, left + SIDE + grow)


def errors(field: Vectors, t: int, *, ground: float, square: float) -> tuple[float, float]:
    """Mean end-point errors over the ground and over the square, away from what is covered."""
    on_ground = np.zeros((ROWS, COLUMNS), np.bool_)
    on_ground[12:-12, 12:-12] = True
    on_ground[of_the_square(t, grow=12)] = False
    inside = of_the_square(t, grow=-8)
    missed = [np.hypot(field[0] - dx, field[1]) for dx in (ground, square)]
    return float(missed[0][on_ground].mean()), float(missed[1][inside].mean())


def test_backward_flow_is_forward_flow_reversed_on_the_later_frame(
    clip: Path, tmp_path: Path
) -> None:
    with extracted(clip, tmp_path, backward=True) as stack:
        assert not stack.has_consistency
        for k in range(FRAMES - 1):
            # 0.15 px: a whole frame's shift wrong, or the wrong frame's square, is ten times that
            assert max(errors(stack.field(k), k, ground=CAMERA, square=OWN)) < 0.15
            back = errors(stack.backward_field(k), k + 1, ground=-CAMERA, square=-OWN)
            assert max(back) < 0.15


def test_visible_pixels_are_consistent_and_hidden_pixels_are_not(
    clip: Path, tmp_path: Path
) -> None:
    with extracted(clip, tmp_path, outputs=CONSISTENCY) as stack:
        assert not stack.has_backward, "computed, but not asked for"
        for k in range(FRAMES - 1):
            mask = stack.consistent(k)
            assert mask[of_the_square(k, grow=-8)].mean() > 0.99
            assert mask[12:30, 12:-12].mean() > 0.99
            # the ground leaves on the left, and the square covers it on its right
            assert mask[12:30, :2].mean() < 0.2
            hidden = (
                slice(TOP + 8, TOP + SIDE - 8),
                slice(*[LEFT + OWN * k + SIDE + d for d in (0, 4)]),
            )
            assert mask[hidden].mean() < 0.5
            assert stack.consistency[k] == np.float32(mask.mean())


def test_stabilised_flow_has_a_static_background(clip: Path, tmp_path: Path) -> None:
    with extracted(clip, tmp_path, **EVERYTHING) as stack:
        assert (stack.inliers > 0.5).all()
        assert stack.header.stabiliser is not None
        for k in range(FRAMES - 1):
            np.testing.assert_allclose(stack.homographies[k][0, 2], CAMERA, atol=0.3)
            ground, square = errors(stack.field(k), k, ground=0, square=OWN - CAMERA)
            assert ground < 0.15
            assert square < 0.3
            ground, square = errors(stack.backward_field(k), k + 1, ground=0, square=CAMERA - OWN)
            assert ground < 0.15
            assert square < 0.3


def test_options_change_nothing_but_what_they_are_for(clip: Path, tmp_path: Path) -> None:
    with (
        extracted(clip, tmp_path / "plain") as plain,
        extracted(clip, tmp_path / "two", backward=True, outputs=CONSISTENCY) as two,
        extracted(clip, tmp_path / "all", **EVERYTHING) as everything,
    ):
        np.testing.assert_array_equal(plain.codes(0, 4), two.codes(0, 4))
        # of the flow as it was estimated: the camera's motion makes no pixel less consistent
        np.testing.assert_array_equal(two.consistency, everything.consistency)
        assert plain.spec == two.spec
        assert plain.spec != everything.spec


@dataclass(frozen=True)
class Difference(FlowMethod):
    """Brightness changes in place of motion: each field shows which frames it came from."""

    name: ClassVar[str] = "difference"
    pairs: int = dataclasses.field(default=1, compare=False)
    gain: float = 1.0

    @property
    def batch(self) -> int:
        return self.pairs

    def estimate(self, first: Images, second: Images) -> Vectors:
        change = self.gain * (second.astype(np.float32) - first)
        return np.stack([change, 2 * change], axis=1)


def luma(frame: Frame) -> NDArray[np.float32]:
    assert frame.luma is not None
    return frame.luma.astype(np.float32)


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 9])
def test_each_backward_field_belongs_to_its_pair_for_any_batch(
    clip: Path, tmp_path: Path, pairs: int
) -> None:
    frames = [luma(frame) for frame in read_frames(clip)]
    with extracted(clip, tmp_path, Difference(pairs=pairs), backward=True) as stack:
        for k in range(FRAMES - 1):
            change = frames[k] - frames[k + 1]
            np.testing.assert_array_equal(stack.backward_field(k), [change, 2 * change])
            np.testing.assert_array_equal(stack.field(k), [-change, -2 * change])


def test_flow_without_support_for_a_camera_is_unchanged(tmp_path: Path) -> None:
    flat = write_video(tmp_path / "flat.mkv", [np.full((32, 48), 90, np.uint8)] * 3, codec="ffv1")
    with extracted(flat, tmp_path, stabilise=Stabiliser()) as stack:
        np.testing.assert_array_equal(stack.homographies, [np.eye(3)] * 2)
        assert stack.inliers.tolist() == [0, 0]
        assert stack.summary()["stabilised"] == 0


def test_a_camera_that_takes_vectors_beyond_infinity_is_none(clip: Path, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Tilted(Stabiliser):
        def __call__(self, first: Images, second: Images, vectors: Vectors) -> Camera:
            horizon = np.eye(3)
            horizon[2, 0] = 1 / 1000
            return Camera(horizon, 0.9, 100)

    wild = Difference(gain=1e3)
    with extracted(clip, tmp_path, wild, backward=True, stabilise=Tilted()) as stack:
        np.testing.assert_array_equal(stack.homographies, [np.eye(3)] * 4)
        assert stack.inliers.tolist() == [0] * 4
        np.testing.assert_array_equal(stack.field(1), -stack.backward_field(1))
