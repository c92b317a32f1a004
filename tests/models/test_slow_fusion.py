"""A plain 3D CNN."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.slow_fusion import SlowFusion


def test_time_is_pooled_down_to_one_frame() -> None:
    network = build_model("slow_fusion", channels=3, frames=3, size=16, classes=2, widths=(4,) * 4)
    pools = [part.kernel_size for part in network.modules() if isinstance(part, nn.MaxPool3d)]
    assert pools == [(2, 2, 2), (1, 2, 2), (1, 2, 2)]


def test_norms_are_optional() -> None:
    def parts(norm: bool) -> list[nn.Module]:
        network = build_model(
            "slow_fusion", channels=3, frames=4, size=8, classes=2, widths=(4, 5), norm=norm
        )
        return list(network.modules())

    assert sum(isinstance(part, nn.BatchNorm3d) for part in parts(True)) == 2
    assert not any(isinstance(part, nn.BatchNorm3d) for part in parts(False))
    # a bias before a norm would have no effect
    assert all(part.bias is None for part in parts(True) if isinstance(part, nn.Conv3d))
    assert all(part.bias is not None for part in parts(False) if isinstance(part, nn.Conv3d))


def test_a_batch_has_the_scores_of_its_single_clips() -> None:
    network = build_model("slow_fusion", channels=2, frames=4, size=8, classes=3).eval()
    assert network(torch.zeros(1, 2, 4, 8, 8)).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths: got"),
        ({"widths": (4, 0)}, "widths: got"),
        ({"pool": 0}, "pool: expected at least 1, got 0"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SlowFusion(**options)
