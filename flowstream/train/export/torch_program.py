"""Programs of `torch.export`, which torch runs without flowstream."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flowstream.train.export.export import Arrays, Export

METADATA = "flowstream.json"
"""Name of the extra file with the metadata."""


class TorchProgram(Export):
    """File of `torch.export.save` (.pt2), its metadata in the extra file `flowstream.json`."""

    name: ClassVar[str] = "torch-export"

    def write(
        self, network: nn.Module, inputs: Mapping[str, Tensor], path: Path, *, metadata: str
    ) -> None:
        """Write the program."""
        batch = torch.export.Dim("N")
        shapes = tuple({0: batch} for _ in inputs)
        program = torch.export.export(network, tuple(inputs.values()), dynamic_shapes=shapes)
        program.example_inputs = None  # two clips, which may be a thousand times the network
        # into memory first: torch wants the suffix .pt2 of a file that is not finished yet
        content = io.BytesIO()
        torch.export.save(program, content, extra_files={METADATA: metadata})
        path.write_bytes(content.getvalue())

    def run(self, path: Path, inputs: Arrays) -> NDArray[np.float32] | None:
        """Return the scores of the program."""
        program = torch.export.load(io.BytesIO(path.read_bytes()))
        with torch.inference_mode():
            scores = program.module()(*(torch.from_numpy(values) for values in inputs.values()))
        found: NDArray[np.float32] = scores.numpy()
        return found
