"""Layers that remember. Their states are variable tensors (`nanotool.backends.tflite.states`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.backends.tflite.emitters import HINT, emits
from nanotool.backends.tflite.file import NO_TENSOR, Activations, Codes, File
from nanotool.errors import UnsupportedOp
from nanotool.ir import Gru, Lstm, Rnn, Svdf
from nanotool.ops import Layer, facts

LSTM_GATES = facts(Lstm()).gates


@emits(Lstm, writes=(Codes.UNIDIRECTIONAL_SEQUENCE_LSTM,))
def _lstm(file: File, layer: Layer[Lstm]) -> None:
    """Inputs: x, weights of x and of h for i, f, g, o, no peepholes, biases, no projection, h, c,
    no normalization."""
    op, features = layer.qop, layer.input.shape[-1]
    if layer.op.reverse:
        raise UnsupportedOp(layer.name, "an LSTM that goes backwards in a .tflite file", HINT)
    parts = (layer.weight[..., :features], layer.weight[..., features:])
    weights = [
        file.constant(
            f"{op.name}/weights_{number * LSTM_GATES + gate}",
            np.ascontiguousarray(part[:, gate]),
            (float(layer.weight_scale[number * LSTM_GATES + gate]),),
        )
        for number, part in enumerate(parts)
        for gate in range(LSTM_GATES)
    ]
    biases = [
        file.constant(f"{op.name}/bias_{gate}", layer.bias[:, gate].astype(np.int32))
        for gate in range(LSTM_GATES)
    ]
    states = [file.variables[op.name, number] for number in (1, 2)]
    none = NO_TENSOR
    file.operator(
        Codes.UNIDIRECTIONAL_SEQUENCE_LSTM,
        (
            *(file.index[op.inputs[0]], *weights, none, none, none, *biases, none, none),
            *(*states, none, none, none, none),
        ),
        file.index[op.name],
        "UnidirectionalSequenceLSTMOptions",
        FusedActivationFunction=Activations.TANH,
        CellClip=layer.op.cell_clip,
    )


@emits(Gru, Rnn)
def _unknown(_file: File, layer: Layer[Gru | Rnn]) -> None:
    kind = type(layer.op).__name__.upper()
    raise UnsupportedOp(layer.name, f"{kind} in a .tflite file: TensorFlow Lite has none", HINT)


@emits(Svdf, writes=(Codes.SVDF,))
def _svdf(file: File, layer: Layer[Svdf]) -> None:
    """Inputs: x, weights, weights over time, bias, memory."""
    op, time = layer.qop, layer.inputs[2]
    data: NDArray[np.int8 | np.int16] | None = layer.constants[2]
    assert data is not None
    bias_scale = float(np.float32(layer.inputs[1].scale) * np.float32(time.scale))
    inputs = (
        file.index[op.inputs[0]],
        file.constant(f"{op.name}/weights", layer.weight, (float(layer.weight_scale[0]),)),
        file.constant(time.name, data, (time.scale,)),
        file.constant(f"{op.name}/bias", layer.bias.astype(np.int32), (bias_scale,)),
        file.variables[op.name, 1],
    )
    file.operator(Codes.SVDF, inputs, file.index[op.name], "SVDFOptions", Rank=layer.op.rank)
