"""Flow under torchvision's transforms: the transformed flow is the flow of transformed frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from flowstream.dataset.tv_flow import Flow
from flowstream.errors import ShapeError

ROWS, COLUMNS = 72, 96


def texture(x: Any, y: Any) -> Any:
    """A smooth pattern without symmetry; its shortest wave is 20 pixels."""
    waves = [(0.21, 0.12, 0.3), (-0.1, 0.28, 1.1), (0.16, -0.2, 2.0), (0.05, 0.09, 0.7)]
    return sum(np.sin(a * x + b * y + c) for a, b, c in waves)


def scene() -> dict[str, torch.Tensor]:
    """Two frames and the affine flow between them, exact because the pattern is a formula."""
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float64)
    matrix, shift = np.array([[0.02, 0.03], [-0.01, 0.015]]), np.array([2.0, -1.5])
    dx, dy = (matrix[k, 0] * x + matrix[k, 1] * y + shift[k] for k in (0, 1))
    back = np.linalg.solve(np.eye(2) + matrix, np.stack([x, y]).reshape(2, -1) - shift[:, None])
    second = texture(*back.reshape(2, ROWS, COLUMNS))
    frames = np.stack([texture(x, y), second])[:, None].repeat(3, axis=1)
    return {
        "rgb": tv_tensors.Video(torch.from_numpy(frames.astype(np.float32))),
        "flow": Flow(torch.from_numpy(np.stack([dx, dy])[None].astype(np.float32))),
    }


def flow_error(sample: dict[str, torch.Tensor]) -> float:
    """Median length, in pixels, of the error of flow against the motion of the two frames.

    The residual of the brightness divided by the gradient is the error along the gradient.
    """
    from scipy.ndimage import map_coordinates

    first, second = (frame[0].double().numpy() for frame in sample["rgb"])
    dx, dy = sample["flow"][0].double().numpy()
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float64)
    ahead_x, ahead_y = x + dx, y + dy
    inside = (ahead_x > 8) & (ahead_x < first.shape[1] - 9)
    inside &= (ahead_y > 8) & (ahead_y < first.shape[0] - 9)
    inside &= (x > 8) & (x < first.shape[1] - 9) & (y > 8) & (y < first.shape[0] - 9)
    gradient = np.hypot(*np.gradient(first))
    inside &= gradient > np.quantile(gradient, 0.5)
    fetched = map_coordinates(second, [ahead_y[inside], ahead_x[inside]], order=3)
    assert inside.mean() > 0.02
    return float(np.median(np.abs(fetched - first[inside]) / gradient[inside]))


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "horizontal flip": v2.RandomHorizontalFlip(1.0),
    "vertical flip": v2.RandomVerticalFlip(1.0),
    "crop": v2.RandomCrop((60, 70)),
    "centre crop": v2.CenterCrop((60, 70)),
    "resize": v2.Resize((90, 150), antialias=True),
    "resized crop": v2.RandomResizedCrop((80, 80), scale=(0.6, 1.0), antialias=True),
    "rotation": v2.RandomRotation((25, 25), interpolation=v2.InterpolationMode.BILINEAR),
    "rotation the other way": v2.RandomRotation((-90, -90)),
    "several": v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((108, 120)), v2.Pad(4)]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformed_flow_is_the_motion_of_the_transformed_frames(name: str) -> None:
    torch.manual_seed(3)
    out = TRANSFORMS[name](scene())
    assert isinstance(out["flow"], Flow)
    assert out["flow"].shape[-2:] == out["rgb"].shape[-2:]
    error = flow_error(out)
    # 0.15 px on smooth scenes
    assert error < 0.15
    wrong = {**out, "flow": Flow(out["flow"] * torch.tensor([1.0, -1.0])[:, None, None])}
    assert flow_error(wrong) > 3 * error


def test_flow_has_two_components() -> None:
    with pytest.raises(ShapeError, match=r"got shape \(3, 4, 5\), expected"):
        Flow(torch.zeros(3, 4, 5))


def test_a_normalisation_of_colours_leaves_flow() -> None:
    fields = Flow(torch.ones(1, 2, 4, 4))
    out = v2.Normalize([0.5] * 3, [0.5] * 3)({"flow": fields})["flow"]
    assert torch.equal(out, fields)
