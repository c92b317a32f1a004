"""Summary of a stack as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flowstream.plugins import provenance
from flowstream.store.outputs import OUTPUTS

if TYPE_CHECKING:
    from flowstream.store.stack import Stack


def summarise(stack: Stack) -> dict[str, Any]:
    """Return the header, counts and sizes on disk of a stack as plain data for JSON."""
    items = stack.open_file().index.items
    time = stack.time
    stored = {name: int(item.blocks["length"].sum()) for name, item in items.items()}
    raw = math.prod(items["flow"].shape) * stack.codec.dtype.itemsize
    facts: dict[str, Any] = {
        "path": str(stack.path),
        # The command line omits values that a stack does not have.
        **{name: value for name, value in provenance(stack.header).items() if value is not None},
        "num_frames": stack.num_frames,
        "num_fields": stack.num_fields,
        "outputs": sorted(stack.outputs),
        "seconds": float(time[-1] - time[0]),
        "bytes": stack.open_file().size,
        "item_bytes": stored,
        "item_digests": {name: item.digest for name, item in items.items()},
        "raw_flow_bytes": raw,
        "compression_ratio": raw / stored["flow"],
        "digest": stack.digest,
    }
    for name in OUTPUTS:
        if name in stack.outputs:
            facts |= OUTPUTS[name].summarise(stack)
    if "camera" in stack.outputs:
        facts["inliers"] = float(stack.inliers.mean())
        facts["stabilised"] = float((stack.inliers > 0).mean())
    if "corrupt" in stack.outputs:
        facts["corrupt"] = len(stack.corrupt)
    return facts
