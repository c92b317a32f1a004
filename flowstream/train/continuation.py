"""Check that a directory contains a run of the same recipe, videos and flow, or none."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError
from flowstream.store import FlowSpec, open_stack
from flowstream.train.checkpoint import EXTRACT_AGAIN, Checkpoint, refuse_other_stacks
from flowstream.train.recipe import NOT_TRAINED, StreamRecipe


@dataclass(frozen=True)
class Wanted:
    """Properties that a run must have in order to be continued.

    Parameters
    ----------
    recipe : StreamRecipe
    classes : tuple of str
    videos : str
        Fingerprint of the training and validation videos; see `compute_fingerprint`.
    spec : FlowSpec
        Flow spec of the training videos.
    """

    recipe: StreamRecipe
    classes: tuple[str, ...]
    videos: str
    spec: FlowSpec


def describe_wanted(recipe: StreamRecipe, split: Split) -> Wanted:
    """Return the properties of the run of a recipe on a split; read the first stack for its spec.

    Raises
    ------
    StackError
        If the stack cannot be read.
    """
    with open_stack(split.train[0].path) as stack:
        return Wanted(recipe, split.classes, compute_fingerprint(split), stack.spec)


def refuse_other_run(path: Path, found: Checkpoint, wanted: Wanted) -> None:
    """Raise `CheckpointError` if a checkpoint belongs to another run.

    The number of epochs may have increased.

    Parameters
    ----------
    path : Path
        Path of the checkpoint, for the message.
    found : Checkpoint
    wanted : Wanted
    """
    recipe, before = wanted.recipe, found.recipe.epochs
    same = replace(found.recipe, epochs=recipe.epochs)
    if same == recipe and recipe.epochs < before:
        raise CheckpointError(
            f"{path}: a run with another recipe (epochs {before}, now {recipe.epochs}); set "
            f"epochs = {before}, train into another directory, or use --retrain"
        )
    videos = (found.resume or {}).get("videos")
    for what, holds in (
        ("another recipe", same == recipe),
        ("other classes", found.classes == wanted.classes),
        ("other videos", videos == wanted.videos),
    ):
        if not holds:
            raise CheckpointError(
                f"{path}: a run with {what}{_list_changes(found.recipe, recipe)}; use "
                "flowstream train --retrain, train into another directory, or remove this one"
            )
    refuse_other_stacks(
        found.spec,
        wanted.spec,
        stream=recipe.stream,
        where=f"{path}: the training videos",
        way_out=f"{EXTRACT_AGAIN}, or use flowstream train --retrain",
    )


def compute_fingerprint(split: Split) -> str:
    """Return a digest of the videos and labels that a run is trained and validated on."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (split.train, split.validation):
        lines = (f"{sample.video}\0{sample.label}" for sample in part)
        digest.update("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n\n")
    return digest.hexdigest()


def _list_changes(found: StreamRecipe, wanted: StreamRecipe) -> str:
    """Return the fields of two recipes that differ, for a message; at most five."""
    one, other = asdict(found), asdict(wanted)
    changed = [
        f"{key} {one[key]!r}, now {other[key]!r}"
        for key in one
        if one[key] != other[key] and key not in NOT_TRAINED
    ]
    more = [f"and {len(changed) - 5} more"] if len(changed) > 5 else []
    return f" ({'; '.join(changed[:5] + more)})" if changed else ""
