"""Networks of PTLFlow: our RAFT's field from the same weights, and clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream import synthetic
from flowstream.errors import MissingDependencyError, ParameterError
from flowstream.flow import METHODS


def test_a_missing_ptlflow_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setitem(sys.modules, "ptlflow", None)
    kind: Any = METHODS["ptlflow"]
    with pytest.raises(MissingDependencyError, match=r"pip install 'flowstream\[ptlflow\]'"):
        kind(model="raft", weights="things")


@pytest.fixture(scope="module")
def kind() -> Any:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("ptlflow", reason="ptlflow is not installed")
    return METHODS["ptlflow"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("variant", "model", "file"),
    [("small", "raft_small", "raft-small.pth"), ("large", "raft", "raft-sintel.pth")],
)
def test_raft_of_ptlflow_gives_the_field_of_our_raft(
    kind: Any, shared_data: Path, variant: str, model: str, file: str
) -> None:
    weights = str(shared_data / "weights" / file)
    pair = synthetic.pan(dx=3, dy=-2, size=(133, 190), seed=5)
    raft: Any = METHODS["raft"]
    ours = raft(weights=weights, variant=variant, updates=12, device="cpu")(*pair)
    theirs = kind(model=model, weights=weights, updates=12, device="cpu").both_directions(*pair)
    # px; float32 rounding of two implementations, amplified by the updates
    assert np.abs(ours - theirs[0]).max() < 0.01
    assert np.abs(theirs[0] + theirs[1]).mean() < 0.5


def test_unknown_models_and_weights_are_refused(kind: Any, tmp_path: Path) -> None:
    import torch

    with pytest.raises(ParameterError, match=r"unknown model 'rafts'.*Did you mean 'raft'"):
        kind(model="rafts", weights="things")
    with pytest.raises(ParameterError, match="'nothing' is neither a file nor a checkpoint"):
        kind(model="raft_small", weights="nothing")
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"module.strange": torch.zeros(1)}}, path)
    pair = synthetic.pan(dx=1, dy=0, size=(32, 32), seed=1)
    with pytest.raises(ParameterError, match=r"not weights of 'raft_small': \d+ missing: "):
        kind(model="raft_small", weights=str(path), device="cpu")(*pair)
