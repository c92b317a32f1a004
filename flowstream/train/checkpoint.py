"""Checkpoints: a model's recipe, classes, weights and flow spec.

A file has torch's format and contains only plain data and tensors. It is read with
`weights_only=True`, so no code in it is executed. A digest of its whole content is checked, so a
checkpoint with a flipped bit is rejected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import flowstream
from flowstream.disk import whole_file
from flowstream.errors import CheckpointError, FlowstreamError
from flowstream.models.inspect.bounds import refuse_huge_tensors
from flowstream.models.inspect.describe import build_on_meta
from flowstream.models.model import Classifier
from flowstream.plugins import provenance
from flowstream.recipe import build
from flowstream.store import FlowSpec
from flowstream.train.checkpoint_file import check_tensor, compute_digest, read_content
from flowstream.train.recipe import StreamRecipe
from flowstream.train.streams import sees_flow

FORMAT = "flowstream.checkpoint"
FORMAT_VERSION = 2

_TYPES: Mapping[str, Any] = {
    "recipe": Mapping,
    "classes": list,
    "spec": Mapping,
    "weights": Mapping,
    "epoch": int,
    "measures": Mapping,
    "resume": Mapping | None,
}


EXTRACT_AGAIN = "extract with the settings of training"
"""Way out for stacks that differ from those of the training."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Trained stream.

    Parameters
    ----------
    recipe : StreamRecipe
    classes : K names
    spec : FlowSpec
        Origin of the training clips.
    weights : mapping from name to Tensor
        Weights of the network, on the CPU.
    epoch : int
        Number of epochs of training.
    measures : mapping from name to number
        Measures of the last of these epochs.
    resume : mapping or None
        State for continuing the training; only in `last.pt`.
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
        """Digest of recipe, classes, flow and weights: 32 hexadecimal digits."""
        plain = [provenance(self.recipe), list(self.classes), self.spec.as_dict()]
        weights = {name: value.detach().cpu() for name, value in sorted(self.weights.items())}
        return compute_digest([json.dumps(plain, sort_keys=True), weights])

    def network(self) -> Classifier:
        """Build the trained network, on the CPU, in evaluation mode.

        Raises
        ------
        CheckpointError
            If the weights do not belong to the model of the recipe.
        """
        architecture, clip = self.recipe.architecture, self.recipe.clip
        # shapes are compared before memory is allocated: a recipe may claim a network of any size
        with refuse_huge_tensors():
            expected = build_on_meta(architecture, clip, len(self.classes)).state_dict()
        self._check_shapes(expected)
        model = architecture.build(clip, len(self.classes), blank=True)
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"weights do not fit model {self.recipe.model!r}: {reason}"
            ) from error
        return model.eval()

    def _check_shapes(self, expected: Mapping[str, Tensor]) -> None:
        """Raise `CheckpointError` unless the weights have the expected names, shapes and types."""
        where = f"weights do not fit model {self.recipe.model!r}"
        for name, value in expected.items():
            if name not in self.weights:
                raise CheckpointError(f"{where}: {name!r} is missing")
            got = self.weights[name]
            if got.shape != value.shape or got.dtype != value.dtype:
                raise CheckpointError(
                    f"{where}: {name!r} is {got.dtype} {tuple(got.shape)}, expected {value.dtype} "
                    f"{tuple(value.shape)}"
                )
        unknown = [name for name in self.weights if name not in expected]
        if unknown:
            raise CheckpointError(f"{where}: {unknown[0]!r} is unknown")


def check_spec(checkpoint: Checkpoint, spec: FlowSpec, *, where: str = "these stacks") -> None:
    """Raise `CheckpointError` if stacks differ from those of the training.

    For a flow stream, method, sampling, size and codec must be equal. For an RGB stream, only
    sampling and size must be equal, because its frames do not depend on the flow.

    Raises
    ------
    CheckpointError
        The message lists all differences.
    """
    refuse_other_stacks(checkpoint.spec, spec, stream=checkpoint.recipe.stream, where=where)


def refuse_other_stacks(
    trained: FlowSpec, spec: FlowSpec, *, stream: str, where: str, way_out: str = EXTRACT_AGAIN
) -> None:
    """Raise `CheckpointError` if stacks differ from those of a stream in training."""
    if not sees_flow(stream):
        spec, trained = (replace(one, method={}, codec={}) for one in (spec, trained))
    differences = spec.list_differences(trained, names=("stacks", "training"))
    if differences:
        raise CheckpointError(
            f"{where}: the {stream} stream was trained on other stacks: {'; '.join(differences)}; "
            + way_out
        )


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file is complete or does not exist.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "flowstream": flowstream.__version__,
        # the protocol of evaluation is not part of the identity
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
    content["digest"] = compute_digest(content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as a RuntimeError, with the system's error as its context
        cause = error if isinstance(error, OSError) else error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else "is the disk full?"
        raise CheckpointError(
            f"{path}: cannot write the checkpoint: {reason}; an older one there is unchanged"
        ) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; its tensors are on the CPU.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is not a checkpoint, is truncated, corrupted or incomplete, or
        has another format version.
    """
    content = read_content(Path(path))
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a flowstream checkpoint, but torch can read it")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        raise CheckpointError(
            f"{path}: got format version {version!r:.20}, expected {FORMAT_VERSION}; "
            f"{'upgrade flowstream' if newer else 'train again'}"
        )
    try:
        digest = content.pop("digest")
        if compute_digest(content) != digest:
            raise CheckpointError("the content does not match its digest; use a backup")
        return _make_checkpoint(content)
    except KeyError as error:
        raise CheckpointError(
            f"{path}: the checkpoint lacks {error.args[0]!r}; it was damaged or edited"
        ) from error
    except (FlowstreamError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: a corrupted checkpoint: {reason:.300}") from error


def _make_checkpoint(content: Mapping[str, Any]) -> Checkpoint:
    """Check the types of a file's content and make a checkpoint of it."""
    for key, kind in _TYPES.items():
        if not isinstance(content[key], kind):
            got = type(content[key]).__name__
            raise CheckpointError(f"{key}: got a {got}, expected {_name_type(kind)}")
    classes = content["classes"]
    if not all(isinstance(name, str) and name for name in classes):
        raise CheckpointError("classes: expected names, got another type")
    if not classes or len(set(classes)) != len(classes):
        raise CheckpointError("classes: expected different names, at least one")
    for name, value in content["measures"].items():
        if not isinstance(name, str) or not isinstance(value, int | float | None):
            raise CheckpointError(f"measures: {name!r:.40} is a {type(value).__name__}")
    return Checkpoint(
        recipe=build(StreamRecipe, content["recipe"], where="recipe"),
        classes=tuple(classes),
        spec=FlowSpec.from_dict(content["spec"]),
        weights={name: _check_weight(name, value) for name, value in content["weights"].items()},
        epoch=content["epoch"],
        measures=content["measures"],
        resume=content["resume"],
    )


def _name_type(kind: Any) -> str:
    return {Mapping: "a table", list: "a list", int: "an integer"}.get(kind, "a table or nothing")


def _check_weight(name: object, value: object) -> Tensor:
    """Return a weight of the network; raise `CheckpointError` if it is not a valid one."""
    tensor = check_tensor(name, value)
    if not isinstance(name, str):
        raise CheckpointError(f"weights: {name!r:.40} is not a name")
    if tensor.is_floating_point() and tensor.dtype != torch.float32:
        raise CheckpointError(f"weights: {name!r} is {tensor.dtype}, expected torch.float32")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise CheckpointError(f"weights: {name!r} holds values that are not finite numbers")
    return tensor
