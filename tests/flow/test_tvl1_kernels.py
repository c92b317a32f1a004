"""Both kernels of `tvl1` against the papers, written out in numpy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.flow.tvl1 import TVL1
from tests.reference import tvl1 as reference
from tests.reference import tvl1_images as images

torch = pytest.importorskip("torch")

CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {"preset": "fast"},
    "accurate": {"preset": "accurate"},
    "opencv inside": {"preset": "opencv", "outside": "ignored"},
    "no filter": {"median_filter": 0},
    "outer iterations": {"outer_iterations": 2, "inner_iterations": 5},
    "nominal factor": {"alignment": "factor", "pyramid_factor": 0.8, "levels": 4},
    "warped gradients": {"gradients": "second", "edge_contrast": 0.0},
    "black outside": {"outside": "black", "levels": 2},
}

# Pixels, mean. float32 against float64 gives 1e-5. The weighted median is bracketed to 1/128 px by
# numba, to less by torch, and sorted by the reference. A rounding error may decide on which side of
# its tolerance "opencv" ends; and where the outside is black, what a pixel at the border matches.
TOLERANCE = {"accurate": 0.01, "opencv inside": 0.01, "black outside": 0.05}


def moving_scene(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A square that moves before a background that moves otherwise, odd sizes."""
    size = (61, 83)
    behind = synthetic.pan(dx=1.25, dy=-0.5, size=size, seed=seed)
    before = synthetic.pan(dx=-2, dy=1, size=size, seed=seed + 1)
    first, second = behind[0].copy(), behind[1].copy()
    first[:, 20:40, 30:55] = before[0][:, 20:40, 30:55]
    second[:, 21:41, 28:53] = before[1][:, 21:41, 28:53]
    return first, second


def settings_of(method: TVL1) -> images.Settings:
    names = [field.name for field in dataclasses.fields(images.Settings)]
    return images.Settings(**{name: getattr(method, name) for name in names})


@pytest.mark.parametrize("case", CASES)
def test_numba_computes_what_the_papers_say(case: str) -> None:
    method = TVL1(**CASES[case])
    first, second = moving_scene(seed=1)
    truth = reference.flow(first[0], second[0], settings_of(method))
    difference = np.abs(method(first, second)[0] - truth)
    assert np.abs(truth).mean() > 0.3
    assert difference.mean() < TOLERANCE.get(case, 5e-4)


@pytest.mark.parametrize("case", CASES)
def test_torch_and_numba_agree_on_every_pair_of_a_batch(case: str) -> None:
    pairs = [moving_scene(seed=seed) for seed in (2, 5)]
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    by_numba = TVL1(**CASES[case], engine="numba")(first, second)
    by_torch = TVL1(**CASES[case], engine="torch", device="cpu")(first, second)
    assert np.abs(by_numba - by_torch).mean() < TOLERANCE.get(case, 5e-4)


@pytest.mark.parametrize("case", ["default", "opencv inside"])
def test_torch_gives_a_pair_the_same_field_in_any_batch(case: str) -> None:
    """Also where pairs stop on their own: one stands still and stops first."""
    method = TVL1(**CASES[case], engine="torch", device="cpu")
    pairs = [moving_scene(seed=2), synthetic.pan(dx=0, dy=0, size=(61, 83), seed=3)]
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    alone = np.concatenate([method(*pair) for pair in pairs])
    assert np.abs(method(first, second) - alone).mean() < TOLERANCE.get(case, 5e-4)


def test_the_reference_itself_recovers_a_known_shift() -> None:
    first, second = synthetic.pan(dx=1.5, dy=-1, size=(48, 56), seed=3)
    found = reference.flow(first[0], second[0], settings_of(TVL1()))[:, 6:-6, 6:-6]
    assert np.abs(found - np.array([1.5, -1])[:, None, None]).mean() < 0.1


def test_the_references_divergence_is_the_negative_adjoint_of_its_gradient() -> None:
    random = np.random.default_rng(0)
    u, p = random.normal(size=(2, 9, 7)), random.normal(size=(2, 2, 9, 7))
    p[:, 0, :, -1] = p[:, 1, -1] = 0
    assert np.isclose((images.forward(u) * p).sum(), -(u * images.divergence(p)).sum())


def test_a_device_that_is_not_here_is_refused() -> None:
    from flowstream.errors import ParameterError

    with pytest.raises(ParameterError, match="device"):
        TVL1(device="cuda:99")
