"""Functions of all elements along an axis: softmax, log-softmax, mean, argmax."""

from __future__ import annotations

import math

from nanotool import numerics
from nanotool.ir import ArgMax, LogSoftmax, Mean, Softmax, Struct
from nanotool.lower.layer import (
    Call,
    Fields,
    Layer,
    factor,
    four_bytes,
    lowers,
    merge_axes,
    overlap,
    positions,
    row_major,
    store,
)


@lowers(Softmax)
def _softmax(op: Softmax, layer: Layer) -> Call:
    """Row by row; a row's last pass reads an element before it writes it: it works in place."""
    return Call("nano_softmax", _softmax_struct(op.beta, layer), (0,))


def _softmax_struct(beta: float, layer: Layer) -> Struct:
    """nano_softmax_params."""
    depth = layer.input.shape[-1]
    multiplier, left_shift, diff_min = numerics.softmax_parameters(beta, layer.input.scale)
    fields = (
        ("rows", layer.input.size // depth),
        ("depth", depth),
        ("multiplier", multiplier),
        ("left_shift", left_shift),
        ("diff_min", diff_min),
    )
    return Struct("nano_softmax_params", fields)


@lowers(LogSoftmax)
def _log_softmax(_op: LogSoftmax, layer: Layer) -> Call:
    """As softmax."""
    reverse = numerics.log_softmax_parameters(layer.input.scale).reverse
    fields = (("row", _softmax_struct(1.0, layer)), ("reverse", factor(reverse)))
    return Call("nano_log_softmax", Struct("nano_log_softmax_params", fields), (0,))


@lowers(Mean)
def _mean(op: Mean, layer: Layer) -> Call:
    """A mean: an output needs the elements that it is the mean of."""
    shape, steps = layer.input.shape, row_major(layer.input.shape)
    kept = [axis for axis in range(len(shape)) if axis not in op.axes]
    count = math.prod(shape[axis] for axis in op.axes)
    ratio = numerics.mean_multiplier(layer.input.scale, layer.output.scale, count)
    fields: Fields = (
        *_two("kept", [shape[axis] for axis in kept], [steps[axis] for axis in kept]),
        *_two("reduced", [shape[axis] for axis in op.axes], [steps[axis] for axis in op.axes]),
        ("offset", -layer.input.zero_point * count),
        ("scale", factor(ratio)),
        ("store", store(layer)),
    )
    first = positions(layer.input).min(axis=op.axes) if op.axes else positions(layer.input)
    return Call("nano_mean", Struct("nano_mean_params", fields), (overlap(first.reshape(-1)),))


def _two(
    name: str, sizes: list[int], strides: list[int]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Sizes and strides over two axes, which at most four axes always merge to."""
    shape, (stride,) = merge_axes(sizes, strides)
    missing = 2 - len(shape)
    return (
        (name, (*(1,) * missing, *shape)),
        (f"{name}_stride", (*(0,) * missing, *stride)),
    )


@lowers(ArgMax)
def _argmax(op: ArgMax, layer: Layer) -> Call:
    """An index is 4 bytes; it needs the elements that it is searched among."""
    shape = layer.input.shape
    fields = (
        ("outer", math.prod(shape[: op.axis])),
        ("count", shape[op.axis]),
        ("inner", math.prod(shape[op.axis + 1 :])),
    )
    first = positions(layer.input).take(0, axis=op.axis).reshape(-1)
    return Call("nano_argmax", Struct("nano_argmax_params", fields), (overlap(four_bytes(first)),))
