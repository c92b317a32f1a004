"""Motion histograms: against the slow oracle, on motions that are known, and mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from flowstream.errors import ParameterError, ShapeError
from flowstream.models import build_model
from flowstream.models.layers.camera_motion import estimate_camera_motion
from flowstream.models.layers.motion_votes import BINS
from flowstream.models.motion_histograms import Histograms, MotionHistograms
from tests.reference.motion_histograms import boundary_histogram, flow_histogram

SIZE = (48, 64)


def make_clip(field: Tensor, frames: int = 10) -> Tensor:
    """Return a clip (1, 2, T, H, W), in units of the bound, of one field (2, H, W) in pixels."""
    return (field / 20).unsqueeze(1).expand(2, frames, *field.shape[1:]).unsqueeze(0).clone()


def pan(dx: float, dy: float) -> Tensor:
    return torch.stack([torch.full(SIZE, dx), torch.full(SIZE, dy)])


def noise(seed: int, frames: int = 1) -> Tensor:
    """Return random clips (1, 2, T, H, W) of about 4 pixels, smooth enough to have gradients."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(frames, 2, 6, 8, generator=generator)
    fields = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
    return (0.2 * fields).transpose(0, 1).unsqueeze(0)


def test_votes_equal_those_of_the_slow_oracle() -> None:
    histograms = Histograms(MotionHistograms(grid=(2, 2)), 2)
    field = noise(0)[0, :, 0]
    counted = histograms.count_votes(field.unsqueeze(0))[0, : 3 * BINS + 1]
    half = torch.nn.functional.avg_pool2d(20 * field, 2).double().numpy()
    # one cell of four, without its border: gradients there look into the next cell
    rows, columns = SIZE[0] // 4, SIZE[1] // 4
    expected = flow_histogram(half[:, :rows, :columns], BINS, still=0.4)
    # 1e-4: float32 sums of 192 votes of up to ten pixels
    assert np.allclose(counted[: BINS + 1, 0, 0], expected, atol=1e-4)
    whole = counted[BINS + 1 :].mean(dim=(1, 2))
    boundaries = boundary_histogram(half[0], BINS) + boundary_histogram(half[1], BINS)
    assert np.allclose(whole, boundaries, atol=1e-4)


@pytest.mark.parametrize(
    ("motion", "bin_number"), [((3, 0), 0), ((2, 2), 1), ((0, 3), 2), ((-3, 0), 4), ((0, -3), 6)]
)
def test_a_pan_fills_one_bin_and_has_no_boundaries(
    motion: tuple[float, float], bin_number: int
) -> None:
    counted = Histograms(MotionHistograms(), 2).count_votes(pan(*motion).unsqueeze(0) / 20)[0]
    as_it_is, without_camera = torch.split(counted, 3 * BINS + 1)
    length = float(np.hypot(*motion))
    assert torch.allclose(as_it_is[bin_number], torch.tensor(length), atol=1e-3)
    assert float(as_it_is.sum(dim=0).max()) == pytest.approx(length, abs=1e-3)
    # without the camera's motion everything is still
    assert torch.allclose(without_camera[BINS], torch.tensor(1.0))
    assert float(without_camera[:BINS].abs().max()) == 0


def test_the_camera_is_found_despite_a_moving_object() -> None:
    rows, columns = 60, 80
    down, right = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    camera = torch.stack([2 + 0.05 * (right - 40), -1 + 0.05 * (down - 30) + 0.01 * (right - 40)])
    field = camera.clone()
    field[:, 10:40, 20:50] += torch.tensor([6.0, -4.0]).view(2, 1, 1)  # a fifth of the frame
    found = estimate_camera_motion(torch.stack([field, -field]))
    # 0.05 px: a third of the step of an 8-bit codec of bound 20
    assert float((found[0] - camera).abs().max()) < 0.05
    assert torch.allclose(found[1], -found[0], atol=1e-4)


def test_frames_and_mirrored_frames_have_the_same_features() -> None:
    clip = noise(1, frames=10)
    mirrored = torch.cat([-clip[:, :1], clip[:, 1:]], dim=1).flip(-1)
    alike = Histograms(MotionHistograms(), 2)
    # 0.03 of features up to 1: the camera is estimated from every fourth pixel, which are others
    # in the mirrored frame, and the noise of this clip has no camera to be found
    assert torch.allclose(alike(clip), alike(mirrored), atol=0.03)
    distinct = Histograms(MotionHistograms(mirror=False), 2)
    assert float((distinct(clip) - distinct(mirrored)).abs().max()) > 0.05
    mean = (distinct(clip) + distinct(mirrored)) / 2
    assert torch.allclose(alike(clip), mean, atol=0.03)


def test_the_deviation_is_zero_for_steady_motion_and_not_for_changing_motion() -> None:
    histograms = Histograms(MotionHistograms(), 2)
    field = noise(2)[0, :, 0] * 20
    steady = histograms(make_clip(field))
    half = histograms.width // 2
    assert float(steady[:, half:].abs().max()) < 1e-3
    assert float(histograms(noise(3, frames=10))[:, half:].max()) > 0.03


def test_still_clips_have_finite_features() -> None:
    features = Histograms(MotionHistograms(), 2)(torch.zeros(2, 2, 7, *SIZE))
    assert features.isfinite().all()


def test_other_channels_than_those_of_flow_have_gradients_alone() -> None:
    network = build_model("motion_histograms", channels=3, frames=5, size=SIZE, classes=2)
    assert network.head.in_features == 2 * 3 * BINS * (48 + 12)
    assert network(torch.rand(1, 3, 5, *SIZE)).shape == (1, 2)


def test_wrong_options_and_small_clips_are_refused() -> None:
    for wrong in ({"grid": (3, 4)}, {"grid": (0, 2)}, {"block": 0}, {"unit": 0.0}, {"still": -1}):
        with pytest.raises(ParameterError, match=f"^{next(iter(wrong))}: expected"):
            MotionHistograms(**wrong)
    with pytest.raises(ShapeError, match="got 4 frames"):
        build_model("motion_histograms", channels=2, frames=4, size=SIZE, classes=2)
