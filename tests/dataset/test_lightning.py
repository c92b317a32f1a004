"""The loop in Lightning of docs/training.md, where Lightning is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import flowstream
from flowstream.dataset.torch_dataset import StackDataset, to_clip
from tests.dataset.conftest import Stacks

PAGE = Path(flowstream.__file__).parent.parent / "docs" / "training.md"


# of Lightning: few workers, no logger, few steps
@pytest.mark.filterwarnings("ignore")
def test_the_documented_loop_runs(
    stacks: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightning", reason="it is not among the dependencies")
    monkeypatch.chdir(tmp_path)  # Lightning writes its logs to the working directory
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("import lightning")
    dataset = StackDataset(stacks(12, 12), length=4, inputs=("flow",), bound=100.0)
    layer = torch.nn.Linear(4 * 2 * 12 * 16, 2)
    network = torch.nn.Sequential(torch.nn.Flatten(), layer)
    before = layer.weight.detach().clone()
    names: dict[str, Any] = {
        "torch": torch, "DataLoader": DataLoader, "to_clip": to_clip,
        "dataset": dataset, "network": network,
    }  # fmt: skip
    exec(text[start : text.index("```", start)], names)
    assert names["trainer"].current_epoch == 2
    assert not torch.equal(layer.weight, before)
