"""Functions of one or two elements: tables, arithmetic, and the types at a model's border."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nanotool import numerics, unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    DTYPES,
    INT8_MAX,
    INT8_MIN,
    LIMITS,
    Binary,
    Int8Array,
    Op,
    PRelu,
    QTensor,
    Quantize,
    Struct,
    Table,
    Unary,
)
from nanotool.lower.layer import (
    Call,
    Fields,
    TargetLayer,
    factor,
    four,
    lowers,
    merge_axes,
    overlap,
    positions,
    row_major,
    store,
    wide,
)
from nanotool.ops.shape import entries_of

# --- One element ----------------------------------------------------------------------------------


@lowers(Unary, Table)
def _function(layer: TargetLayer[Unary | Table]) -> Call:
    """A table of 256 bytes."""
    return _table(layer, entries_of(layer), layer.op.function)


def _table(layer: TargetLayer[Op], entries: Int8Array, what: str) -> Call:
    """An element is read before it is written, so it works in place."""
    table = layer.array("table", entries, f"table of {what}, first entry for -128")
    params = Struct("nano_table_params", (("table", table), ("size", layer.output.size)))
    return Call("nano_table", params, (0,))


@lowers(Quantize)
def _quantize(layer: TargetLayer[Quantize]) -> Call:
    """Another type, scale or zero point for the same real values."""
    source, target = layer.input, layer.output
    match source.dtype, target.dtype:
        case "float32", "int8":
            return _between_float("nano_quantize", layer, target)
        case "int8", "float32":
            return _between_float("nano_dequantize", layer, source)
        case "float32", "int16":
            return _between_float("nano_quantize_int16", layer, target)
        case "int16", "float32":
            return _between_float("nano_dequantize_int16", layer, source)
        case (("int8" | "uint8"), ("int8" | "uint8")):
            return _requantize(layer)
        case _:
            return _requantize_wide(layer)


def _requantize_wide(layer: TargetLayer[Quantize]) -> Call:
    """Between integers of which one is wider than a byte."""
    source, target = layer.input, layer.output
    low, high = LIMITS[target.dtype]
    wide_in, wide_out = (DTYPES[one.dtype].itemsize for one in (source, target))
    multiplier = numerics.quantize_multiplier(source.scale / target.scale)
    fields: Fields = (
        ("factor", factor(multiplier)),
        ("in_zero_point", source.zero_point),
        ("out_zero_point", target.zero_point),
        ("min", low),
        ("max", high),
        ("in_bytes", wide_in),
        ("out_bytes", wide_out),
        ("size", target.size),
    )
    needs = wide(np.arange(target.size, dtype=np.int64) * wide_in, wide_out)
    params = Struct("nano_requantize_params", fields)
    return Call("nano_requantize_wide", params, (overlap(needs),))


def _between_float(kernel: str, layer: TargetLayer[Op], quantized: QTensor) -> Call:
    """Floats are 4 bytes: an integer needs its float's, a float's first byte its integer's. (The
    others are written at once with it.)"""
    fields: Fields = (
        ("scale", quantized.scale),
        ("zero_point", quantized.zero_point),
        ("size", quantized.size),
    )
    elements = np.arange(layer.output.size, dtype=np.int64)
    widths = [DTYPES[one.dtype].itemsize for one in (layer.input, layer.output)]
    needs = wide(elements * widths[0], widths[1])
    return Call(kernel, Struct("nano_quantize_params", fields), (overlap(needs),))


def _requantize(layer: TargetLayer[Op]) -> Call:
    """A table; nothing but the top bit changes where uint8 and int8 mean the same."""
    source, target = _as_int8(layer.input), _as_int8(layer.output)
    flips = layer.input.dtype != layer.output.dtype
    same = (source.scale, source.zero_point) == (target.scale, target.zero_point)
    if same and flips and layer.clamp == (-128, 127):
        params = Struct("nano_flip_params", (("size", layer.output.size),))
        return Call("nano_flip", params, (0,))
    entries = unary.table("identity", source, target, layer.clamp)
    if layer.input.dtype == "uint8":  # the kernel takes its bytes for int8
        entries = np.roll(entries, 128)
    if layer.output.dtype == "uint8":
        entries = entries ^ np.int8(-128)
    return _table(layer, entries, "requantization")


def _as_int8(tensor: QTensor) -> QTensor:
    """The int8 tensor that means the same as ``tensor``: uint8 less 128."""
    if tensor.dtype == "int8":
        return tensor
    return replace(tensor, dtype="int8", zero_point=tensor.zero_point - 128)


# --- Two elements ---------------------------------------------------------------------------------


@lowers(Binary)
def _binary(layer: TargetLayer[Binary]) -> Call:
    """Sums, products, extrema, comparisons."""
    op = layer.op
    lowering = {
        **dict.fromkeys(("add", "sub", "squared_difference"), _add),
        **{"mul": _mul, "div": _div},
        **dict.fromkeys(("maximum", "minimum"), _extremum),
        **dict.fromkeys(numerics.COMPARISONS, _compare),
    }
    try:
        params = lowering[op.function](op.function, layer)
    except KeyError:
        hint = f"Known are: {', '.join(sorted(lowering))}."
        raise InvalidModel(f"{layer.name}: no function {op.function!r}.", hint) from None
    kernel = "compare" if op.function in numerics.COMPARISONS else op.function
    return broadcast(f"nano_{kernel}", params, layer)


def _add(function: str, layer: TargetLayer[Op]) -> Struct:
    a, b = layer.inputs
    squares = function == "squared_difference"
    parameters = numerics.squared_difference_parameters if squares else numerics.add_parameters
    factors = parameters(a.scale, b.scale, layer.output.scale)
    fields = (
        *operands(layer),
        ("a_factor", factor(factors.input1)),
        ("b_factor", factor(factors.input2)),
        ("out_factor", factor(factors.output)),
        ("store", store(layer)),
    )
    return Struct("nano_add_params", fields)


def _mul(_function: str, layer: TargetLayer[Op]) -> Struct:
    a, b = layer.inputs
    ratio = numerics.mul_multiplier(a.scale, b.scale, layer.output.scale)
    fields = (*operands(layer), ("factor", factor(ratio)), ("store", store(layer)))
    return Struct("nano_mul_params", fields)


def _div(_function: str, layer: TargetLayer[Op]) -> Struct:
    a, b = layer.inputs
    ratio = numerics.div_multiplier(a.scale, b.scale, layer.output.scale)
    fields = (*operands(layer), ("factor", factor(ratio)), ("store", store(layer)))
    return Struct("nano_div_params", fields)


def _compare(function: str, layer: TargetLayer[Op]) -> Struct:
    first, second = numerics.compare_multipliers(*(tensor.scale for tensor in layer.inputs))
    answers = tuple(int(np.clip(one, *layer.clamp)) for one in numerics.COMPARISONS[function])
    fields = (
        *operands(layer),
        ("a_factor", factor(first)),
        ("b_factor", factor(second)),
        ("answers", answers),
    )
    return Struct("nano_compare_params", fields)


def _extremum(_function: str, layer: TargetLayer[Op]) -> Struct:
    low, high = layer.clamp
    both = operands(layer)[0]
    return Struct("nano_extremum_params", (both, ("min", low), ("max", high)))


@lowers(PRelu)
def _prelu(layer: TargetLayer[PRelu]) -> Call:
    """x where it is positive, else x times its slope."""
    a, b = layer.inputs
    factors = numerics.prelu_parameters(a.scale, b.scale, layer.output.scale)
    fields = (
        *operands(layer),
        ("positive", factor(factors.positive)),
        ("negative", factor(factors.negative)),
        ("store", store(layer)),
    )
    return broadcast("nano_prelu", Struct("nano_prelu_params", fields), layer)


def broadcast(kernel: str, params: Struct, layer: TargetLayer[Op]) -> Call:
    """The call of a binary kernel: an element needs the two that it is made of."""
    reads = tuple(i for i, data in enumerate(layer.constants) if data is None)
    needs = (np.broadcast_to(positions(layer.inputs[i]), layer.output.shape) for i in reads)
    return Call(kernel, params, tuple(overlap(need.reshape(-1)) for need in needs), reads)


def operands(layer: TargetLayer[Op]) -> Fields:
    """The first fields of a binary kernel's params: nano_operands and the two zero points."""
    data = [
        None if one is None else layer.array("constant", one, "constant operand")
        for one in layer.constants
    ]
    if None not in data:
        raise InvalidModel(
            f"{layer.name}: both of its inputs are constants.", "Fold it into a constant."
        )
    shape, (stride_a, stride_b) = broadcast_axes(layer)
    struct = Struct(
        "nano_operands",
        (
            ("a", data[0]),
            ("b", data[1]),
            ("shape", four(shape, 1)),
            ("stride_a", four(stride_a, 0)),
            ("stride_b", four(stride_b, 0)),
        ),
    )
    a, b = layer.inputs
    return (
        ("operands", struct),
        ("a_zero_point", a.zero_point),
        ("b_zero_point", b.zero_point),
    )


def broadcast_axes(layer: TargetLayer[Op]) -> tuple[list[int], list[list[int]]]:
    """(shape, strides of both operands) over as few axes as do."""
    strides = [_stretched(tensor, layer.output) for tensor in layer.inputs]
    return merge_axes(layer.output.shape, *strides)


def largest_product(layer: TargetLayer[Op]) -> int:
    """The largest magnitude of a product of two operands less their zero points."""
    first, second = (
        max(INT8_MAX - one.zero_point, one.zero_point - INT8_MIN) for one in layer.inputs
    )
    return first * second


def arithmetic(
    layer: TargetLayer[Binary],
    add: Callable[[TargetLayer[Binary], bool], Call | None],
    mul: Callable[[TargetLayer[Binary]], Call | None],
    *,
    rows: bool = True,
) -> Call | None:
    """What ``add`` (layer, whether to subtract) or ``mul`` makes of a sum, difference or product;
    None for other functions, and with ``rows`` for operands that are not read as rows."""
    function = layer.op.function
    if function not in ("add", "sub", "mul"):
        return None
    if rows and layer.declines(not _runs_on(layer), "an operand is not read as rows"):
        return None
    return mul(layer) if function == "mul" else add(layer, function == "sub")


def _runs_on(layer: TargetLayer[Op]) -> bool:
    """Whether both operands are read element by element along the last axis."""
    _, strides = broadcast_axes(layer)
    return all(steps and steps[-1] == 1 for steps in strides)


def _stretched(tensor: QTensor, output: QTensor) -> list[int]:
    """The strides with which ``tensor`` is read for every element of ``output``."""
    missing = len(output.shape) - len(tensor.shape)
    sizes = (*(1,) * missing, *tensor.shape)
    return [0 if n == 1 else step for n, step in zip(sizes, row_major(sizes), strict=True)]
