"""Array types that all packages share, and the meaning of their axes.

Each letter has one meaning: N batch, C channels, T frames, L fields, H rows, W columns, K classes.

- A flow field is `(2, H, W)` float32: dx then dy, right and down positive, pixels per frame step,
  anchored on the earlier frame: the pixel at (x, y) of frame i is at (x+dx, y+dy) of frame j.
- A flow stack is `(2(T-1), H, W)`: dx0 dy0 dx1 dy1 ...; L fields from s are `stack[2s : 2(s+L)]`.
- A clip for a model is `(C, T, H, W)`, C=3 for RGB and C=2 for flow; a batch `(N, C, T, H, W)`;
  scores `(N, K)`.
- A size is `(rows, columns)` in Python, and `WxH` on the command line and in recipes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""Flow in pixels per frame step, float32, `(..., 2, H, W)`."""

Codes: TypeAlias = NDArray[Any]
"""Flow quantised by a codec, `(..., 2, H, W)`, in the dtype of the codec."""

Images: TypeAlias = NDArray[np.uint8]
"""Frames, uint8: luma `(..., H, W)` or RGB `(..., H, W, 3)`."""

Size: TypeAlias = tuple[int, int]
"""(rows, columns)."""
