"""Explicit vectors of float32 for numba.

LLVM's automatic vectorisation of a sweep over a dozen arrays either fails or checks for every row
that no arrays overlap. A `Lanes` value is an LLVM vector: `load` and `store` move LANES
neighbouring numbers; `+ - * /`, `minimum`, `inverse_root` and so on work on all of them. LLVM
compiles these for any processor: AVX-512 in one instruction, AVX2 and NEON in several.

These functions work only inside functions decorated with `kernel`. The file is longer than others
because every instruction is one small function of the same form.
"""

# only some versions of numba have type annotations
# mypy: disable-error-code="no-untyped-call, misc, import-untyped, untyped-decorator"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_jitable, register_model

Function = TypeVar("Function", bound=Callable[..., Any])

Lanes: TypeAlias = Any
"""Vector of LANES float32, for annotations."""

LANES: int = 16 if llvm.get_host_cpu_features().get("avx512f", False) else 8
"""Number of float32 in a vector; numba's cache of compiled code is kept per processor."""

instruction: Any = intrinsic  # numba annotates the result by the compiler's view of it

# The compiler may fuse multiplications with additions and ignore the sign of zero. It may not
# reorder operations, and NaN is respected.
_EXACT = ("contract", "nsz")
_ESTIMATE = ("fast",)


def kernel(function: Function) -> Function:
    """Compile with numba: without the GIL, with IEEE division by zero, cached by the caller."""
    return cast(Function, numba.njit(nogil=True, error_model="numpy", boundscheck=False)(function))


def helper(function: Function) -> Function:
    """Compile a function where a kernel calls it; elsewhere it is plain Python.

    Called from Python, a kernel that numba does not cache would be compiled in every process.
    """
    compiled: Function = register_jitable(function)
    return compiled


def inlined(function: Function) -> Function:
    """Compile as part of the calling function, because each function of its own takes a second.

    The compiler optimises the code of a function again for each function that calls it. Functions
    with one or two callers are therefore inlined before.
    """
    options: Any = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    return cast(Function, numba.njit(inline="always", **options)(function))


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Lanes({LANES})")


class _Mask(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"Mask({LANES})")


class _Quad(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Quad")


_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INTEGERS = ir.VectorType(_INT, LANES)
_FOUR = ir.VectorType(_FLOAT, 4)
_lanes, _mask, _quad = _Lanes(), _Mask(), _Quad()


def _represent(kind: type, llvm_type: Any) -> None:
    class Model(models.PrimitiveModel):
        def __init__(self, manager: Any, numba_type: Any) -> None:
            super().__init__(manager, numba_type, llvm_type)

    register_model(kind)(Model)


_represent(_Lanes, _VECTOR)
_represent(_Mask, ir.VectorType(ir.IntType(1), LANES))
_represent(_Quad, _FOUR)


def _operator(symbol: Any, emit: Callable[..., Any], *, result: Any = _lanes) -> None:
    class Template(AbstractTemplate):
        def generic(self, args: Any, keywords: Any) -> Any:
            both = len(args) == 2 and all(arg is _lanes for arg in args)
            return signature(result, _lanes, _lanes) if both else None

    infer_global(symbol)(Template)

    @lower_builtin(symbol, _Lanes, _Lanes)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, *args)


_operator(operator.add, lambda builder, x, y: builder.fadd(x, y, flags=_EXACT))
_operator(operator.sub, lambda builder, x, y: builder.fsub(x, y, flags=_EXACT))
_operator(operator.mul, lambda builder, x, y: builder.fmul(x, y, flags=_EXACT))
_operator(operator.truediv, lambda builder, x, y: builder.fdiv(x, y, flags=_EXACT))
_operator(operator.lt, lambda builder, x, y: builder.fcmp_ordered("<", x, y), result=_mask)
_operator(operator.le, lambda builder, x, y: builder.fcmp_ordered("<=", x, y), result=_mask)


def _address(context: Any, builder: Any, sig: Any, args: Any, llvm_type: Any) -> Any:
    array = context.make_array(sig.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [index]), llvm_type.as_pointer())


def _emit_load(llvm_type: Any) -> Callable[..., Any]:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig, args, llvm_type), align=4)

    return emit


def _emit_store(llvm_type: Any) -> Callable[..., Any]:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, sig, args, llvm_type), align=4)
        return context.get_dummy_value()

    return emit


def _call(builder: Any, name: str, result: Any, args: Any, flags: tuple[str, ...] = ()) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, name), args, fastmath=flags
    )


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_INT, 0))
    zeros = ir.Constant(ir.VectorType(_INT, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


@instruction
def spread(typing: Any, value: Any) -> Any:
    """Return a vector with the same number in every lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = context.cast(builder, args[0], sig.args[0], types.float32)
        return _spread(builder, number, _VECTOR)

    return _lanes(value), emit


@instruction
def counting(typing: Any) -> Any:
    """Return the vector 0, 1, 2, ..."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_VECTOR, [float(k) for k in range(LANES)])

    return _lanes(), emit


@instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return `array[index : index + LANES]` of a flat float32 array, without a bounds check."""
    return _lanes(array, index), _emit_load(_VECTOR)


@instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to `array[index : index + LANES]`, without a bounds check."""
    return types.none(array, index, value), _emit_store(_VECTOR)


@instruction
def store_places(typing: Any, array: Any, index: Any, row: Any, column: Any, step: Any) -> Any:
    """Write `row * step + column`, computed as integers, to a flat int32 array."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = context.cast(builder, args[4], sig.args[4], types.int32)
        row, column = (builder.fptosi(args[k], _INTEGERS) for k in (2, 3))
        place = builder.add(builder.mul(row, _spread(builder, number, _INTEGERS)), column)
        builder.store(place, _address(context, builder, sig, args, _INTEGERS), align=4)
        return context.get_dummy_value()

    return types.none(array, index, row, column, step), emit


@instruction
def minimum(typing: Any, one: Any, other: Any) -> Any:
    """Return the smaller number of each lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return _lanes(one, other), emit


@instruction
def maximum(typing: Any, one: Any, other: Any) -> Any:
    """Return the larger number of each lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return _lanes(one, other), emit


@instruction
def select(typing: Any, condition: Any, one: Any, other: Any) -> Any:
    """Return `one` where the condition is true, `other` elsewhere."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return _lanes(condition, one, other), emit


@instruction
def interpolate(typing: Any, array: Any, start: Any, places: Any, shares: Any) -> Any:
    """Return numbers at `start + places` of a flat array, plus `shares` of the way to the next.

    Each operation is rounded on its own, as in Python.
    """

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first = _address(context, builder, sig, args, _FLOAT)
        whole_places = builder.fptosi(args[2], _INTEGERS)
        one = other = ir.Constant(_VECTOR, ir.Undefined)
        for k in range(LANES):
            lane = ir.Constant(_INT, k)
            left = builder.gep(first, [builder.extract_element(whole_places, lane)])
            right = builder.gep(left, [ir.Constant(_INT, 1)])
            one = builder.insert_element(one, builder.load(left, align=4), lane)
            other = builder.insert_element(other, builder.load(right, align=4), lane)
        return builder.fadd(one, builder.fmul(args[3], builder.fsub(other, one)))

    return _lanes(array, start, places, shares), emit


@instruction
def whole(typing: Any, value: Any) -> Any:
    """Return the floor of each lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.floor.v{LANES}f32", _VECTOR, list(args))

    return _lanes(value), emit


@instruction
def root(typing: Any, value: Any) -> Any:
    """Return the correctly rounded square root of each lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args))

    return _lanes(value), emit


@instruction
def inverse_root(typing: Any, value: Any) -> Any:
    """Return 1 / sqrt(value) of positive numbers, with a relative error of about 1e-6."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        below = _call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args), _ESTIMATE)
        return builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), below, flags=_ESTIMATE)

    return _lanes(value), emit


@instruction
def inverse(typing: Any, value: Any) -> Any:
    """Return 1 / value with a relative error of about 1e-6."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), args[0], flags=_ESTIMATE)

    return _lanes(value), emit


@instruction
def total(typing: Any, value: Any) -> Any:
    """Return the sum of all lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        return _call(builder, name, _FLOAT, [ir.Constant(_FLOAT, 0.0), args[0]], ("reassoc",))

    return types.float32(value), emit


@instruction
def largest(typing: Any, value: Any) -> Any:
    """Return the largest of all lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name = f"llvm.vector.reduce.fmax.v{LANES}f32"
        return _call(builder, name, _FLOAT, [args[0]], ("nnan",))

    return types.float32(value), emit


@instruction
def load_quad(typing: Any, array: Any, index: Any) -> Any:
    """Return `array[index : index + 4]` of a flat float32 array: a row of a bicubic patch."""
    return _quad(array, index), _emit_load(_FOUR)


@instruction
def store_quad(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write four numbers to `array[index : index + 4]`, without a bounds check."""
    return types.none(array, index, value), _emit_store(_FOUR)


@instruction
def scale_quad(typing: Any, quad: Any, factor: Any) -> Any:
    """Multiply four numbers by one factor."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fmul(args[0], _spread(builder, args[1], _FOUR), flags=_EXACT)

    return _quad(quad, types.float32), emit


@instruction
def add_quads(typing: Any, one: Any, other: Any) -> Any:
    """Add two quads; with `scale_quad` as an argument, a fused multiplication and addition."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=_EXACT)

    return _quad(one, other), emit


@instruction(prefer_literal=True)
def column_of_quads(typing: Any, array: Any, index: Any, column: Any) -> Any:
    """Return `array[index + column : index + 4 * LANES : 4]`, one member of LANES quads."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first = _address(context, builder, sig, args, _VECTOR)
        parts = [
            builder.load(builder.gep(first, [ir.Constant(_INT, k)]), align=4) for k in range(4)
        ]
        member = column.literal_value
        # Each step halves the distance between the wanted members: 4 vectors -> 2 -> 1.
        every_fourth = [member + 4 * k for k in range(LANES // 2)]
        low, high = (
            builder.shuffle_vector(parts[k], parts[k + 1], _pick(every_fourth, LANES // 2))
            for k in (0, 2)
        )
        return builder.shuffle_vector(low, high, _pick(list(range(LANES)), LANES))

    return _lanes(array, index, column), emit


def _pick(members: list[int], count: int) -> Any:
    return ir.Constant(ir.VectorType(_INT, count), members)
