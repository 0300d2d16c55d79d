"""Layers whose activations are int16: the portable kernels of nano/ops/int16.h."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.ir import (
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Mean,
    Pad,
    PRelu,
    Reduce,
    Resize,
    Slice,
    Softmax,
    Struct,
    Transpose,
    Unary,
)
from nanotool.lower.elementwise import broadcast_axes
from nanotool.lower.layer import (
    NOTHING,
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    factor,
    four,
    lowers_int16,
    overlap,
    positions,
    row_major,
    wide,
)
from nanotool.lower.linear import conv2d_needs, transpose_needs
from nanotool.lower.move import (
    concat_targets,
    copy_struct,
    nearest_call,
    scattered_overlap,
    slice_places,
    transpose_struct,
)
from nanotool.lower.pooling import mean_fields, window_needs, window_struct
from nanotool.ops.shape import rectifier, sum_parameters

WIDTH = 2  # bytes of an element
MAX_TAPS = 65535  # of a pool's window: their sum fits int32


def reach(needs: IndexArray) -> int | None:
    """`overlap` in bytes, of ``needs`` in elements."""
    first = np.where(needs == NOTHING, NOTHING, np.minimum(needs, NOTHING // WIDTH) * WIDTH)
    return overlap(wide(first.reshape(-1), WIDTH))


def limits(layer: TargetLayer[Any]) -> Fields:
    """The last fields of most of the structs."""
    low, high = layer.clamp
    return (("min", low), ("max", high))


# --- Sums of products -----------------------------------------------------------------------------


def requant(layer: TargetLayer[Any]) -> Struct:
    """nano_requant_int16."""
    multiplier, shift = layer.wide_multipliers()
    fields: Fields = (
        ("multiplier", layer.array("multiplier", multiplier, "multiplier, Q15")),
        ("shift", layer.array("shift", shift, "shift, positive: left")),
        ("per_channel", int(multiplier.size > 1)),
        *limits(layer),
    )
    return Struct("nano_requant_int16", fields)


def _weighted(layer: TargetLayer[Any], axes: str) -> Fields:
    """The first fields of a layer with weights."""
    note = "bias at scale(in) * scale(weights)"
    return (
        ("weights", layer.array("weights", layer.weight, f"weights {axes}")),
        ("bias", layer.array("bias", layer.bias, note)),
        ("requant", requant(layer)),
    )


@lowers_int16(Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call:
    """A convolution, with any number of groups."""
    fields: Fields = (
        *_weighted(layer, "[out_c][kernel_h][kernel_w][in_c / groups]"),
        ("window", window_struct(layer.op.window, layer)),
        ("groups", layer.uint16("the number of groups", layer.op.groups)),
    )
    params = Struct("nano_conv2d_int16_params", fields)
    return Call("nano_conv2d_int16", params, (reach(conv2d_needs(layer)),))


@lowers_int16(ConvTranspose2D)
def _conv_transpose2d(layer: TargetLayer[ConvTranspose2D]) -> Call:
    fields: Fields = (
        *_weighted(layer, "[out_c][kernel_h][kernel_w][in_c]"),
        ("window", window_struct(layer.op.window, layer)),
    )
    params = Struct("nano_conv_transpose2d_int16_params", fields)
    return Call("nano_conv_transpose2d_int16", params, (reach(transpose_needs(layer)),))


@lowers_int16(Dense)
def _dense(layer: TargetLayer[Dense]) -> Call:
    inputs, outputs = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // inputs
    fields: Fields = (
        *_weighted(layer, "[out_features][in_features]"),
        ("rows", layer.uint16("the number of rows", rows)),
        ("in_features", inputs),
        ("out_features", layer.uint16("the number of outputs", outputs)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * inputs, outputs)
    return Call("nano_dense_int16", Struct("nano_dense_int16_params", fields), (reach(needs),))


# --- Pools ----------------------------------------------------------------------------------------


@lowers_int16(MaxPool2D, AveragePool2D)
def _pool(layer: TargetLayer[Any]) -> Call:
    taps = math.prod(layer.op.window.kernel)
    if taps > MAX_TAPS:
        layer.refuse(
            f"a window of {taps:,} elements is too large",
            "Their sum has to fit int32: pool in two steps.",
        )
    kind = "max" if isinstance(layer.op, MaxPool2D) else "average"
    fields: Fields = (("window", window_struct(layer.op.window, layer)), *limits(layer))
    needs = window_needs(layer.op.window, layer, np.arange(layer.input.shape[2]))
    return Call(f"nano_{kind}_pool_int16", Struct("nano_pool_params", fields), (reach(needs),))


@lowers_int16(Mean, Reduce)
def _mean(layer: TargetLayer[Mean | Reduce]) -> Call:
    """A mean or a sum: no other reduction has a form for int16."""
    first = np.asarray(positions(layer.input).min(axis=layer.op.axes)).reshape(-1)
    params = Struct("nano_mean_params", mean_fields(layer))
    return Call("nano_mean_int16", params, (reach(first),))


# --- One element ----------------------------------------------------------------------------------


@lowers_int16(Unary)
def _unary(layer: TargetLayer[Unary]) -> Call:
    """An element is read before it is written, so it works in place."""
    function, size = layer.op.function, layer.output.size
    if function in unary.UNIT_IN_INT16:
        multiplier, shift = numerics.thirds_multiplier(layer.input.scale, function)
        fields: Fields = (("multiplier", multiplier), ("shift", shift), *limits(layer))
        params = Struct("nano_gate_int16_params", (*fields, ("size", size)))
        return Call(f"nano_{function}_int16", params, (0,))
    by = rectifier(layer)
    low, high = by.clamp
    fields = (
        ("positive", factor(by.positive)),
        ("negative", factor(by.negative)),
        ("sign", by.sign),
        ("min", low),
        ("max", high),
        ("size", size),
    )
    return Call("nano_rectify_int16", Struct("nano_rectify_int16_params", fields), (0,))


# --- Two elements ---------------------------------------------------------------------------------


def operands(layer: TargetLayer[Any], b: NDArray[np.int16] | None = None) -> Struct:
    """nano_operands_int16; ``b`` instead of the second operand."""
    given = (layer.constants[0], layer.constants[1] if b is None else b)
    data = [None if one is None else layer.array("constant", one, "constant") for one in given]
    shape, (stride_a, stride_b) = broadcast_axes(layer)
    fields: Fields = (
        ("a", data[0]),
        ("b", data[1]),
        ("shape", four(shape, 1)),
        ("stride_a", four(stride_a, 0)),
        ("stride_b", four(stride_b, 0)),
    )
    return Struct("nano_operands_int16", fields)


def _broadcast(name: str, struct: str, layer: TargetLayer[Any], fields: Fields) -> Call:
    reads = tuple(i for i, data in enumerate(layer.constants) if data is None)
    needs = (np.broadcast_to(positions(layer.inputs[i]), layer.output.shape) for i in reads)
    params = Struct(f"nano_{struct}_int16_params", (*fields, *limits(layer)))
    return Call(f"nano_{name}_int16", params, tuple(reach(need) for need in needs), reads)


@lowers_int16(Binary)
def _binary(layer: TargetLayer[Binary]) -> Call:
    """add, sub, mul, maximum, minimum."""
    function, both = layer.op.function, operands(layer)
    if function in ("maximum", "minimum"):
        return _broadcast(function, "extremum", layer, (("operands", both),))
    if function == "mul":
        scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
        ratio = numerics.mul_multiplier(*scales)
        return _broadcast("mul", "mul", layer, (("operands", both), ("factor", factor(ratio))))
    factors = sum_parameters(layer)
    fields: Fields = (
        ("operands", both),
        ("a_factor", factor(factors.input1)),
        ("b_factor", factor(factors.input2)),
        ("out_factor", factor(factors.output)),
    )
    return _broadcast(function, "add", layer, fields)


@lowers_int16(PRelu)
def _prelu(layer: TargetLayer[PRelu]) -> Call:
    """The slopes, a constant in int8, stand there as int16 less their zero point."""
    source, slopes = layer.inputs
    assert layer.constants[1] is not None
    centered = (layer.constants[1].astype(np.int64) - slopes.zero_point).astype(np.int16)
    factors = numerics.prelu_parameters(source.scale, slopes.scale, layer.output.scale)
    fields: Fields = (
        ("operands", operands(layer, centered)),
        ("positive", factor(factors.positive)),
        ("negative", factor(factors.negative)),
    )
    return _broadcast("prelu", "prelu", layer, fields)


# --- Along an axis --------------------------------------------------------------------------------


@lowers_int16(Softmax)
def _softmax(layer: TargetLayer[Softmax]) -> Call:
    """A row's last passes read an element before they write it: it works in place."""
    depth = layer.input.shape[-1]
    multiplier = numerics.wide_softmax_multiplier(layer.op.beta, layer.input.scale)
    fields: Fields = (
        ("rows", layer.input.size // depth),
        ("depth", depth),
        ("factor", factor(multiplier)),
    )
    return Call("nano_softmax_of_int16", Struct("nano_softmax_of_int16_params", fields), (0,))


# --- Elements go elsewhere ------------------------------------------------------------------------


def _copy(
    layer: TargetLayer[Any],
    source: tuple[int, list[int]],
    target: tuple[int, list[int]],
    constant: tuple[NDArray[Any], int] | None = None,
    shape: tuple[int, ...] | None = None,
) -> tuple[str, Struct]:
    """(kernel, struct) of a copy: of bytes where the last axis runs on in both. ``constant``: its
    data and the number of the call."""
    sizes = layer.output.shape if shape is None else shape
    last = [steps[-1] if steps else 1 for steps in (source[1], target[1])]
    if last == [1, 1]:
        data = None
        if constant is not None:
            pairs = np.ascontiguousarray(constant[0], "<i2").reshape(-1).view(np.int8)
            data = layer.array("constant", pairs, "constant, int16", constant[1])
        ends = [
            (WIDTH * offset, [*(WIDTH * step for step in steps), 1])
            for offset, steps in (source, target)
        ]
        return "nano_copy", copy_struct((*sizes, WIDTH), ends[0], ends[1], data)
    data = None
    if constant is not None:
        data = layer.array("constant", constant[0], "constant", constant[1])
    params = copy_struct(sizes, source, target, data)
    return "nano_copy_int16", Struct("nano_copy_int16_params", params.fields)


@lowers_int16(Slice)
def _slice(layer: TargetLayer[Slice]) -> Call:
    offset, strides, needs = slice_places(layer)
    target = (0, row_major(layer.output.shape))
    kernel, params = _copy(layer, (offset, strides), target)
    return Call(kernel, params, (reach(needs),))


@lowers_int16(Concat)
def _concat(layer: TargetLayer[Concat]) -> list[Call]:
    """One copy an input, as in int8."""
    strides = row_major(layer.output.shape)
    calls: list[Call] = []
    written = 0  # bytes up to which the output may hold something
    for number, (begin, targets) in enumerate(concat_targets(layer)):
        tensor, data = layer.inputs[number], layer.constants[number]
        source = (0, row_major(tensor.shape))
        target = (begin * strides[layer.op.axis], strides)
        constant = None if data is None else (data, number)
        kernel, params = _copy(layer, source, target, constant, tensor.shape)
        places = (targets[:, None] * WIDTH + np.arange(WIDTH)).reshape(-1)
        gap = max(written, scattered_overlap(places))
        reads = (number,) if data is None else ()
        overlaps = (gap if gap < layer.output.nbytes else None,) * len(reads)
        calls.append(Call(kernel, params, overlaps, reads))
        written = max(written, int(places[-1]) + 1)
    return calls


@lowers_int16(Transpose)
def _transpose(layer: TargetLayer[Transpose]) -> Call:
    needs = positions(layer.input).transpose(layer.op.permutation)
    return Call("nano_transpose_int16", transpose_struct(layer), (reach(needs),))


@lowers_int16(Pad)
def _pad(layer: TargetLayer[Pad]) -> Call:
    op = layer.op
    missing = 4 - len(layer.input.shape)
    fields: Fields = (
        ("shape", (*(1,) * missing, *layer.input.shape)),
        ("before", (*(0,) * missing, *op.before)),
        ("after", (*(0,) * missing, *op.after)),
        ("value", 0 if op.value is None else op.value),
    )
    around = list(zip(op.before, op.after, strict=True))
    needs = np.pad(positions(layer.input), around, constant_values=NOTHING)
    return Call("nano_pad_int16", Struct("nano_pad_int16_params", fields), (reach(needs),))


@lowers_int16(Resize)
def _resize(layer: TargetLayer[Resize]) -> Call:
    """Nearest, pixels of twice as many bytes: no other method has a form for int16."""
    return nearest_call(layer, WIDTH)
