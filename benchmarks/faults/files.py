"""Damaged checkpoints, score files, flow files and recipes.

A recipe is text without a checksum: a change that is still a valid recipe is *undetectable*.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.damage import WAYS
from benchmarks.faults.tally import Budget, Tally
from benchmarks.faults.watched import Answer, WatchedProcess

UNCHECKED = frozenset({".toml", ".flo"})
"""Formats without a checksum, in which a changed value cannot be seen."""


def run(budget: Budget) -> Tally:
    """Damage one file of each kind in all ways."""
    tally = Tally("files")
    generator = budget.generator()
    with WatchedProcess(seconds=90) as child:
        made = child.call("benchmarks.faults.files:write_files", str(budget.scratch))
        if made.kind != "value":
            tally.add("crashed", f"writing: {made.value}")
            return tally
        files = [Path(name) for name in made.value]
        clean = {file: child.call("benchmarks.faults.files:read", str(file)) for file in files}
        while not budget.is_spent(tally.tried):
            for way in WAYS:
                for file in files:
                    content = bytearray(file.read_bytes())
                    what = f"{file.name}: {way(content, generator)} (seed {budget.seed})"
                    variant = file.with_name(f"variant{file.suffix}")
                    variant.write_bytes(content)
                    answer = child.call("benchmarks.faults.files:read", str(variant))
                    tally.add(*judge(file, answer, clean[file].value, what))
    return tally


def judge(file: Path, answer: Answer, clean: Any, what: str) -> tuple[str, str]:
    """Return the outcome of reading one damaged file, and its description."""
    if answer.kind == "error":
        return "detected", what
    if answer.kind != "value":
        return answer.kind, f"{what}: {answer.value}"
    if answer.value == clean:
        return "harmless", what
    return ("undetectable" if file.suffix in UNCHECKED else "wrong"), what


def write_files(directory: str) -> list[str]:
    """Write one small file of each kind; return their paths."""
    from flowstream.flow.files import write_flow
    from flowstream.recipes import recipe_names, recipe_path
    from flowstream.scores import Scores, write_scores

    root = Path(directory)
    values = np.random.default_rng(0).random((6, 3)).astype(np.float32)
    scores = Scores(
        scores=values / values.sum(axis=1, keepdims=True),
        labels=np.array([0, 1, 2, 0, 1, 2]),
        videos=tuple(f"clip{index}" for index in range(6)),
        classes=("a", "b", "c"),
        stream="flow",
        part="test",
        checkpoint="",
    )
    write_scores(root / "scores.npz", scores)
    write_flow(root / "flow.flo", np.zeros((2, 12, 16), np.float32))
    _write_checkpoint(root / "stream.pt")
    (root / "recipe.toml").write_bytes(recipe_path(recipe_names()[0]).read_bytes())
    return [str(root / name) for name in ("scores.npz", "flow.flo", "stream.pt", "recipe.toml")]


def _write_checkpoint(path: Path) -> None:
    from flowstream.store import FlowSpec
    from flowstream.train.checkpoint import Checkpoint, save_checkpoint
    from flowstream.train.recipe import StreamRecipe

    recipe = StreamRecipe(
        stream="flow",
        model="early_fusion",
        frames=4,
        options={"backbone": "small_cnn", "pretrained": False},
        size=16,
    )
    spec = FlowSpec(
        method={"name": "dis", "preset": "medium"},
        sampling={"step": 1},
        size=(16, 16),
        codec={"name": "centred8", "bound": 20.0},
    )
    weights = recipe.architecture.build(recipe.clip, 2).state_dict()
    save_checkpoint(path, Checkpoint(recipe, ("a", "b"), spec, weights, epoch=1, measures={}))


def read(path: str) -> str:
    """Return a digest of what a file holds, read as the library does."""
    from flowstream.flow.files import read_flow
    from flowstream.recipe import load_recipe
    from flowstream.scores import read_scores
    from flowstream.stages.recipe import Recipe

    suffix = Path(path).suffix
    if suffix == ".flo":
        return hashlib.sha256(read_flow(path).tobytes()).hexdigest()
    if suffix == ".toml":
        return repr(load_recipe(path, Recipe))
    if suffix == ".pt":
        from flowstream.train.checkpoint import load_checkpoint

        return load_checkpoint(path).identity
    scores = read_scores(path)
    return hashlib.sha256(repr(scores).encode() + scores.scores.tobytes()).hexdigest()
