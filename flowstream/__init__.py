"""Dense optical flow of whole video datasets, and two-stream networks trained on it.

All names are imported at first use, so that `import flowstream` does not load torch, cv2, numba or
h5py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from flowstream.codec import CODECS
    from flowstream.dataset.torch_dataset import StackDataset
    from flowstream.flow import METHODS
    from flowstream.flow.draw import draw_field
    from flowstream.flow.files import read_flow, write_flow
    from flowstream.fusion import FUSIONS
    from flowstream.models import MODELS, build_model
    from flowstream.store import open_stack

_LAZY = {
    "METHODS": "flowstream.flow",
    "CODECS": "flowstream.codec",
    "MODELS": "flowstream.models",
    "FUSIONS": "flowstream.fusion",
    "draw_field": "flowstream.flow.draw",
    "open_stack": "flowstream.store",
    "read_flow": "flowstream.flow.files",
    "write_flow": "flowstream.flow.files",
    "build_model": "flowstream.models",
    "StackDataset": "flowstream.dataset.torch_dataset",
}

__all__ = [
    "CODECS",
    "FUSIONS",
    "METHODS",
    "MODELS",
    "StackDataset",
    "__version__",
    "build_model",
    "draw_field",
    "open_stack",
    "read_flow",
    "write_flow",
]


def __getattr__(name: str) -> Any:
    from flowstream.plugins import lazy_attributes

    return lazy_attributes(__name__, _LAZY)(name)


def __dir__() -> list[str]:
    return sorted(__all__)
