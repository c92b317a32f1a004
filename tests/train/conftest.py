"""A toy data set of real stacks: two classes that differ in colour and in direction of motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.dataset.split import Sample, Split
from flowstream.train.evaluation import Evaluation
from flowstream.train.recipe import StreamRecipe
from tests.small_stack import write_fields
from tests.tiny_models import single_thread

SIZE = (20, 24)
FIELDS = 6

Recipes = Callable[..., StreamRecipe]


def write_video(
    path: Path, label: int, *, seed: int, method: str = "known", fields: int = FIELDS
) -> None:
    """Red and sideways, or green and up and down; the rest is noise."""
    random = np.random.default_rng((seed, label))
    vectors = random.normal(0, 1, (fields, 2, *SIZE)).astype(np.float32)
    vectors[:, label] += random.choice([-3, 3])
    images = random.integers(60, 140, (fields + 1, *SIZE, 3), dtype=np.uint8)
    images[..., label] += 60
    write_fields(path, vectors, images=images, method={"name": method}, source=path.stem)


def write_split(
    root: Path, *, train: int, validation: int, test: int, method: str, fields: int = FIELDS
) -> Split:
    """So many videos of each class in each part."""
    parts: dict[str, tuple[Sample, ...]] = {}
    for number, (part, count) in enumerate(
        (("train", train), ("validation", validation), ("test", test))
    ):
        samples = []
        for index in range(count):
            for label, name in enumerate(("across", "down")):
                path = root / part / name / f"{index}.h5"
                write_video(path, label, seed=100 * number + index, method=method, fields=fields)
                samples.append(Sample(f"{part}/{name}/{index}", label, str(index), path))
        parts[part] = tuple(samples)
    return Split(("across", "down"), parts["train"], parts["validation"], parts["test"])


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Twelve training videos, six of validation, eight of test."""
    root = tmp_path_factory.mktemp("stacks")
    return write_split(root, train=6, validation=3, test=4, method="known")


@pytest.fixture(scope="session")
def long_split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """A few videos, long enough for every model: four to train on, four to test."""
    root = tmp_path_factory.mktemp("long")
    return write_split(root, train=2, validation=0, test=2, method="known", fields=8)


@pytest.fixture(scope="session")
def other_split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The same videos with flow of another method."""
    root = tmp_path_factory.mktemp("other")
    return write_split(root, train=6, validation=3, test=4, method="unknown")


@pytest.fixture(scope="session")
def recipe() -> Recipes:
    """`recipe("flow", epochs=3)`: a recipe of the toy's size with changes."""

    def make(stream: str = "flow", **changes: Any) -> StreamRecipe:
        plain = StreamRecipe(
            stream="rgb" if stream == "rgb" else "flow",
            model="single_frame" if stream == "rgb" else "early_fusion",
            frames=1 if stream == "rgb" else 4,
            options={"backbone": "small_cnn", "pretrained": False, "dropout": 0.2},
            size=16,
            batch=4,
            epochs=4,
            optimiser="adamw",
            learning_rate=0.01,
            warm_up=0.5,
            augment=(
                {"name": "corner_crop", "scales": [1.0, 0.875]},
                {"name": "horizontal_flip"},
            ),
            validation=Evaluation(segments=1, crops=1),
            evaluation=Evaluation(segments=2, crops=10),
            workers=0,
        )
        return replace(plain, **changes)

    return make
