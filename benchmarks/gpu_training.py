"""Part (d) of benchmarks/gpu.py: training steps per second of both streams."""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_parts import Add, Place, check_time
from flowstream.codec.centred8 import Centred8
from flowstream.dataset.split import Sample, Split
from flowstream.store import Header, create_stack, encode_jpeg
from flowstream.train.evaluation import Evaluation
from flowstream.train.fit import fit
from flowstream.train.recipe import StreamRecipe

STREAMS: tuple[Any, ...] = (("rgb", "single_frame", 1), ("flow", "early_fusion", 10))


def measure(place: Place, add: Add) -> None:
    size = (40, 48) if place.tiny else (256, 340)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        split = write_split(root, size, videos=4 if place.tiny else 64)
        for stream, model, frames in STREAMS:
            for is_compiled in (False, True):
                if not check_time(place, 30 if is_compiled else 12):
                    break
                if is_compiled and not place.is_cuda:
                    break
                recipe = make_recipe(place, stream, model, frames, is_compiled=is_compiled)
                out = root / f"{stream}-{is_compiled}"
                with sampled_utilisation(place) as utilisation:
                    fit(recipe, split, out, device=place.device, progress=False)
                with (out / "log.csv").open() as file:
                    last = list(csv.DictReader(file))[-1]
                steps = -(-len(split.train) // recipe.batch)
                seconds = float(last["seconds"])
                add(
                    "steps",
                    stream=stream,
                    backbone=recipe.options["backbone"],
                    batch=recipe.batch,
                    compiled=is_compiled,
                    steps_per_second=steps / seconds,
                    clips_per_second=len(split.train) / seconds,
                    data_wait=float(last["data_seconds"]) / seconds,
                    **({"utilisation": np.mean(utilisation[-8:])} if utilisation else {}),
                )


def make_recipe(
    place: Place, stream: Any, model: str, frames: int, *, is_compiled: bool
) -> StreamRecipe:
    backbone = "tiny_cnn" if place.tiny else "resnet50"
    return StreamRecipe(
        stream=stream,
        model=model,
        frames=frames,
        options={"backbone": backbone, "pretrained": False},
        size=32 if place.tiny else 224,
        batch=2 if place.tiny else 64,
        epochs=1 if place.tiny else 3,
        validation=Evaluation(segments=1, crops=1),
        amp=place.is_cuda,
        channels_last=place.is_cuda,
        compile=is_compiled,
        workers=0 if place.tiny else None,
    )


def write_split(root: Path, size: tuple[int, int], *, videos: int) -> Split:
    """Write random stacks; each is used several times in an epoch."""
    random = np.random.default_rng(1)
    header = Header(
        size=size,
        method={"name": "random"},
        sampling={"step": 1},
        codec=Centred8(),
        source="random",
        source_bytes=1,
        fps=25.0,
        source_size=size,
    )
    samples = []
    for k in range(videos):
        path = root / f"{k}.h5"
        coarse = random.normal(0, 3, (12, 2, size[0] // 4, size[1] // 4)).astype(np.float32)
        vectors = coarse.repeat(4, 2).repeat(4, 3)
        images = random.integers(0, 255, (13, size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
        with create_stack(path, header) as writer:
            for index, image in enumerate(images.repeat(4, 1).repeat(4, 2)):
                writer.add_frame(index, index / 25, encode_jpeg(image))
            writer.add_fields(vectors)
        repeats = 1 if videos < 16 else 10
        samples += [Sample(f"{k}-{r}", k % 2, f"{k}-{r}", path) for r in range(repeats)]
    return Split(("one", "other"), tuple(samples), tuple(samples[:2]), tuple(samples[:2]))


@contextmanager
def sampled_utilisation(place: Place) -> Iterator[list[float]]:
    """Collect the utilisation of the card, per cent, four times a second."""
    found: list[float] = []
    if not place.is_cuda:
        yield found
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        process = subprocess.Popen(
            [*command, "-lms", "250"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        yield found
        return
    try:
        yield found
    finally:
        process.terminate()
        text = process.communicate()[0]
        found += [float(line) for line in text.splitlines() if line.strip().isdecimal()]
