"""Options that change the speed of a training, but its result by rounding only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flowstream.dataset.split import Split
from flowstream.train import run as runs
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.fit import fit
from tests.train.conftest import Recipes


def train(recipe: Any, split: Split, out: Path) -> dict[str, torch.Tensor]:
    best = fit(recipe, split, out, device="cpu", progress=False)
    return dict(load_checkpoint(best).weights)


def assert_alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        # convolutions sum in another order, and AdamW enlarges differences of small gradients
        torch.testing.assert_close(value, other[name], atol=2e-3, rtol=1e-2)


def test_images_with_channels_last_give_the_same_weights(
    split: Split, recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(recipe(epochs=1), split, tmp_path / "plain")
    built: list[nn.Module] = []
    build = runs._build_model

    def keep(*values: Any, **options: Any) -> Any:
        built.append(build(*values, **options))
        return built[-1]

    monkeypatch.setattr(runs, "_build_model", keep)
    other = train(recipe(epochs=1, channels_last=True), split, tmp_path / "last")
    maps = [value for value in built[0].parameters() if value.ndim == 4 and value.shape[2] > 1]
    assert maps
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in maps)
    assert_alike(plain, other)


# torch's tracer warns of its own internals
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_gives_the_same_weights(
    split: Split, recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(recipe(epochs=1), split, tmp_path / "plain")
    compiled: list[nn.Module] = []
    compile_module = nn.Module.compile

    def trace(module: nn.Module) -> None:
        compiled.append(module)
        compile_module(module, backend="eager")  # the tracer, without a compiler of C++

    monkeypatch.setattr(nn.Module, "compile", trace)
    other = train(recipe(epochs=1, compile=True), split, tmp_path / "compiled")
    assert len(compiled) == 1
    assert_alike(plain, other)


def test_half_precision_has_no_effect_on_a_cpu(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    plain = train(recipe(epochs=1, amp=False), split, tmp_path / "plain")
    other = train(recipe(epochs=1, amp=True), split, tmp_path / "amp")
    assert all(torch.equal(value, other[name]) for name, value in plain.items())
