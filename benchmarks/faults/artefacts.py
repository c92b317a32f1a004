"""Damage the small files of flowstream: checkpoints, scores, flow fields, lists, recipes, reports.

A kind with checksums must detect every damage that changes its content. A text file, `.flo` and
`.pfm` have no checksum: another valid content is undetectable, but it must not crash or hang.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.faults.tally import Budget, Tally


@dataclass(frozen=True)
class Kind:
    """Kind of file: how it is written and read."""

    name: str
    """Name of the file."""
    write: Callable[[Path], object]
    read: Callable[[Path], str]
    """Returns a digest of everything that the file says."""
    has_checksum: bool


def _digest(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()


def _write_checkpoint(path: Path) -> None:
    import torch

    from flowstream.store import FlowSpec
    from flowstream.train.checkpoint import Checkpoint, save_checkpoint
    from flowstream.train.recipe import StreamRecipe

    options = {"backbone": "small_cnn", "pretrained": False}
    recipe = StreamRecipe("flow", "early_fusion", frames=3, size=(16, 16), options=options)
    torch.manual_seed(0)
    network = recipe.architecture.build(recipe.clip, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    sum(value.sum() for value in network.parameters()).backward()  # type: ignore[union-attr]
    optimiser.step()
    codec = {"name": "centred8", "bound": 20.0}
    save_checkpoint(
        path,
        Checkpoint(
            recipe=recipe,
            classes=("across", "down"),
            spec=FlowSpec({"name": "dis"}, {"short_side": 16}, (16, 16), codec),
            weights={name: value.detach() for name, value in network.state_dict().items()},
            epoch=3,
            measures={"validation_top1": 0.5},
            resume={"optimiser": optimiser.state_dict(), "videos": "0" * 32},
        ),
    )


def _read_checkpoint(path: Path) -> str:
    from flowstream.train.checkpoint import load_checkpoint
    from flowstream.train.checkpoint_file import compute_digest

    found = load_checkpoint(path)
    found.network()
    return _digest(found.identity, found.epoch, found.measures, compute_digest(found.resume))


def _write_scores(path: Path) -> None:
    from flowstream.scores import Scores, write_scores

    scores = np.random.default_rng(0).dirichlet(np.ones(4), 50).astype(np.float32)
    labels = np.arange(50) % 4
    videos = tuple(f"class{label}/clip{index:02}" for index, label in enumerate(labels))
    write_scores(
        path, Scores(scores, labels, videos, ("a", "b", "c", "d"), "flow", "test", "0" * 32)
    )


def _read_scores(path: Path) -> str:
    from flowstream.scores import read_scores

    found = read_scores(path)
    names = (found.videos, found.classes, found.stream, found.part, found.checkpoint)
    return _digest(found.scores, found.labels, names)


def _write_field(path: Path) -> None:
    from flowstream.flow.files import write_flow

    field = np.random.default_rng(0).normal(0, 3, (2, 20, 30)).astype(np.float32)
    field[:, 3:5, 4] = np.nan
    write_flow(path, field)


def _read_field(path: Path) -> str:
    from flowstream.flow.files import read_flow

    return _digest(read_flow(path))


def _write_manifest(path: Path) -> None:
    rows = [f"clips/video{index}.mp4,class {index % 3},train" for index in range(40)]
    path.write_text("video,label,split\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _read_manifest(path: Path) -> str:
    from flowstream.dataset.listing import SplitRecipe
    from flowstream.dataset.manifest import read_manifest
    from flowstream.dataset.names import VideoNames

    recipe = SplitRecipe("manifest", files=path)
    listing = read_manifest(recipe, VideoNames(path.parent, (".h5",)))
    return _digest(listing.classes, [(one.video, one.part) for one in listing.entries])


def _write_recipe(path: Path) -> None:
    from flowstream.recipes import recipe_path

    path.write_bytes(Path(recipe_path("folder")).read_bytes())


def _read_recipe(path: Path) -> str:
    from flowstream.recipe import load_recipe
    from flowstream.stages.recipe import Recipe

    return _digest(load_recipe(path, Recipe))


def _write_report(path: Path) -> None:
    share = {"value": 0.5, "low": 0.2, "high": 0.8, "correct": 5, "total": 10}
    measure = {"top1": share, "mean_class_accuracy": 0.5}
    content = {
        "format": "flowstream.report 1",
        "part": "test",
        "classes": ["a", "b"],
        "streams": {"flow": measure},
        "fused": None,
        "facts": {},
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _read_report(path: Path) -> str:
    from flowstream.cli.identify import _report
    from flowstream.cli.info import _format

    return _digest(_format(_report(path)))


KINDS = {
    "checkpoint": Kind("last.pt", _write_checkpoint, _read_checkpoint, True),
    "scores": Kind("scores.npz", _write_scores, _read_scores, True),
    "kitti": Kind("flow.png", _write_field, _read_field, True),
    "flo": Kind("flow.flo", _write_field, _read_field, False),
    "pfm": Kind("flow.pfm", _write_field, _read_field, False),
    "manifest": Kind("list.csv", _write_manifest, _read_manifest, False),
    "recipe": Kind("mine.toml", _write_recipe, _read_recipe, False),
    "report": Kind("report.json", _write_report, _read_report, False),
}


def read(kind: str, path: str) -> str:
    """Read a file of a kind, as a watched process does."""
    return KINDS[kind].read(Path(path))


def run(budget: Budget) -> Tally:
    """Damage files of all kinds in turn and read them in a watched process."""
    from benchmarks.faults.damage import WAYS
    from benchmarks.faults.watched import WatchedProcess

    tally, generator = budget.tally("files"), budget.generator()
    clean: dict[str, tuple[bytes, str]] = {}
    for name, kind in KINDS.items():
        path = budget.scratch / kind.name
        kind.write(path)
        clean[name] = path.read_bytes(), kind.read(path)
    with WatchedProcess(seconds=20.0) as child:
        while not budget.is_spent(tally.tried):
            for name, kind in KINDS.items():
                content, expected = clean[name]
                damaged = bytearray(content)
                what = f"{name}: {WAYS[generator.integers(len(WAYS))](damaged, generator)}"
                path = budget.scratch / kind.name
                path.write_bytes(damaged)
                answer = child.call("benchmarks.faults.artefacts:read", name, str(path))
                outcome = "detected" if answer.kind == "error" else answer.kind
                if answer.kind == "value":
                    changed = "wrong" if kind.has_checksum else "undetectable"
                    outcome = "harmless" if answer.value == expected else changed
                tally.add(outcome, f"{what} (seed {budget.seed}): {answer.value}")
    return tally
