"""What all tests share: the hypothesis profile and the real data, where there is some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the first call of a kernel compiles it. Derandomised: the suite gives one verdict.
settings.register_profile(
    "flowstream",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("flowstream")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos, image pairs and weights that FLOWSTREAM_TEST_DATA names."""
    folder = os.environ.get("FLOWSTREAM_TEST_DATA")
    if not folder:
        pytest.skip("FLOWSTREAM_TEST_DATA is unset: no real data to test on")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"FLOWSTREAM_TEST_DATA={folder}: no such folder")
    return path


@pytest.fixture
def pretrained_small_cnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretrained weights of `small_cnn`: the CNN that has some wants images of 32 pixels."""
    import torch

    from flowstream.models.small_cnn import SmallCNN

    random = SmallCNN.network

    def pretrained(self: SmallCNN, weights: bool | str) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(11)
            return random(self, False)

    monkeypatch.setattr(SmallCNN, "weights", ("drawn",))
    monkeypatch.setattr(SmallCNN, "network", pretrained)
