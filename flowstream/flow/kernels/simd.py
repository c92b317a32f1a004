"""Vectors of float32 for numba: what is written is what the processor does.

Left to itself, LLVM vectorises a sweep over a dozen arrays only behind checks that none overlap,
made anew for every row, or not at all. A `Lanes` value is an LLVM vector instead: `load` and
`store` move LANES neighbouring numbers, `+ - * /`, `minimum`, `rsqrt` and the like work on all at
once. LLVM makes these fit any processor: AVX-512 in one instruction, AVX2 and NEON in several.

Only for use inside functions decorated with `kernel`. Longer than a page of code should be because
every instruction is one small function of the same form.
"""

# numba is typed in part, from some version on
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
from numba.extending import intrinsic, models, register_model

Function = TypeVar("Function", bound=Callable[..., Any])

Lanes: TypeAlias = Any
"""A vector of LANES float32, seen from Python's types."""

LANES: int = 16 if llvm.get_host_cpu_features().get("avx512f", False) else 8
"""How many numbers a vector holds; a part of the cached code, which numba keys by processor."""

instruction: Any = intrinsic  # numba types what it decorates by the compiler's side of it

# Sums may be fused into multiplications and the sign of zero ignored; nothing is reordered, and
# NaN keeps its meaning.
_EXACT = ("contract", "nsz")
_ESTIMATE = ("fast",)


def kernel(function: Function) -> Function:
    """Compile with numba: without the GIL, division by zero as IEEE says, cached by its caller."""
    return cast(Function, numba.njit(nogil=True, error_model="numpy", boundscheck=False)(function))


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
    """The same number in every lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = context.cast(builder, args[0], sig.args[0], types.float32)
        return _spread(builder, number, _VECTOR)

    return _lanes(value), emit


@instruction
def counting(typing: Any) -> Any:
    """0, 1, 2, ..."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_VECTOR, [float(k) for k in range(LANES)])

    return _lanes(), emit


@instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """`array[index : index + LANES]` of a flat float32 array, unchecked."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig, args, _VECTOR), align=4)

    return _lanes(array, index), emit


@instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to `array[index : index + LANES]`, unchecked."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, sig, args, _VECTOR), align=4)
        return context.get_dummy_value()

    return types.none(array, index, value), emit


@instruction
def store_places(typing: Any, array: Any, index: Any, row: Any, column: Any, step: Any) -> Any:
    """Write `row * step + column`, computed in whole numbers, to a flat int32 array."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = context.cast(builder, args[4], sig.args[4], types.int32)
        row, column = (builder.fptosi(args[k], _INTEGERS) for k in (2, 3))
        place = builder.add(builder.mul(row, _spread(builder, number, _INTEGERS)), column)
        builder.store(place, _address(context, builder, sig, args, _INTEGERS), align=4)
        return context.get_dummy_value()

    return types.none(array, index, row, column, step), emit


@instruction
def minimum(typing: Any, one: Any, other: Any) -> Any:
    """The smaller, lane by lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return _lanes(one, other), emit


@instruction
def maximum(typing: Any, one: Any, other: Any) -> Any:
    """The larger, lane by lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return _lanes(one, other), emit


@instruction
def select(typing: Any, condition: Any, one: Any, other: Any) -> Any:
    """`one` where the condition holds, `other` elsewhere."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return _lanes(condition, one, other), emit


@instruction
def whole(typing: Any, value: Any) -> Any:
    """The largest whole number that is not above, lane by lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.floor.v{LANES}f32", _VECTOR, list(args))

    return _lanes(value), emit


@instruction
def root(typing: Any, value: Any) -> Any:
    """The square root, lane by lane, correctly rounded."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args))

    return _lanes(value), emit


@instruction
def inverse_root(typing: Any, value: Any) -> Any:
    """1 / sqrt of positive numbers to about 1e-6: the processor's estimate and one Newton step."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        below = _call(builder, f"llvm.sqrt.v{LANES}f32", _VECTOR, list(args), _ESTIMATE)
        return builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), below, flags=_ESTIMATE)

    return _lanes(value), emit


@instruction
def inverse(typing: Any, value: Any) -> Any:
    """1 / value to about 1e-6: the processor's estimate and one Newton step."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), args[0], flags=_ESTIMATE)

    return _lanes(value), emit


@instruction
def total(typing: Any, value: Any) -> Any:
    """The sum of all lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        return _call(builder, name, _FLOAT, [ir.Constant(_FLOAT, 0.0), args[0]], ("reassoc",))

    return types.float32(value), emit


@instruction
def largest(typing: Any, value: Any) -> Any:
    """The largest of all lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name = f"llvm.vector.reduce.fmax.v{LANES}f32"
        return _call(builder, name, _FLOAT, [args[0]], ("nnan",))

    return types.float32(value), emit


@instruction
def load_quad(typing: Any, array: Any, index: Any) -> Any:
    """`array[index : index + 4]` of a flat float32 array, unchecked: one row of a bicubic patch."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig, args, _FOUR), align=4)

    return _quad(array, index), emit


@instruction
def store_quad(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write four numbers to `array[index : index + 4]`, unchecked."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, sig, args, _FOUR), align=4)
        return context.get_dummy_value()

    return types.none(array, index, value), emit


@instruction
def scale_quad(typing: Any, quad: Any, factor: Any) -> Any:
    """Four numbers times one."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fmul(args[0], _spread(builder, args[1], _FOUR), flags=_EXACT)

    return _quad(quad, types.float32), emit


@instruction
def add_quads(typing: Any, one: Any, other: Any) -> Any:
    """Sum of two quads; with `scale_quad` as an argument, a fused multiplication and sum."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=_EXACT)

    return _quad(one, other), emit


@instruction(prefer_literal=True)
def column_of_quads(typing: Any, array: Any, index: Any, column: Any) -> Any:
    """`array[index + column : index + 4 * LANES : 4]`: the same member of LANES quads in a row."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first = _address(context, builder, sig, args, _VECTOR)
        parts = [
            builder.load(builder.gep(first, [ir.Constant(_INT, k)]), align=4) for k in range(4)
        ]
        member = column.literal_value
        # Each step halves the distance between wanted members: 4 vectors -> 2 -> 1.
        every_fourth = [member + 4 * k for k in range(LANES // 2)]
        low, high = (
            builder.shuffle_vector(parts[k], parts[k + 1], _pick(every_fourth, LANES // 2))
            for k in (0, 2)
        )
        return builder.shuffle_vector(low, high, _pick(list(range(LANES)), LANES))

    return _lanes(array, index, column), emit


def _pick(members: list[int], count: int) -> Any:
    return ir.Constant(ir.VectorType(_INT, count), members)
