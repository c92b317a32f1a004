"""Directory of a run: its recipe, which is stored with the results, and its summary."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.disk import read_json, whole_file
from flowstream.errors import CheckpointError, RecipeError
from flowstream.progress import Progress
from flowstream.recipe import apply_settings, build
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.dataset import Split

MAX_BYTES = 2**26
"""Limit of the size of a JSON file of a run."""

RECORD = "recipe.json"
"""File of the resolved recipe in the directory of a run."""


@dataclass(frozen=True)
class RunSummary:
    """Facts about a run, collected without loading a network.

    `top1` is the accuracy of each stream on the test part; it is empty until the run is complete.
    """

    path: Path
    streams: tuple[str, ...]
    epochs: dict[str, str]
    top1: dict[str, float]
    modified: float


def write_run(recipe: Recipe) -> None:
    """Write the resolved recipe into the directory of its run, with absolute paths.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    record = asdict(recipe)
    record["stacks"] = recipe.stack_directory
    try:
        recipe.out.mkdir(parents=True, exist_ok=True)
        with whole_file(recipe.out / RECORD) as part:
            text = json.dumps(record, indent=2, default=_make_plain)
            part.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{recipe.out}: cannot write the run: {error.strerror}") from error


def load_run(directory: Path, *, settings: Iterable[str] = ()) -> Recipe:
    """Return the recipe of a run from its directory, changed by `settings`.

    Raises
    ------
    RecipeError
        If the directory contains no run, or a setting is invalid.
    """
    path = directory / RECORD
    try:
        values = read_json(path, limit=MAX_BYTES)
    except OSError as error:
        raise RecipeError(
            f"{directory}: not the directory of a run (no {RECORD}); expected the `out` of a recipe"
        ) from error
    except ValueError as error:
        raise RecipeError(f"{path}: damaged; start the run again to write it again") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: damaged; start the run again to write it again")
    values["out"] = str(directory)
    apply_settings(values, settings, where=str(path))
    return build(Recipe, values, where=str(path))


def list_runs(directory: Path) -> list[RunSummary]:
    """Return the runs below a directory, the latest first."""
    runs = [_summarise(path.parent) for path in _walk(directory)]
    return sorted(runs, key=lambda run: run.modified, reverse=True)


def find_changed_streams(recipe: Recipe, split: Split) -> dict[str, CheckpointError]:
    """Return the streams whose directory has a run of another recipe, other videos or flow.

    A stream that does not depend on the change is not among them. For example, RGB streams do not
    depend on the flow method. Nothing is written.

    Returns
    -------
    mapping from the name of a stream to the error with which its training would end
    """
    from flowstream.train import TRAINERS

    changed = {}
    for name, stream in recipe.streams.items():
        trainer = build(TRAINERS[stream.trainer], stream.trainer_options, where=f"streams.{name}")
        try:
            trainer.check_run(stream, split, recipe.out / name)
        except CheckpointError as error:
            changed[name] = error
    return changed


def refuse_changed_streams(recipe: Recipe, split: Split) -> None:
    """Raise the first error of `find_changed_streams`."""
    for error in find_changed_streams(recipe, split).values():
        raise error


def set_streams_aside(recipe: Recipe, names: Iterable[str]) -> None:
    """Rename the directories of some streams to `NAME.before-DATE`."""
    for name in names:
        directory = recipe.out / name
        target = first = directory.with_name(f"{name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        count = 1
        while target.exists():  # moved in the same second
            count += 1
            target = first.with_name(f"{first.name}-{count}")
        os.replace(directory, target)
        Progress().say(f"{name}: trained with other settings; moved to {target}, training again")


def _summarise(path: Path) -> RunSummary:
    values = read_json(path / RECORD, limit=MAX_BYTES)
    streams = values.get("streams", {})
    epochs = {}
    for name, stream in streams.items():
        log = path / name / "log.csv"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        if lines and not lines[0].startswith("epoch"):  # a trainer without epochs
            epochs[name] = "trained"
            continue
        epochs[name] = f"{max(0, len(lines) - 1)}/{stream.get('epochs', '?')}"
    top1: dict[str, float] = {}
    report = path / "report" / "report.json"
    if report.exists():
        content = read_json(report, limit=MAX_BYTES)
        measures = dict(content.get("streams", {}))
        if content.get("fused"):
            measures["fused"] = content["fused"]
        top1 = {name: one["top1"]["value"] for name, one in measures.items()}
    modified = max(file.stat().st_mtime for file in path.iterdir())
    return RunSummary(path, tuple(streams), epochs, top1, modified)


def _walk(directory: Path) -> Iterator[Path]:
    for root, directories, files in os.walk(directory):
        directories[:] = sorted(
            name for name in directories if name not in ("stacks", "tensorboard")
        )
        if RECORD in files:
            yield Path(root, RECORD)


def _make_plain(value: Any) -> Any:
    return str(value.absolute()) if isinstance(value, Path) else str(value)
