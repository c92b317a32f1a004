"""Part (c) of benchmarks/gpu.py: RAFT, against torchvision's plain module on the same device."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_checks import pan_frames
from benchmarks.gpu_parts import Add, Place, check_time, share
from flowstream.flow.raft import RAFT
from flowstream.flow.raft_weights import BUILDERS

UPDATES = 12
VARIANTS: tuple[Any, ...] = ("large", "small")


def measure(place: Place, add: Add) -> None:
    size = (128, 128) if place.tiny else (256, 344)
    updates = 1 if place.tiny else UPDATES
    precisions: tuple[Any, ...] = (
        ("float32", "float16", "bfloat16") if place.is_cuda else ("float32",)
    )
    with tempfile.TemporaryDirectory() as directory:
        for variant in VARIANTS[1 if place.tiny else 0 :]:
            build: Any = BUILDERS[variant][0]
            # The speed does not depend on the weights.
            torch.manual_seed(0)
            network = build(weights=None).eval()
            path = Path(directory) / f"{variant}.pth"
            torch.save(network.state_dict(), path)
            network = network.to(place.device)
            for batch in (2,) if place.tiny else (8, 32, 1):
                plain = measure_plain(place, network, size, batch=batch, updates=updates)
                row = {"variant": variant, "size": f"{size[1]}x{size[0]}", "batch": batch}
                add("speed", **row, engine="torchvision", pairs_per_second=plain)
                for precision in precisions:
                    if not check_time(place, 6):
                        return
                    method = RAFT(
                        weights=str(path),
                        variant=variant,
                        updates=updates,
                        precision=precision,
                        pairs=batch,
                        device=place.device,
                    )
                    rate = measure_ours(place, method, size, batch=batch)
                    more = {"engine": precision, "pairs_per_second": rate, **share(rate, plain)}
                    add("speed", **row, **more)


@torch.inference_mode()
def measure_plain(
    place: Place, network: Any, size: tuple[int, int], *, batch: int, updates: int
) -> float:
    """Return pairs per second of torchvision's module on images that are on the device."""
    frames = torch.from_numpy(np.repeat(pan_frames(batch + 1, size)[:, None], 3, axis=1))
    images = frames.to(place.device).float() / 127.5 - 1
    first, second = images[:-1].contiguous(), images[1:].contiguous()
    return place.rate(lambda: network(first, second, num_flow_updates=updates)[-1], batch)


def measure_ours(place: Place, method: RAFT, size: tuple[int, int], *, batch: int) -> float:
    frames = np.repeat(pan_frames(batch + 1, size)[..., None], 3, axis=3)
    images = torch.from_numpy(frames).to(place.device)
    one = torch.arange(batch, device=place.device)
    pairs = torch.stack([one, one + 1], 1)
    return place.rate(lambda: method.estimate_tensors(images, pairs, directions=1), batch)
