"""Exported networks: the same scores for any batch, metadata, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flowstream.errors import CheckpointError, MissingDependencyError
from flowstream.models.model import PairClassifier
from flowstream.store import FlowSpec
from flowstream.train.checkpoint import Checkpoint, save_checkpoint
from flowstream.train.export import EXPORTS, export_checkpoint
from flowstream.train.export.export import TOLERANCE, compare, describe_network, make_inputs
from flowstream.train.recipe import StreamRecipe
from tests.command_line import output, refusal

MODELS: dict[str, dict[str, Any]] = {
    "single_frame": {"stream": "rgb", "frames": 1},
    "early_fusion": {"stream": "flow", "frames": 3},
    "two_stream": {"stream": "both", "frames": 3},
    "cnn_rnn": {"stream": "rgb", "frames": 3},
    "late_fusion_fc": {"stream": "rgb", "frames": 3},
    "motion_histograms": {"stream": "flow", "frames": 5},
}


@pytest.fixture
def spec() -> FlowSpec:
    codec = {"name": "centred8", "bound": 15.0}
    return FlowSpec(method={"name": "dis"}, sampling={}, size=(32, 40), codec=codec)


def save(path: Path, model: str, spec: FlowSpec) -> Checkpoint:
    cnn = {"backbone": "small_cnn", "pretrained": False}
    options = {"grid": (2, 2)} if model == "motion_histograms" else cnn
    recipe = StreamRecipe(model=model, size=24, bound=15.0, options=options, **MODELS[model])
    torch.manual_seed(0)
    network = recipe.architecture.build(recipe.clip, 3)
    checkpoint = Checkpoint(recipe, ("a", "b", "c"), spec, network.state_dict(), 1, {})
    save_checkpoint(path, checkpoint)
    return checkpoint


# a few models, because exporting is slow: those of one and of two inputs, and those that count
# the clips of a batch themselves
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("onnx", "two_stream"),
        ("onnx", "cnn_rnn"),
        ("torch-export", "early_fusion"),
        ("torch-export", "late_fusion_fc"),
        ("torch-export", "two_stream"),
        ("torch-export", "motion_histograms"),
    ],
)
def test_files_give_the_scores_of_the_network_for_any_batch(
    name: str, model: str, spec: FlowSpec, tmp_path: Path
) -> None:
    if name == "onnx":
        pytest.importorskip("onnxscript", reason="needs the extra 'export'")
        pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    checkpoint = save(tmp_path / "best.pt", model, spec)
    out = tmp_path / "out" / "network"
    exported = export_checkpoint(tmp_path / "best.pt", out, format=name)
    assert exported.difference is not None
    assert exported.difference <= TOLERANCE
    network = checkpoint.network()
    for count in (1, 2, 5, 16):
        inputs = make_inputs(network, count=count, seed=7)
        with torch.inference_mode():
            expected = network(*inputs.values()).numpy()
        found = EXPORTS[name]().run(out, {key: value.numpy() for key, value in inputs.items()})
        assert found is not None
        np.testing.assert_allclose(found, expected, atol=1e-4)  # the tolerance of the verb
    assert list((tmp_path / "out").iterdir()) == [out]


def test_metadata_say_how_to_make_clips_and_read_scores(spec: FlowSpec, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "best.pt", "two_stream", spec)
    found = describe_network(checkpoint, checkpoint.network())
    rgb, flow = found["inputs"]
    assert rgb["shape"] == ["N", 3, 1, 24, 24]
    assert rgb["mean"] == (0.5, 0.5, 0.5)
    assert flow["shape"] == ["N", 2, 3, 24, 24]
    assert flow["bound"] == 15.0
    assert found["classes"] == ["a", "b", "c"]
    assert found["flow"] == spec.as_dict()


def test_the_verb_writes_the_metadata_into_the_file(spec: FlowSpec, tmp_path: Path) -> None:
    save(tmp_path / "best.pt", "single_frame", spec)
    text = output("export", tmp_path / "best.pt", "--torch-export", tmp_path / "net.pt2")
    assert "clips Nx3x1x24x24" in text
    extra = {"flowstream.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    assert program.example_inputs is None
    assert json.loads(extra["flowstream.json"])["classes"] == ["a", "b", "c"]


def test_what_cannot_be_exported_is_refused_in_one_line(
    spec: FlowSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "best.pt", "single_frame", spec)
    assert "nothing to write" in refusal(2, "export", tmp_path / "best.pt")
    (tmp_path / "damaged.pt").write_bytes(b"no checkpoint")
    out = tmp_path / "net.pt2"
    assert "damaged.pt" in refusal(1, "export", tmp_path / "damaged.pt", "--torch-export", out)

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("unsupported operator\nwith a long explanation")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(CheckpointError, match="cannot be exported to 'torch-export': unsupported"):
        export_checkpoint(tmp_path / "best.pt", out, format="torch-export")

    def lack(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setattr(EXPORTS["onnx"], "write", lack)
    with pytest.raises(MissingDependencyError, match=r"pip install 'flowstream\[export\]'"):
        export_checkpoint(tmp_path / "best.pt", out, format="onnx")
    assert not out.exists()


def test_a_file_with_other_scores_is_refused(
    spec: FlowSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = save(tmp_path / "best.pt", "single_frame", spec)
    network = checkpoint.network()
    assert not isinstance(network, PairClassifier)
    program = EXPORTS["torch-export"]
    monkeypatch.setattr(program, "run", lambda *_: np.zeros((3, 3), np.float32))
    assert (compare(program(), network, tmp_path / "none") or 0) > TOLERANCE
    monkeypatch.setattr(program, "write", lambda *_, **__: None)
    out = tmp_path / "net.pt2"
    with pytest.raises(CheckpointError, match="scores differ"):
        export_checkpoint(tmp_path / "best.pt", out, format="torch-export")
    assert not out.exists()


def test_large_scores_may_differ_by_their_rounding(
    spec: FlowSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = save(tmp_path / "best.pt", "single_frame", spec).network()
    with torch.no_grad():
        for value in network.head.parameters():
            value.mul_(1e5)
    program = EXPORTS["torch-export"]

    def run(_: object, path: Path, inputs: dict[str, Any]) -> Any:
        with torch.inference_mode():
            scores = network(*map(torch.from_numpy, inputs.values())).numpy()
        return np.nextafter(scores, np.float32(np.inf)) if error is None else scores + error

    monkeypatch.setattr(program, "run", run)
    error = None
    assert 0 < (compare(program(), network, tmp_path / "none") or 0) < TOLERANCE
    error = np.float32(1e3)
    assert (compare(program(), network, tmp_path / "none") or 0) > TOLERANCE
