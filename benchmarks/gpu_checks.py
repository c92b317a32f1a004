"""Part (a) of benchmarks/gpu.py: the results on the device are those of the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_parts import Add, Place, check_time
from flowstream import synthetic
from flowstream.codec import CODECS
from flowstream.codec.encoding import EncodedFields, encode_tensor
from flowstream.flow.kernels import tvl1_torch
from flowstream.flow.tvl1 import TVL1
from flowstream.synthetic.scenes import make_scene

# Tests that compute on CUDA where it is available.
TESTS = (
    "tests/flow/test_tvl1_triton.py",
    "tests/flow/test_tvl1_torch.py",
    "tests/flow/test_graphs.py",
    "tests/codec/test_encoding.py",
    "tests/extract/test_flow_server.py",
    "tests/contracts/test_methods.py",
)


def variants(place: Place) -> list[dict[str, Any]]:
    """Return the choices of the torch engine, the fastest first."""
    plain: list[dict[str, Any]] = [
        {"acceleration": "none"},
        {"acceleration": "none", "precision": "mixed"},
    ]
    if not place.is_cuda:
        return plain
    fast: list[dict[str, Any]] = [
        {"acceleration": "triton"},
        {"acceleration": "triton", "precision": "mixed"},
        {"acceleration": "triton", "graphs": False},
        {"acceleration": "compile"},
    ]
    return [*fast, plain[0], {"acceleration": "none", "graphs": False}]


def title(variant: dict[str, Any]) -> str:
    words = [variant["acceleration"], variant.get("precision", "float32")]
    return ", ".join(words + ([] if variant.get("graphs", True) else ["no graph"]))


def measure(place: Place, add: Add) -> None:
    check_codecs(place, add)
    check_fields(place, add)
    if place.tiny:
        return
    root = Path(__file__).resolve().parent.parent
    for test in TESTS:
        if not check_time(place):
            break
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
        environment = {**os.environ, "FLOWSTREAM_TEST_DEVICE": place.device}
        try:
            done = subprocess.run(
                command,
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=place.left,
                check=False,
            )
        except subprocess.TimeoutExpired:
            add("tests", file=test, result="stopped: no time left")
            break
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-2000:])
        add("tests", file=test, result=(done.stdout.strip().splitlines() or ["no output"])[-1])


def check_codecs(place: Place, add: Add) -> None:
    """Compare codes and counts with NumPy's, to the bit."""
    random = np.random.default_rng(1)
    vectors = (random.normal(0, 1, (4, 2, 64, 96)) ** 3).astype(np.float32)
    for name, kind in CODECS.items():
        codec = kind()
        codes, counts = encode_tensor(codec, torch.from_numpy(vectors).to(place.device))
        found = EncodedFields.of(codec, codes.cpu().numpy(), counts.cpu().numpy())
        expected = codec.encode(vectors)
        losses = codec.below_step(vectors, expected)
        same = np.array_equal(found.codes, expected)
        counted = (found.at_bound, found.moving, found.lost) == (codec.at_bound(expected), *losses)
        add("codes", codec=name, codes="equal" if same else "DIFFER", losses=counted)


def check_fields(place: Place, add: Add) -> None:
    """Compare fields with those of the numba kernel, whose rounding differs."""
    size = (64, 80) if place.tiny else (256, 340)
    shape = place.shape
    scene = make_scene("objects", seed=2001, size=size)
    first, second = scene.first[None], scene.second[None]
    expected = TVL1(**shape)(first, second)
    truth = scene.vectors
    for variant in variants(place):
        method = TVL1(**shape, engine="torch", device=place.device, **variant)
        for _ in range(3):  # the third call replays what the second one recorded
            found = method(first, second)
        distance = np.hypot(*(found - expected)[0])
        add(
            "fields",
            engine=title(variant),
            px_from_numba=float(distance.mean()),
            epe=float(np.nanmean(np.hypot(*(found[0] - truth)))),
            epe_numba=float(np.nanmean(np.hypot(*(expected[0] - truth)))),
        )
    if place.is_cuda:
        failures = tvl1_torch.graph_failures(place.device)
        add("graphs", failures=len(failures), reason="; ".join(failures)[:300])


def pan_frames(count: int, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return frames of a texture that moves."""
    large = synthetic.pan(dx=0, dy=0, size=(size[0] + 2 * count, size[1] + 3 * count), seed=3)[0][0]
    rows, columns = size
    frames = [large[k : k + rows, 2 * k : 2 * k + columns] for k in range(count)]
    return np.ascontiguousarray(np.stack(frames))
