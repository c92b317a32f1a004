"""Compile the Triton kernels for a card that need not be there; print registers and spills.

    python benchmarks/gpu_kernels.py [CAPABILITY ...]

CAPABILITY is 80 for an A100, 89 for an L4, 90 for an H100 (the default). Triton's interpreter, with
which the tests run the kernels, accepts kernels that the compiler does not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from flowstream.flow.kernels import matching_triton, tvl1_triton
from flowstream.flow.kernels.tvl1_triton import TEXTURE_TILE, TILE, Tile

SINGLE, HALF, WHOLE = "*fp32", "*fp16", "*i32"
SIZES = {"rows": "i32", "columns": "i32"}


@dataclass(frozen=True)
class Kernel:
    """A kernel with the types of its parameters, as its caller passes them."""

    function: Any
    types: dict[str, str]
    constants: dict[str, Any]
    warps: int = 4

    @property
    def title(self) -> str:
        numbers = ", ".join(f"{name} {value}" for name, value in self.constants.items())
        half = ", float16" if HALF in self.types.values() else ""
        return f"{self.function.__name__.strip('_')} ({numbers}, {self.warps} warps{half})"

    def compile(self, capability: int) -> Any:
        """Return the compiled kernel of a compute capability, such as 90."""
        names = self.function.arg_names
        signature = {name: self.types.get(name, "constexpr") for name in names}
        constants = {(names.index(name),): value for name, value in self.constants.items()}
        source = ASTSource(fn=self.function, signature=signature, constexprs=constants)
        target = GPUTarget("cuda", capability, 32)
        return triton.compile(source, target=target, options={"num_warps": self.warps})


def kernels(tile: Tile = TILE, texture_tile: Tile = TEXTURE_TILE) -> Iterator[Kernel]:
    """Yield all kernels; the tiles are those of the iterations."""
    module = tvl1_triton
    for kind in (SINGLE, HALF):
        planes = {"u_in": SINGLE, "p_in": kind, "u_out": SINGLE, "p_out": kind}
        inputs = {"g_in": kind, "c_in": SINGLE, "weight_in": kind}
        steps = dict.fromkeys(("primal_step", "dual_step", "limit", "flat"), "fp32")
        types = {**planes, **inputs, **SIZES, **steps}
        yield Kernel(module._iterate_tile, types, constants_of(tile), tile.warps)
        planes = {"first_in": SINGLE, "warped_in": SINGLE, "mean_in": SINGLE, "u_in": SINGLE}
        types = {**planes, "g_out": kind, "c_out": SINGLE, **SIZES}
        yield Kernel(module._linearise_pixels, types, {"BLOCK": 256})
    types = {"image_in": SINGLE, "dual_in": SINGLE, **SIZES, "structure": "fp32"}
    texture = {**types, "dual_out": SINGLE, "done": "fp32"}
    yield Kernel(module._texture_tile, texture, constants_of(texture_tile), texture_tile.warps)
    last = {**types, "texture_out": SINGLE, "gain": "fp32", "amount": "fp32"}
    yield Kernel(module._texture_pixels, last, {"BLOCK": 256})
    names = ("first_in", "second_in", "u_in", "warped_out", "mean_out")
    warp = {**dict.fromkeys(names, SINGLE), **SIZES, "a": "fp32"}
    yield Kernel(module._warp_pixels, warp, {"BLOCK": 256})
    median = {"u_in": SINGLE, "u_out": SINGLE, **SIZES}
    yield Kernel(module._median_pixels, median, {"BLOCK": 256})
    scan = {"distance_io": SINGLE, "labels_io": WHOLE, "guide_in": SINGLE, **SIZES, "edge": "fp32"}
    for reverse in (False, True):
        yield Kernel(matching_triton._scan_rows, scan, {"REVERSE": reverse, "BLOCK": 128})


def constants_of(tile: Tile) -> dict[str, int]:
    return {"ITERATIONS": tile.iterations, "TILE_ROWS": tile.rows, "TILE_COLUMNS": tile.columns}


def resources(binary: bytes) -> dict[str, int]:
    """Return what cuobjdump reports: registers (REG) and spilled bytes (STACK) of a thread."""
    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [str(program), "-res-usage", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", done.stdout)}


def main() -> None:
    for capability in map(int, sys.argv[1:] or ["90"]):
        for kernel in kernels():
            start = time.perf_counter()
            compiled = kernel.compile(capability)
            used = resources(compiled.asm["cubin"])
            print(
                f"{capability} {kernel.title:75s} {used['REG']:4d} registers, "
                f"{used['STACK']} bytes spilled, {compiled.metadata.shared} bytes shared, "
                f"{time.perf_counter() - start:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
