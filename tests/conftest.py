"""Provide the hypothesis profile and the real data to all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline, because the first call of a kernel compiles it. Derandomised, so that the suite
# gives the same result each time.
settings.register_profile(
    "flowstream",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("flowstream")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, which took a quarter of that time.

    Afterwards it leaves out the modules and the tests, which live to the end.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first, so that none runs alone at the end beside idle cores."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the directory of real videos, image pairs and weights: FLOWSTREAM_TEST_DATA."""
    directory = os.environ.get("FLOWSTREAM_TEST_DATA")
    if not directory:
        pytest.skip("FLOWSTREAM_TEST_DATA is unset; no real data to test on")
    path = Path(directory).resolve()
    if not path.is_dir():
        pytest.fail(f"FLOWSTREAM_TEST_DATA={directory}: no such directory")
    return path


@pytest.fixture
def pretrained_small_cnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `small_cnn` pretrained weights; real pretrained CNNs need 32 px images."""
    import torch

    from flowstream.models.backbones.small_cnn import SmallCNN

    random = SmallCNN.build

    def pretrained(self: SmallCNN, weights: bool | str) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(11)
            return random(self, False)

    monkeypatch.setattr(SmallCNN, "weights", ("random",))
    monkeypatch.setattr(SmallCNN, "build", pretrained)
