"""Record of a run: recipe, versions and data."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import flowstream
from flowstream.dataset.split import Split
from flowstream.disk import whole_file
from flowstream.store import FlowSpec
from flowstream.store.pack import count_bytes
from flowstream.train.recipe import StreamRecipe

RECORD = "run.json"
_PACKAGES = ("torch", "torchvision", "numpy", "h5py", "opencv-contrib-python", "av")


def write_record(out: Path, recipe: StreamRecipe, split: Split, *, spec: FlowSpec) -> None:
    """Write `run.json`: the resolved recipe, versions, seed, and a fingerprint of the data."""
    record = {
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        "classes": list(split.classes),
        "split": split.summary(),
        "data": compute_data_fingerprint(split),
        "flow": spec.as_dict(),
        "versions": list_versions(),
        "git": find_git_commit(),
        "command": sys.argv,
    }
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / RECORD) as part:
        part.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def compute_data_fingerprint(split: Split) -> str:
    """Return a digest of the videos, labels, parts and sizes of the stacks of a split."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (split.train, split.validation, split.test):
        for sample in part:
            line = f"{sample.video}\0{sample.label}\0{count_bytes(sample.path)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        digest.update(b"\n")
    return digest.hexdigest()


def list_versions() -> dict[str, str]:
    """Return the versions of flowstream, Python and the packages that results depend on."""
    versions = {"flowstream": flowstream.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def find_git_commit() -> str | None:
    """Return the commit of the working directory's repository, `-dirty` with changes, or None."""

    def git(*words: str) -> str:
        done: Any = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, timeout=5
        )
        return str(done.stdout).strip()

    try:
        changed = "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return None
