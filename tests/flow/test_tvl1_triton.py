"""Compare the Triton kernels with torch, by Triton's interpreter where there is no CUDA device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The interpreter is chosen when Triton is imported, so these tests run in a process of their own.
PROGRAM = r"""
import torch

from flowstream.flow.kernels import tvl1_torch, tvl1_triton
from flowstream.flow.tvl1 import TVL1

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(3)


def random(*shape):
    return torch.randn(*shape, device=device)


def check_iterations():
    # Two tiles in each direction, and sides that are no multiple of a tile.
    u, g, c = random(2, 2, 41, 75), 9 * random(2, 2, 41, 75), 20 * random(2, 41, 75)
    p = 0.3 * random(2, 2, 2, 41, 75)
    p[:, :, 0, :, -1] = 0
    p[:, :, 1, -1] = 0
    weight = torch.rand(2, 41, 75, device=device)
    inverse = 1 / ((g * g).sum(1) + 1e-6)
    steps = {"primal_step": 0.5, "dual_step": 0.25, "attachment": 0.15}
    expected_u, expected_p = u.clone(), p.clone()
    for _ in range(10):
        expected_u, expected_p = tvl1_torch._iteration(
            expected_u, expected_p, g, c, inverse, weight, *steps.values()
        )
    found_u, found_p = tvl1_triton.iterate(
        u.clone(), p.clone(), g, c, weight, inverse=inverse, iterations=10, **steps
    )
    # float32, ten iterations: sums in another order
    torch.testing.assert_close(found_u, expected_u, rtol=0, atol=2e-4)
    torch.testing.assert_close(found_p, expected_p, rtol=0, atol=2e-4)


def check_warp():
    numbers = TVL1().numbers()
    first, second, u = 50 * random(2, 33, 47), 50 * random(2, 33, 47), 4 * random(2, 2, 33, 47)
    warped, mean = tvl1_triton.warp(first, second, u, cubic=numbers.cubic)
    x, y = tvl1_torch._positions(u)
    expected = tvl1_torch._bicubic(second[:, None], x, y, numbers)[:, 0]
    torch.testing.assert_close(warped, expected, rtol=0, atol=2e-3)
    torch.testing.assert_close(mean, (first + expected) / 2, rtol=0, atol=2e-3)


def check_median():
    u = random(2, 2, 19, 31)
    assert torch.equal(tvl1_triton.median_5x5(u), tvl1_torch._median_5x5(u))


def check_fields():
    first, second = (torch.randint(0, 256, (1, 40, 56), dtype=torch.uint8).numpy() for _ in "12")
    short = {"engine": "torch", "warps": 1, "inner_iterations": 5}
    plain = TVL1("fast", **short)(first, second)
    fast = TVL1("fast", **short, acceleration="triton")(first, second)
    # px; noise has no motion, so that rounding decides between equal matches at some pixels
    assert abs(plain - fast).mean() < 0.02


for check in (check_iterations, check_warp, check_median, check_fields):
    check()
    print(check.__name__)
"""


def test_the_triton_kernels_compute_what_torch_computes() -> None:
    pytest.importorskip("triton", reason="Triton comes with CUDA builds of torch")
    import torch

    environment = {**os.environ}
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    checks = ["check_iterations", "check_warp", "check_median", "check_fields"]
    assert done.stdout.split() == checks
