"""Where training computes."""

from __future__ import annotations

import pytest
import torch

from flowstream.device import choose_device
from flowstream.errors import ParameterError
from flowstream.train.device import autocast, half_precision


def test_auto_takes_the_accelerator_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", ""])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=f"device: got '{name}'.*expected auto, cpu, cuda"):
        choose_device(name)


def test_the_cpu_computes_in_single_precision() -> None:
    device = torch.device("cpu")
    with autocast(device, amp=True):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32


def test_without_bfloat16_half_precision_is_float16() -> None:
    assert half_precision(torch.device("cpu")) == torch.float16
