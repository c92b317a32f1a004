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

from flowstream.flow.kernels import matching_torch, matching_triton, tvl1_torch, tvl1_triton
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
    numbers = TVL1(inner_iterations=10).numbers()
    for dtype in (torch.float32, torch.float16):
        half = [part.to(dtype) for part in (p, g, weight)]
        inputs = u, half[0], half[1], c, half[2]
        before = [part.clone() for part in inputs]
        expected_u, expected_p = tvl1_torch._primal_dual(
            tvl1_torch._iteration, *[part.clone() for part in inputs], numbers=numbers
        )
        found_u, found_p = tvl1_torch._iterate_by_triton(*inputs, numbers=numbers)
        assert all(torch.equal(*parts) for parts in zip(before, inputs))
        # float32, ten iterations: sums in another order; float16: p is rounded twice as well
        atol = 2e-4 if dtype == torch.float32 else 5e-3
        assert found_p.dtype == dtype
        torch.testing.assert_close(found_u, expected_u, rtol=0, atol=atol)
        torch.testing.assert_close(found_p, expected_p, rtol=0, atol=atol)


def check_texture():
    image = 60 * random(2, 37, 70) + 128
    numbers = TVL1(texture_iterations=6).numbers()
    found = tvl1_torch._texture_by_triton(image, numbers=numbers)
    expected = tvl1_torch._texture(image, numbers=numbers)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


def check_linearisation():
    numbers = TVL1().numbers()
    first, second, u = 50 * random(2, 33, 47), 50 * random(2, 33, 47), 4 * random(2, 2, 33, 47)
    for dtype, atol in ((torch.float32, 2e-3), (torch.float16, 0.1)):
        options = {"numbers": numbers, "dtype": dtype}
        found = tvl1_torch._linearise_by_triton(first, second, first[:0], u, **options)
        expected = tvl1_torch._linearise(first, second, first[:0], u, **options)
        for one, other in zip(found, expected):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=1e-3, atol=atol)


def check_median():
    u = random(2, 2, 19, 31)
    assert torch.equal(tvl1_triton.median_5x5(u), tvl1_torch._median_5x5(u))


def check_labels():
    guide = 40 * random(2, 11, 41)
    pixel = torch.arange(11 * 41, device=device).view(11, 41)
    labels = torch.where(torch.rand(2, 11, 41, device=device) < 0.03, pixel, -1)
    found = matching_triton.spread_labels(labels, guide)
    expected = matching_torch.spread_labels(labels, guide)
    assert (found >= 0).all()
    # of two pixels that are equally near up to rounding, either may be the nearest
    assert (found != expected).float().mean() < 0.01


def check_fields():
    first, second = (torch.randint(0, 256, (1, 24, 40), dtype=torch.uint8).numpy() for _ in "12")
    short = {"engine": "torch", "warps": 1, "inner_iterations": 4, "texture_iterations": 2}
    plain = TVL1("fast", **short)(first, second)
    for precision in ("float32", "mixed"):
        fast = TVL1("fast", **short, acceleration="triton", precision=precision)(first, second)
        # px; noise has no motion, so that rounding decides between equal matches at some pixels
        assert abs(plain - fast).mean() < 0.02, precision


CHECKS = (
    check_iterations, check_texture, check_linearisation, check_median, check_labels, check_fields
)
for check in CHECKS:
    check()
    print(check.__name__)
"""
CHECKS = ["iterations", "texture", "linearisation", "median", "labels", "fields"]


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_triton_kernels_compute_what_torch_computes() -> None:
    pytest.importorskip("triton", reason="Triton comes with CUDA builds of torch")
    import torch

    done = run(PROGRAM, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"check_{name}" for name in CHECKS]


def test_the_compiler_accepts_all_kernels() -> None:
    # The interpreter runs kernels as Python, so it accepts more than the compiler. A card is not
    # needed; small tiles compile in a fraction of the time.
    pytest.importorskip("triton", reason="Triton comes with CUDA builds of torch")
    from benchmarks.gpu_kernels import kernels
    from flowstream.flow.kernels.tvl1_triton import Tile

    small = Tile(8, 16, iterations=2, warps=1)
    compiled = [kernel.compile(90) for kernel in kernels(small, small)]
    assert len(compiled) == 10
    assert all(kernel.asm["cubin"] for kernel in compiled)
