"""The contract of an export format, and the comparison of a file with its network."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import flowstream
from flowstream.disk import whole_file
from flowstream.errors import CheckpointError, MissingDependencyError
from flowstream.models.model import Classifier, PairClassifier
from flowstream.train.checkpoint import Checkpoint, load_checkpoint
from flowstream.train.clips import make_normalise

TOLERANCE = 1e-4
"""Largest accepted difference between the scores of the file and of the network.

Scores above 1 may differ by as much of the largest one, because float32 is rounded by so much.
"""

BATCHES = (1, 3)
"""Sizes of the batches that are compared; one clip is the size that exporters treat apart."""

OUTPUT = "scores"

Arrays = Mapping[str, NDArray[np.float32]]


class Export(ABC):
    """Format of an exported network."""

    name: ClassVar[str]
    """Its name in EXPORTS."""

    @abstractmethod
    def write(
        self, network: nn.Module, inputs: Mapping[str, Tensor], path: Path, *, metadata: str
    ) -> None:
        """Write a network with its metadata, a JSON text; its batches may have any size.

        Parameters
        ----------
        network : nn.Module
            Takes the inputs in their order.
        inputs : mapping from name to Tensor
            Examples of the inputs, in a batch of two.
        path : Path
        metadata : str
        """

    @abstractmethod
    def run(self, path: Path, inputs: Arrays) -> NDArray[np.float32] | None:
        """Return the scores of a file; None if the package that runs it is missing."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Parameters
    ----------
    path : Path
    format : str
    bytes : int
    difference : float or None
        Largest difference of a score from the network's; None if nothing could run the file.
    metadata : mapping
        Content of the file's metadata.
    """

    path: Path
    format: str
    bytes: int
    difference: float | None
    metadata: Mapping[str, Any]


def export_checkpoint(checkpoint: Path, out: Path, *, format: str) -> Exported:
    """Write a checkpoint's network in another format, and compare its scores.

    The file is complete or does not exist.

    Raises
    ------
    CheckpointError
        If the checkpoint is not valid, the network cannot be exported, the file cannot be written,
        or its scores differ by more than `TOLERANCE`.
    MissingDependencyError
        If a package for the format is missing.
    """
    import json

    from flowstream.train.export import EXPORTS

    trained = load_checkpoint(checkpoint)
    network, exporter = trained.network(), EXPORTS[format]()
    metadata = describe_network(trained, network)
    text = json.dumps(metadata, sort_keys=True)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out) as part:
            _write(exporter, network, part, metadata=text, where=f"{checkpoint}")
            difference = compare(exporter, network, part)
            if difference is not None and not difference <= TOLERANCE:
                raise CheckpointError(
                    f"{out}: scores differ from the network's by {difference:.2g}, expected at "
                    f"most {TOLERANCE:g}; the file was removed"
                )
    except OSError as error:
        raise CheckpointError(f"{out}: cannot write the file: {error.strerror}") from error
    return Exported(out, format, out.stat().st_size, difference, metadata)


def compare(exporter: Export, network: Classifier, path: Path) -> float | None:
    """Return the largest difference between scores of a file and of its network.

    The clips are noise, in batches of other sizes than that of the export. The difference is
    divided by the largest score if that is above 1.
    """
    largest = 0.0
    for count in BATCHES:
        inputs = make_inputs(network, count=count, seed=count)
        with torch.inference_mode():
            expected = network(*inputs.values()).numpy()
        found = exporter.run(path, {name: values.numpy() for name, values in inputs.items()})
        if found is None:
            return None
        if found.shape != expected.shape:
            return math.inf
        difference = float(np.abs(found - expected).max())
        largest = max(largest, difference / max(1.0, float(np.abs(expected).max())))
    return largest


def make_inputs(network: Classifier, *, count: int, seed: int) -> dict[str, Tensor]:
    """Return inputs of noise by name, each (N, C, T, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = network.inputs if isinstance(network, PairClassifier) else (network.clip,)
    names = ("rgb", "flow") if isinstance(network, PairClassifier) else ("clips",)
    return {
        name: torch.randn(count, *shape.lengths, generator=generator) / 2
        for name, shape in zip(names, shapes, strict=True)
    }


def describe_network(checkpoint: Checkpoint, network: Classifier) -> dict[str, Any]:
    """Return the metadata for running the network: inputs, normalisation and classes."""
    recipe = checkpoint.recipe
    normalise = make_normalise(recipe)
    rgb = {"values": "(RGB / 255 - mean) / std", "mean": normalise.mean, "std": normalise.std}
    flow = {"values": "flow in pixels / bound; dx right, dy down", "bound": recipe.bound}
    difference = {"values": "difference of RGB frames / 255 / std", "std": normalise.std}
    rules: dict[str, dict[str, Any]] = {"rgb": rgb, "flow": flow, "rgb_difference": difference}
    inputs = make_inputs(network, count=1, seed=0)
    return {
        "flowstream": flowstream.__version__,
        "checkpoint": checkpoint.identity,
        "model": recipe.model,
        "stream": recipe.stream,
        "inputs": [
            {
                "name": name,
                "shape": ["N", *values.shape[1:]],
                "axes": "N C T H W",
                **rules[recipe.stream if recipe.stream != "both" else name],
                **({"channels": list(recipe.channels)} if recipe.channels else {}),
            }
            for name, values in inputs.items()
        ],
        "output": {"name": OUTPUT, "shape": ["N", len(checkpoint.classes)], "of": "softmax input"},
        "classes": list(checkpoint.classes),
        "flow": checkpoint.spec.as_dict(),
    }


def _write(exporter: Export, network: Classifier, path: Path, *, metadata: str, where: str) -> None:
    """Write the file; convert any error of torch's exporters to one line."""
    inputs = make_inputs(network, count=2, seed=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own converters
            exporter.write(network, inputs, path, metadata=metadata)
    except (MissingDependencyError, OSError):
        raise
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"export {exporter.name!r} needs {error.name!r}; install it with: pip install "
            "'flowstream[export]'"
        ) from error
    except Exception as error:  # torch has no common class for errors of its exporters
        lines: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{where}: this network cannot be exported to {exporter.name!r}: {lines[0]:.160}"
        ) from error
