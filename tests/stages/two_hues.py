"""The smallest action set that can be learnt, and a recipe's tables for it."""

from __future__ import annotations

from pathlib import Path

from flowstream.synthetic import write_action_set

TABLES = """
out = "{folder}/run"
[extract]
sources = ["{folder}/videos/manifest.csv"]
method = "farneback"
[split]
layout = "manifest"
files = "{folder}/videos/manifest.csv"
"""
"""To be formatted with the folder; streams follow."""


def write_tiny_set(directory: Path, **changes: int) -> None:
    """Write two classes of four videos; `changes` replace arguments of `write_action_set`."""
    values = {"appearances": 2, "motions": 1, "train": 2, "validation": 1, "test": 1, "frames": 6}
    write_action_set(directory, size=(32, 32), **{**values, **changes})


def write_two_hues(folder: Path, streams: str) -> Path:
    """Two classes of four videos in `folder/videos`; the recipe, `TABLES` and streams."""
    write_tiny_set(folder / "videos")
    path = folder / "recipe.toml"
    path.write_text((TABLES + streams).format(folder=folder.as_posix()))
    return path
