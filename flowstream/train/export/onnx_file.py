"""ONNX files, run by onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flowstream.train.export.export import OUTPUT, Arrays, Export

METADATA = "flowstream"
"""Key of the JSON text in the metadata of the file."""


class OnnxFile(Export):
    """One ONNX file with its weights, its metadata under the key `flowstream`."""

    name: ClassVar[str] = "onnx"

    def write(
        self, network: nn.Module, inputs: Mapping[str, Tensor], path: Path, *, metadata: str
    ) -> None:
        """Write the file with torch's exporter."""
        import onnx

        batch = torch.export.Dim("N")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):  # progress of torch's exporter
            program = torch.onnx.export(
                network,
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=[OUTPUT],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                verbose=False,
            )
        assert program is not None  # as always with dynamo=True
        model = program.model_proto
        onnx.helper.set_model_props(model, {METADATA: metadata})
        onnx.save(model, path)

    def run(self, path: Path, inputs: Arrays) -> NDArray[np.float32] | None:
        """Return the scores by onnxruntime on the CPU; None if it is not installed."""
        try:
            import onnxruntime
        except ModuleNotFoundError:
            return None
        session = onnxruntime.InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
        scores: NDArray[np.float32] = session.run([OUTPUT], dict(inputs))[0]
        return scores
