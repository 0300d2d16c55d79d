"""Functions of one or two elements, and the change of type at a graph's borders."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    DTYPES,
    LIMITS,
    ZERO_POINTS,
    Binary,
    Int8Array,
    Op,
    PRelu,
    QTensor,
    Quantize,
    Table,
    Unary,
)
from nanotool.ops import Layer
from nanotool.ops.shape import entries_of, rectifier, sum_parameters
from nanotool.simulate.kernels import kernel


def _aligned(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """The inputs [n, *shape] with as many axes each: new ones of 1 stand behind n."""
    axes = max(x.ndim for x in inputs)
    return [x.reshape(len(x), *(1,) * (axes - x.ndim), *x.shape[1:]) for x in inputs]


def _centered(layer: Layer[Op], *inputs: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The inputs less their zero points, axes aligned."""
    pairs = zip(_aligned(*inputs), layer.inputs, strict=True)
    return [x.astype(np.int64) - tensor.zero_point for x, tensor in pairs]


@kernel(Unary, Table)
def table(layer: Layer[Unary | Table], x: Int8Array) -> Int8Array:
    """out[i] = table[in[i] + 128]; of int16 see numerics.wide."""
    if layer.is_wide:
        return _of_int16(layer, x)
    return np.take(entries_of(layer), x.astype(np.int64) + 128)


def _of_int16(layer: Layer[Any], x: NDArray[Any]) -> NDArray[Any]:
    function = layer.op.function
    if function in unary.UNIT_IN_INT16:
        arguments = numerics.arguments(x, numerics.thirds_multiplier(layer.input.scale, function))
        unit = numerics.sigmoid_of_thirds if function == "sigmoid" else numerics.tanh_of_thirds
        return np.clip(unit(arguments), *layer.clamp).astype(np.int16)
    by = rectifier(layer)
    return numerics.rectified(x, by.positive, by.negative, by.sign, by.clamp)


@kernel(Binary)
def binary(layer: Layer[Binary], a: Int8Array, b: Int8Array) -> Int8Array:
    """out = clamp(a f b), shapes broadcast; see numerics.elementwise for the sums and products."""
    function = layer.op.function
    if function in ("maximum", "minimum"):
        extremum = (np.maximum if function == "maximum" else np.minimum)(*_aligned(a, b))
        clipped: Int8Array = np.clip(extremum, *layer.clamp).astype(a.dtype)
        return clipped
    x, y = _centered(layer, a, b)
    target = layer.output
    scales = (*(tensor.scale for tensor in layer.inputs), target.scale)
    if function == "mul":
        multiplier = numerics.mul_multiplier(*scales)
        return numerics.requantize(x * y, *multiplier, target.zero_point, *layer.clamp)
    if function == "div":
        multiplier = numerics.div_multiplier(*scales)
        return numerics.div(x, y, multiplier, target.zero_point, layer.clamp)
    if function in ("add", "sub"):
        sums, subtract = sum_parameters(layer), function == "sub"
        return numerics.add(x, y, sums, target.zero_point, layer.clamp, subtract=subtract)
    if function == "squared_difference":
        squares = numerics.squared_difference_parameters(*scales)
        return numerics.squared_difference(x, y, squares, target.zero_point, layer.clamp)
    if function in numerics.COMPARISONS:
        signs = numerics.compare(x, y, numerics.compare_multipliers(*scales[:2]))
        answers = np.clip(numerics.COMPARISONS[function], *layer.clamp).astype(np.int8)
        chosen: Int8Array = answers[1 + signs]
        return chosen
    raise InvalidModel(f"{layer.name}: there is no binary function {function!r}.")


@kernel(PRelu)
def prelu(layer: Layer[PRelu], x: Int8Array, alpha: Int8Array) -> Int8Array:
    """out = in where it is positive, else in * alpha."""
    source, slopes = layer.inputs
    target = layer.output
    parameters = numerics.prelu_parameters(source.scale, slopes.scale, target.scale)
    centered = _centered(layer, x, alpha)
    return numerics.prelu(centered[0], centered[1], parameters, target.zero_point, layer.clamp)


@kernel(Quantize)
def quantize(layer: Layer[Quantize], x: NDArray[Any]) -> NDArray[Any]:
    """The same real values in the output's type, scale and zero point."""
    source, target = layer.input, layer.output
    if source.dtype == "float32":
        return _from_float(target, x)
    if target.dtype == "float32":
        return _to_float(source, x)
    multiplier = numerics.quantize_multiplier(source.scale / target.scale)
    centered = x.astype(np.int64) - source.zero_point
    scaled = numerics.multiply_by_quantized_multiplier(centered, *multiplier)
    low, high = LIMITS[target.dtype]
    q = numerics.wrap_int32(scaled + target.zero_point)
    return np.clip(q, low, high).astype(DTYPES[target.dtype])


def _from_float(target: QTensor, x: NDArray[Any]) -> NDArray[Any]:
    """round(x / scale) + zero point, the quotient in float32, halves away from zero; NaN: the zero
    point."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(x, np.float32) / np.float32(target.scale)
    limited = np.clip(np.nan_to_num(scaled, nan=0.0), -(2.0**17), 2.0**17)
    whole = np.trunc(limited)
    nearest = whole + (limited - whole >= 0.5) - (limited - whole <= -0.5) + target.zero_point
    return np.asarray(np.clip(nearest, *ZERO_POINTS[target.dtype]), DTYPES[target.dtype])


def _to_float(source: QTensor, x: NDArray[Any]) -> NDArray[Any]:
    """(in - zero point) * scale in float32."""
    with np.errstate(over="ignore"):
        centered = x.astype(np.float32) - np.float32(source.zero_point)
        return np.asarray(centered * np.float32(source.scale), np.float32)
