"""Layers that go through a sequence, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import LIMITS, Gru, Int8Array, Lstm, QTensor, Rnn, Svdf
from nanotool.numerics import GateParameters, Int64Array, Multiplier
from nanotool.ops import Layer
from nanotool.ops.shape import (
    gate_biases,
    gru_parameters,
    lstm_parameters,
    rnn_parameters,
    svdf_multipliers,
)
from nanotool.simulate.kernels import kernel
from nanotool.simulate.windows import exact_float

Int16Array = NDArray[np.int16]


class _Gates:
    """The arguments of a layer's gates, from its sums: int16 [n, units] a gate."""

    def __init__(self, layer: Layer[Any], parameters: GateParameters, x: Int8Array) -> None:
        self.parameters, self.tensor = parameters, layer.output
        features = layer.input.shape[1]
        self.weights = layer.weight[..., features:].transpose(1, 0, 2)
        self.biases = gate_biases(layer).transpose(2, 1, 0)
        rows = layer.weight[..., :features].transpose(1, 0, 2)
        self.steps = [
            _product(_sums(x, layer.input, rows[k]) + self.biases[0, k], parameters.input[k])
            for k in range(len(rows))
        ]  # of x, all steps at once: [n, steps, units]
        self.outputs = np.empty((len(x), *layer.output.shape), np.int8)
        order = range(x.shape[1])
        self.order = order[::-1] if layer.op.reverse else order  # in which the rows of x come

    def of_x(self, step: int, gate: int) -> Int64Array:
        """What x adds to an argument."""
        return self.steps[gate][:, step]

    def of_h(self, h: Int8Array, gate: int) -> Int64Array:
        """What h [n, units] adds."""
        sums = _sums(h, self.tensor, self.weights[gate]) + self.biases[1, gate]
        return _product(sums, self.parameters.recurrent[gate])

    def argument(self, step: int, h: Int8Array, gate: int) -> Int64Array:
        """Both together."""
        return numerics.saturate_int16(self.of_x(step, gate) + self.of_h(h, gate))

    def hidden(self, value: NDArray[Any]) -> Int8Array:
        """What came out of a step, as h."""
        h: Int8Array = numerics.requantize(value, *self.parameters.hidden, self.tensor.zero_point)
        return h


@kernel(Lstm)
def lstm(
    layer: Layer[Lstm], x: Int8Array, h: Int8Array, c: Int16Array
) -> tuple[Int8Array, Int16Array]:
    """i, f, o = sigmoid(W x + R h + b), g = tanh(W x + R h + b); c = f c + i g; h = o tanh(c)."""
    parameters = lstm_parameters(layer)
    gates, cell = _Gates(layer, parameters, x), c.astype(np.int64)
    for step in gates.order:
        arguments = [3 * gates.argument(step, h, k) for k in range(4)]
        i, f, o = (numerics.sigmoid_of_thirds(arguments[k]) for k in (0, 1, 3))
        g = numerics.tanh_of_thirds(arguments[2])
        kept, written = _product(f * cell, parameters.keep), _product(i * g, parameters.write)
        cell = np.clip(kept + written, *parameters.cell_limits)
        squashed = numerics.tanh_of_thirds(numerics.shifted_thirds(cell, parameters.cell_shift))
        gates.outputs[:, step] = h = gates.hidden(o * squashed)
    return gates.outputs, cell.astype(np.int16)


@kernel(Gru)
def gru(layer: Layer[Gru], x: Int8Array, wide: Int16Array) -> tuple[Int8Array, Int16Array]:
    """r, z = sigmoid(W x + R h + b), n = tanh(W x + b + r (R h + c)); h = n + z (h - n) in 16 bits;
    the sums over h are of h in int8."""
    parameters = gru_parameters(layer)
    gates, state = _Gates(layer, parameters, x), wide.astype(np.int64)
    h, half = gates.hidden(state), (1 << parameters.shift) >> 1
    for step in gates.order:
        r, z = (numerics.sigmoid_of_thirds(3 * gates.argument(step, h, k)) for k in (0, 1))
        reset = (r * gates.of_h(h, 2) + 2**14) >> 15
        new = numerics.saturate_int16(gates.of_x(step, 2) + reset)
        n = (numerics.tanh_of_thirds(3 * new) + half) >> parameters.shift
        state = numerics.blend(z, state, n)
        gates.outputs[:, step] = h = gates.hidden(state)
    return gates.outputs, state.astype(np.int16)


@kernel(Rnn)
def rnn(layer: Layer[Rnn], x: Int8Array, h: Int8Array) -> Int8Array:
    """h = f(W x + R h + b)."""
    gates, squashes = _Gates(layer, rnn_parameters(layer), x), layer.op.function == "tanh"
    for step in gates.order:
        argument = gates.argument(step, h, 0)
        value = numerics.tanh_of_thirds(3 * argument) if squashes else np.maximum(argument, 0)
        gates.outputs[:, step] = h = gates.hidden(value)
    return gates.outputs


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


def _sums(x: Int8Array, tensor: QTensor, weight: Int8Array) -> Int64Array:
    """Sums of products of ``x`` [n, terms], less the zero point, and each row of ``weight``."""
    real = exact_float(weight.shape[1])
    centered = x.astype(real) - real(tensor.zero_point)
    return np.asarray(centered @ weight.T.astype(real), np.int64)


def _product(value: Int64Array, multiplier: Multiplier) -> Int64Array:
    """The product within int16."""
    return numerics.saturate_int16(numerics.multiply_by_quantized_multiplier(value, *multiplier))
