"""Export of a trained network to files that other programs run.

`EXPORTS[name]` writes one format and runs the file on some clips; `export_checkpoint` compares the
result with the network's.
"""

from __future__ import annotations

from flowstream.plugins import Plugins
from flowstream.train.export.export import Export, Exported, export_checkpoint

EXPORTS: Plugins[type[Export]] = Plugins(
    "export format",
    {
        "onnx": "flowstream.train.export.onnx_file:OnnxFile",
        "torch-export": "flowstream.train.export.torch_program:TorchProgram",
    },
    extras={"onnx": "export", "onnxscript": "export", "onnxruntime": "export"},
)
"""Formats of exported networks by name."""

__all__ = ["EXPORTS", "Export", "Exported", "export_checkpoint"]
