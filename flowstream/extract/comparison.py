"""Comparison of the settings of a run with those of existing stacks and of running shards."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowstream.errors import ExtractionError, StackError
from flowstream.extract.journal import read_settings, shard_journals
from flowstream.extract.settings import ExtractSettings
from flowstream.locks import is_locked
from flowstream.plugins import provenance
from flowstream.store import OUTPUTS, FlowSpec, Stack, open_stack
from flowstream.types import Size

_SHOWN = 5


def settings_digest(settings: ExtractSettings) -> str:
    """Return a digest of all settings that change a stack."""
    text = json.dumps(provenance(settings), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def list_differences(stack: Stack, settings: ExtractSettings) -> list[str]:
    """List the settings of a stack that differ from those of a run, one string each."""
    wanted = _make_spec(provenance(settings), stack.size)
    found = stack.spec.list_differences(wanted, names=("stored", "requested"))
    quality = settings.jpeg_quality if settings.rgb else 0
    for name, stored, requested in (
        ("compression", stack.header.compression, settings.compression),
        ("rgb", stack.has_rgb, settings.rgb),
        ("jpeg_quality", stack.header.jpeg_quality, quality),
        ("backward", stack.has_backward, settings.backward),
        *((name, name in stack.outputs, name in settings.outputs) for name in OUTPUTS),
    ):
        if stored != requested:
            found.append(f"{name}: stored: {stored!r}, requested: {requested!r}")
    return found


def find_other_settings(
    latest: Mapping[str, Mapping[str, Any]],
    settings: ExtractSettings,
    out: Path,
    *,
    examined: Container[str],
) -> dict[Path, list[str]]:
    """Find the stacks of a directory that were made with other settings, with the differences.

    Of all stacks with the same digest of settings in the journal, one is opened.

    Parameters
    ----------
    latest : mapping
        Last journal record of each output, from `read_latest`.
    examined : container of str
        Outputs that the run examines by itself.
    """
    digest = settings_digest(settings)
    outputs: dict[str, list[Path]] = defaultdict(list)
    for output, record in latest.items():
        other = record.get("settings", digest)
        if other != digest and record["status"] != "failed" and output not in examined:
            outputs[other].append(out / output)
    found = {}
    for paths in outputs.values():
        if differences := _first_differences(paths, settings):
            found.update({path: differences for path in paths if path.exists()})
    return found


def _first_differences(paths: Sequence[Path], settings: ExtractSettings) -> list[str]:
    """Return the differences of the first stack that can be opened."""
    for path in paths:
        if path.exists():
            with suppress(StackError), open_stack(path) as stack:
                return list_differences(stack, settings)
    return []


def difference_error(differing: Mapping[Path, Sequence[str]]) -> ExtractionError:
    """Name each setting that differs once, with the number of stacks and one of them."""
    stacks: dict[str, list[Path]] = {}
    for path, found in differing.items():
        for text in found:
            stacks.setdefault(text, []).append(path)
    lines = [
        f"\n  {text} ({paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''})"
        for text, paths in stacks.items()
    ]
    more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ExtractionError(
        f"{len(differing)} existing stacks were made with other settings; choose another directory "
        "(stacks = DIR in a recipe, --out of extract), or recompute them: flowstream extract "
        "--overwrite" + "".join(lines[:_SHOWN]) + more
    )


def check_running_shards(settings: ExtractSettings, out: Path, own: Path) -> None:
    """Raise if another shard runs in the directory with other settings.

    Parameters
    ----------
    own : Path
        Journal of this shard.

    Raises
    ------
    ExtractionError
    """
    for path, (index, count) in shard_journals(out).items():
        if path == own or not is_locked(path):
            continue
        values = read_settings(path)
        if values is not None and (found := _list_changes(values, provenance(settings))):
            raise ExtractionError(
                f"{out}: shard {index}/{count} is running with other settings; use the same "
                "settings for all shards, or another directory" + "".join(f"\n  {x}" for x in found)
            )


def _make_spec(values: Mapping[str, Any], size: Size) -> FlowSpec:
    """Return the flow spec of settings that are given as plain data."""
    return FlowSpec(
        method=values["method"],
        sampling=values["sampling"],
        size=size,
        codec=values["codec"],
        stabiliser=values["stabilise"],
    )


def _list_changes(running: Mapping[str, Any], requested: Mapping[str, Any]) -> list[str]:
    """List the settings of stacks that differ, given as plain data."""
    one, other = (_make_spec(values, (1, 1)) for values in (running, requested))
    return one.list_differences(other, names=("running", "requested")) + [
        f"{name}: running: {running[name]!r}, requested: {requested[name]!r}"
        for name in ("compression", "rgb", "jpeg_quality", "backward", "outputs")
        if running[name] != requested[name]
    ]
