"""Checkpoints: a model's recipe, classes, weights and the flow that it was trained on.

A file is torch's own format with plain data and tensors only; it is read with `weights_only=True`,
so nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import flowstream
from flowstream.disk import whole_file
from flowstream.errors import CheckpointError, FlowstreamError
from flowstream.models.model import Classifier
from flowstream.plugins import provenance
from flowstream.recipe import build
from flowstream.store import FlowSpec
from flowstream.train.recipe import StreamRecipe

FORMAT = "flowstream.checkpoint"
FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained stream.

    Parameters
    ----------
    recipe : StreamRecipe
    classes : K names
    spec : FlowSpec
        What the clips came from.
    weights : mapping from name to Tensor
        Of the network, on the CPU.
    epoch : int
        How many epochs it was trained for.
    measures : mapping from name to number
        Of that epoch.
    resume : mapping or None
        What training needs to go on; only in `last.pt`.
    """

    recipe: StreamRecipe
    classes: tuple[str, ...]
    spec: FlowSpec
    weights: Mapping[str, Tensor]
    epoch: int
    measures: Mapping[str, float | None]
    resume: Mapping[str, Any] | None = None

    @property
    def identity(self) -> str:
        """Digest of recipe, classes, flow and weights, 32 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=16)
        plain = [provenance(self.recipe), list(self.classes), self.spec.as_dict()]
        digest.update(json.dumps(plain, sort_keys=True).encode())
        for name, value in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def network(self) -> Classifier:
        """The trained network, on the CPU, in evaluation mode.

        Raises
        ------
        CheckpointError
            If the weights are not those of the recipe's model.
        """
        model = self.recipe.architecture.build(self.recipe.clip, len(self.classes), blank=True)
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"weights do not fit model {self.recipe.model!r}: {reason}"
            ) from error
        return model.eval()


def check_spec(checkpoint: Checkpoint, spec: FlowSpec, *, where: str = "these stacks") -> None:
    """Refuse stacks that were not made like those that the checkpoint was trained on.

    A flow stream is bound to method, sampling, size and codec. An RGB stream is bound to sampling
    and size alone: its frames are the same whatever flow was computed between them.

    Raises
    ------
    CheckpointError
        With everything that differs.
    """
    refuse_other_stacks(checkpoint.spec, spec, stream=checkpoint.recipe.stream, where=where)


def refuse_other_stacks(trained: FlowSpec, spec: FlowSpec, *, stream: str, where: str) -> None:
    """What `check_spec` does, for a stream that is still in training."""
    if stream in ("rgb", "rgb_difference"):
        spec, trained = (replace(one, method={}, codec={}) for one in (spec, trained))
    differences = spec.differences(trained)
    if differences:
        raise CheckpointError(
            f"{where}: not what the {stream} stream was trained on: {'; '.join(differences)} "
            "(there: in training); extract with the settings of training"
        )


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "flowstream": flowstream.__version__,
        # how it is evaluated by default is no part of its identity
        "recipe": {
            **provenance(checkpoint.recipe),
            "evaluation": provenance(checkpoint.recipe.evaluation),
        },
        "classes": list(checkpoint.classes),
        "spec": checkpoint.spec.as_dict(),
        "weights": dict(checkpoint.weights),
        "epoch": checkpoint.epoch,
        "measures": dict(checkpoint.measures),
        "resume": None if checkpoint.resume is None else dict(checkpoint.resume),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            torch.save(content, file)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot write the checkpoint: {error.strerror}") from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; tensors come to the CPU.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is not a checkpoint, is cut off, lacks something, or is of a
        newer format.
    """
    content = _read(Path(path))
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a flowstream checkpoint, though torch can read it")
    version = content.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: got format version {version}, expected {FORMAT_VERSION} at most; "
            "upgrade flowstream"
        )
    try:
        return Checkpoint(
            recipe=build(StreamRecipe, content["recipe"], where="recipe"),
            classes=tuple(content["classes"]),
            spec=FlowSpec.from_dict(content["spec"]),
            weights=content["weights"],
            epoch=content["epoch"],
            measures=content["measures"],
            resume=content["resume"],
        )
    except KeyError as error:
        raise CheckpointError(
            f"{path}: the checkpoint lacks {error.args[0]!r}; it was damaged or edited"
        ) from error
    except (FlowstreamError, TypeError) as error:
        raise CheckpointError(f"{path}: a damaged checkpoint: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise CheckpointError(f"{path}: not a checkpoint, or a file that was cut off")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot read the checkpoint: {reason}") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: not a checkpoint, or a damaged one") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a flowstream checkpoint, though torch can read it")
    return content
