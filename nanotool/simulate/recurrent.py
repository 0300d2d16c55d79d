"""Layers that go through a sequence, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import LIMITS, Int8Array, Lstm, QTensor, Svdf
from nanotool.numerics import Int64Array, Multiplier
from nanotool.ops import Layer
from nanotool.ops.shape import lstm_parameters, svdf_multipliers
from nanotool.simulate.kernels import kernel
from nanotool.simulate.windows import exact_float

Int16Array = NDArray[np.int16]


@kernel(Lstm)
def lstm(
    layer: Layer[Lstm], x: Int8Array, h: Int8Array, c: Int16Array
) -> tuple[Int8Array, Int16Array]:
    """i, f, o = sigmoid(W x + R h + b), g = tanh(W x + R h + b); c = f c + i g; h = o tanh(c)."""
    parameters, (source, hidden, _) = lstm_parameters(layer), layer.inputs
    units, gates, terms = layer.weight.shape
    features = terms - units
    rows = layer.weight.transpose(1, 0, 2)  # gate, unit, term
    bias = layer.bias.T
    cell = c.astype(np.int64)
    outputs = np.empty((len(x), x.shape[1], units), np.int8)
    for step in range(x.shape[1]):
        arguments = []
        for k in range(gates):
            of_x = _gate(x[:, step], source, rows[k, :, :features], bias[k], parameters.input[k])
            of_h = _gate(h, hidden, rows[k, :, features:], 0, parameters.recurrent[k])
            arguments.append(3 * numerics.saturate_int16(of_x + of_h))
        i, f, o = (numerics.sigmoid_of_thirds(arguments[k]) for k in (0, 1, 3))
        g = numerics.tanh_of_thirds(arguments[2])
        kept, written = _product(f * cell, parameters.keep), _product(i * g, parameters.write)
        cell = np.clip(kept + written, *parameters.cell_limits)
        squashed = numerics.tanh_of_thirds(numerics.shifted_thirds(cell, parameters.cell_shift))
        h = numerics.requantize(o * squashed, *parameters.hidden, hidden.zero_point)
        outputs[:, step] = h
    return outputs, cell.astype(np.int16)


@kernel(Svdf)
def svdf(
    layer: Layer[Svdf], x: Int8Array, memory: NDArray[Any], time: NDArray[Any]
) -> tuple[Int8Array, NDArray[Any]]:
    """The memory of each filter loses its oldest step and gains that of x; out = bias + sums over
    time of rank filters each. A step saturates before the zero point is added, which is modulo 2^8;
    sums over time are modulo 2^32."""
    feature, out = svdf_multipliers(layer)
    source, held, _ = layer.inputs
    low, high = LIMITS[held.dtype]
    sums = _sums(x, source, layer.weight)
    scaled = np.clip(numerics.multiply_by_quantized_multiplier(sums, *feature), low, high)
    newest = (scaled + held.zero_point).astype(memory.dtype).astype(np.int64)
    past = memory.reshape(len(x), *time.shape[1:])[..., 1:].astype(np.int64)
    following = np.concatenate([past, newest[..., np.newaxis]], axis=2)
    products = ((following - held.zero_point) * time.astype(np.int64)).sum(axis=2)
    totals = products.reshape(len(x), -1, layer.op.rank).sum(axis=2) + layer.bias
    y = numerics.requantize(numerics.wrap_int32(totals), *out, layer.output.zero_point)
    return y, following.reshape(memory.shape).astype(memory.dtype)


def _gate(
    x: Int8Array,
    tensor: QTensor,
    weight: Int8Array,
    bias: NDArray[np.int64] | int,
    multiplier: Multiplier,
) -> Int64Array:
    """The sums over ``x`` [n, terms] as a gate's argument, int16."""
    return _product(_sums(x, tensor, weight) + bias, multiplier)


def _sums(x: Int8Array, tensor: QTensor, weight: Int8Array) -> Int64Array:
    """Sums of products of ``x`` [n, terms], less the zero point, and each row of ``weight``."""
    real = exact_float(weight.shape[1])
    centered = x.astype(real) - real(tensor.zero_point)
    return np.asarray(centered @ weight.T.astype(real), np.int64)


def _product(value: Int64Array, multiplier: Multiplier) -> Int64Array:
    """The product within int16."""
    return numerics.saturate_int16(numerics.multiply_by_quantized_multiplier(value, *multiplier))
