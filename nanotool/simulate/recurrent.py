"""Layers that go through a sequence, step by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import Int8Array, Lstm, QTensor
from nanotool.numerics import Int64Array, Multiplier
from nanotool.ops import Layer
from nanotool.ops.shape import lstm_parameters
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


def _gate(
    x: Int8Array,
    tensor: QTensor,
    weight: Int8Array,
    bias: NDArray[np.int64] | int,
    multiplier: Multiplier,
) -> Int64Array:
    """The sums over ``x`` [n, terms] as a gate's argument, int16."""
    real = exact_float(weight.shape[1])
    centered = x.astype(real) - real(tensor.zero_point)
    sums = (centered @ weight.T.astype(real)).astype(np.int64) + bias
    return _product(sums, multiplier)


def _product(value: Int64Array, multiplier: Multiplier) -> Int64Array:
    """The product within int16."""
    return numerics.saturate_int16(numerics.multiply_by_quantized_multiplier(value, *multiplier))
