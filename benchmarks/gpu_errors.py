"""End-point errors of TV-L1 in benchmarks/gpu.py, on scenes and, if present, real pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.gpu_checks import title, variants
from benchmarks.gpu_parts import Add, Place, check_time
from flowstream.flow.kernels.tvl1_torch import Options, solve_pairs
from flowstream.flow.tvl1 import TVL1
from flowstream.synthetic.scenes import make_scene


class MatchedByTorch(TVL1):
    """TV-L1 whose block matches are found as on a GPU."""

    def estimate_tensors(self, frames: Tensor, pairs: Tensor, *, directions: int) -> Tensor:
        return solve_pairs(
            frames,
            pairs,
            numbers=self.numbers(),
            grids=self.grids((frames.shape[1], frames.shape[2])),
            directions=directions,
            options=Options(mixed=self.precision == "mixed", match_by_torch=True),
        )


def measure(place: Place, add: Add) -> None:
    shape = place.shape
    methods = {"numba": TVL1(**shape)}
    for variant in variants(place)[:2]:
        kind = TVL1 if place.is_cuda else MatchedByTorch
        method = kind(**shape, engine="torch", device=place.device, **variant)
        methods[title(variant) + ("" if place.is_cuda else ", matches as on a GPU")] = method
    for group, pairs in datasets(place).items():
        for engine, method in methods.items():
            if not check_time(place):
                return
            errors = [
                np.nanmean(np.hypot(*(method(first[None], second[None])[0] - truth)))
                for first, second, truth in pairs
            ]
            add("errors", data=group, pairs=len(pairs), engine=engine, epe=float(np.mean(errors)))


def datasets(place: Place) -> dict[str, list[Any]]:
    size = (40, 56) if place.tiny else (256, 340)
    scenes = [
        make_scene("objects", seed=seed, size=size)
        for seed in range(2000, 2001 if place.tiny else 2004)
    ]
    found = {"scenes": [(scene.first, scene.second, scene.vectors) for scene in scenes]}
    directory = os.environ.get("FLOWSTREAM_TEST_DATA")
    if directory and not place.tiny:
        from benchmarks.flow_accuracy import kitti, middlebury

        for pair in (*kitti(Path(directory)), *middlebury(Path(directory))):
            found.setdefault(pair.group, []).append((pair.first, pair.second, pair.truth))
    return found
