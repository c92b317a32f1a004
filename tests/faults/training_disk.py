"""Train on a disk that is full, and again with room; print what became of it.

    python -m tests.faults.training_disk DIRECTORY

DIRECTORY is a small file system.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from flowstream.errors import CheckpointError
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.fit import fit
from flowstream.train.recipe import StreamRecipe
from tests.faults.full_disk import fill
from tests.train.conftest import write_split


def main() -> None:
    """Train one epoch, then two more on a full disk, then with room, and print the results."""
    torch.set_num_threads(1)
    disk = Path(sys.argv[1])
    split = write_split(disk.parent, train=2, validation=0, test=0, method="known")
    options = {"backbone": "small_cnn", "pretrained": False}
    recipe = StreamRecipe(
        "flow",
        "early_fusion",
        frames=4,
        size=16,
        epochs=3,
        batch=2,
        workers=2,
        options=options,
        # a rate that does not depend on the number of epochs
        schedule="step",
        milestones=(50,),
    )

    def train(name: str, epochs: int) -> str:
        out, some = disk / name, replace(recipe, epochs=epochs)
        return load_checkpoint(fit(some, split, out, device="cpu", progress=False)).identity

    whole = train("whole", 3)
    train("run", 1)
    last = disk / "run" / "last.pt"
    before = last.read_bytes()
    filler = fill(disk, left=8192)
    try:
        train("run", 3)
        error = ""
    except CheckpointError as caught:
        error = str(caught)
    unchanged, parts = last.read_bytes() == before, [*disk.rglob("*.part")]
    filler.unlink()
    same = train("run", 3) == whole
    found = {"error": error, "unchanged": unchanged, "parts": len(parts), "same": same}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
