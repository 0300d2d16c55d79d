"""Layers that remember: their states are variable tensors, which the operator updates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.content import FULL_INTEGER
from nanotool.frontends.tflite.importers import imports
from nanotool.ir import FloatArray, Int8Array, Int32Array, Lstm, QOp, Slice, Svdf

# Places of an LSTM's inputs; weights and biases in the order i, f, g, o.
OF_INPUT, OF_HIDDEN, BIASES = range(1, 5), range(5, 9), range(12, 16)
HIDDEN, CELL = 18, 19
MEMORY = 4  # an SVDF's
WITHOUT = {  # what TensorFlow Lite Micro has not, either
    **dict.fromkeys((9, 10, 11), "peepholes"),
    **dict.fromkeys((16, 17), "a projection"),
    **dict.fromkeys((20, 21, 22, 23), "layer normalization"),
}


@imports("UNIDIRECTIONAL_SEQUENCE_LSTM", Lstm, 20, 24, border=True)
def _lstm(call: Call) -> None:
    options = call.options(schema.UnidirectionalSequenceLSTMOptions)
    if options.fused_activation != "TANH":
        call.unsupported(f"an LSTM with the activation {options.fused_activation}", "Use tanh.")
    for i, what in WITHOUT.items():
        if call.has(i):
            call.unsupported(f"an LSTM with {what}", "Use a plain LSTM, as Keras makes it.")
    if not call.has(OF_INPUT[0]):
        call.unsupported("an LSTM whose input gate is tied to its forget gate", "Use a plain LSTM.")
    steps, features, units = _lstm_sizes(call, options.time_major)
    _check_types(call)
    weight, scale, bias = _lstm_weights(call, features, units)
    hidden, cell = call.recall(HIDDEN, (units,)), call.recall(CELL, (units,))
    tensors, target = call.builder.tensors, call.target()
    like = tensors[hidden]
    if (like.scale, like.zero_point) != (target.scale, target.zero_point):
        call.unsupported("an LSTM whose output is scaled otherwise than its state", FULL_INTEGER)
    following = replace(tensors[cell], name=call.builder.unique(f"{target.name}/cell"))
    output = call.emit(
        Lstm(options.cell_clip),
        [call.source(0, (steps, features)), hidden, cell],
        (steps, units),
        weight=weight,
        weight_scale=scale,
        bias=bias,
        more=[following],
    )
    call.remember(CELL, following.name)
    call.remember(HIDDEN, _last(call, output, steps, units))


@imports("SVDF", Svdf, 4, 5, border=True)
def _svdf(call: Call) -> None:
    """Inputs: data, weights of features, weights over time, bias, memory."""
    rank = call.options(schema.SVDFOptions).rank
    weight, scale = call.weights(1, rank=2, channel_axis=0)
    filters, features = weight.shape
    time, shape = call.given(2), call.given(0).shape
    if rank < 1 or filters % rank or len(time.shape) != 2 or time.shape[0] != filters:
        call.invalid(f"rank {rank}, {filters} filters and {time.shape} do not fit each other")
    if time.data is None or time.type not in {"INT8", "INT16"} or len(scale) != 1:
        call.unsupported("SVDF whose weights are not constant INT8 or INT16", FULL_INTEGER)
    if len(shape) != 2 or shape[0] != 1 or shape[1] != features:
        call.unsupported(f"SVDF on shape {shape}", "Convert the model for a batch of 1.")
    for what, i in (("input", 0), ("memory", MEMORY)):
        wanted = time.type if i else "INT8"
        if call.given(i).type != wanted:
            call.unsupported(f"SVDF whose {what} is {call.given(i).type}", FULL_INTEGER)
    memory = call.recall(MEMORY)
    tensors, target = call.builder.tensors, call.target()
    if tensors[memory].size != math.prod(time.shape):
        call.invalid(f"its memory has {tensors[memory].size} elements, not {math.prod(time.shape)}")
    following = replace(tensors[memory], name=call.builder.unique(f"{target.name}/memory"))
    units = filters // rank
    call.emit(
        Svdf(rank),
        [call.source(0, (features,)), memory, call.source(2, time.shape)],
        (units,),
        weight=weight,
        weight_scale=scale,
        bias=call.bias(3, units),
        more=[following],
    )
    call.remember(MEMORY, following.name)


def _lstm_sizes(call: Call, time_major: bool) -> tuple[int, int, int]:
    """Steps, features, units: a batch of 1 is the first axis, or the second one."""
    shape = call.given(0).shape
    if len(shape) != 3:
        call.invalid(f"its input {shape} has not 3 axes")
    steps, batch = (shape[0], shape[1]) if time_major else (shape[1], shape[0])
    if batch != 1:
        call.unsupported(f"an LSTM over a batch of {batch}", "Convert the model for a batch of 1.")
    return steps, shape[2], call.given(HIDDEN).size


def _check_types(call: Call) -> None:
    """int8 but for the cell state."""
    for what, tensor, wanted in (
        ("input", call.given(0), "INT8"),
        ("output", call.result(), "INT8"),
        ("hidden state", call.given(HIDDEN), "INT8"),
        ("cell state", call.given(CELL), "INT16"),
    ):
        if tensor.type != wanted:
            call.unsupported(f"an LSTM whose {what} is {tensor.type}", FULL_INTEGER)
    cell = call.given(CELL).quantization
    if cell is None or cell.zero_points != (0,):
        call.invalid("its cell state has not one scale and the zero point 0")


def _lstm_weights(
    call: Call, features: int, units: int
) -> tuple[Int8Array, FloatArray, Int32Array]:
    """Weights [units, 4, features + units], scales [8], biases [units, 4]."""
    columns: list[list[Int8Array]] = [[], []]
    scales = []
    biases = [call.bias(i, units) for i in BIASES]
    for k, i in enumerate((*OF_INPUT, *OF_HIDDEN)):
        data, scale = call.weights(i, rank=2, channel_axis=0)
        if data.shape != (units, (features, units)[k // 4]):
            call.invalid(f"its weights, input {i}, are {data.shape}")
        if len(scale) != 1:
            call.unsupported("an LSTM with a scale for each unit", "Use one scale for each matrix.")
        columns[k // 4].append(data)
        scales.append(scale[0])
    given = [np.zeros(units, np.int32) if bias is None else bias for bias in biases]
    for k, scale in enumerate(scales):
        if scale == 0:  # its weights are 0, and so is what TensorFlow Lite makes of the sum
            scales[k] = np.float32(1)
            if k < len(given):
                given[k] = np.zeros(units, np.int32)
    parts = [np.stack(part, axis=1) for part in columns]
    return (
        np.concatenate(parts, axis=2),
        np.array(scales, np.float32),
        np.stack(given, axis=1).astype(np.int32),
    )


def _last(call: Call, source: str, steps: int, units: int) -> str:
    """The last row of ``source`` [steps, units]."""
    builder = call.builder
    if steps == 1:
        return source
    name = builder.unique(f"{call.target().name}/last")
    builder.tensors[name] = replace(builder.tensors[source], name=name, shape=(1, units))
    builder.ops.append(QOp(name, Slice((steps - 1, 0), (1, 1)), (source,)))
    return name
