"""Write a QGraph as an int8 .tflite file.

Each operator becomes the TensorFlow Lite operators that compute the same bytes in TFLite Micro's
reference kernels; the batch dimension is 1. What TensorFlow Lite cannot say in one operator is
said in several: padding that is neither SAME nor VALID is a PAD in front, a clamp that is no
activation of its is a MAXIMUM and a MINIMUM behind, a function that it has not for int8 is a
GATHER from a table.

The bytes are the same for the same graph. Nothing but weights, shapes and scales is written: no
class names and no input permutation, so feed the file H, W, C.

    file       tensors and operators before they are serialized, their versions
    serialize  flatbuffers
    linear, pooling, elementwise, axis, move   one function an operator
    clamp, padding   what they share
    states     variables, and the variable tensors of recurrent layers
"""

from __future__ import annotations

import numpy as np

from nanotool.backends.tflite import axis, custom, elementwise, linear, move, pooling, recurrent
from nanotool.backends.tflite.emitters import Emitter, emits
from nanotool.backends.tflite.file import File
from nanotool.backends.tflite.serialize import serialize
from nanotool.backends.tflite.states import kept, write_assignments, write_reads
from nanotool.ir import QGraph
from nanotool.ops import facts, layer_of

emits.complete()

__all__ = [
    "Emitter",
    "axis",
    "custom",
    "elementwise",
    "emits",
    "linear",
    "move",
    "pooling",
    "recurrent",
    "write",
]


def write(graph: QGraph) -> bytes:
    """``graph`` as the bytes of a .tflite file, inputs and outputs with a batch of 1 in front.

    Raises UnsupportedOp for what TensorFlow Lite cannot express: a dilated pool, an average pool
    whose padding is neither SAME nor VALID, a recurrent layer whose state somebody else reads.
    """
    file = File(graph)
    for op in graph.ops:
        if facts(op.op).recurrent and not emits.writes[type(op.op)]:
            emits.of(op.op)(file, layer_of(graph, op))  # refuses, before its states are looked at
    keeping = kept(graph)
    own = {name for op in keeping.ops if facts(op.op).recurrent for name in op.inputs[1:]}
    for name, tensor in graph.tensors.items():
        if name in own and name not in graph.results:
            continue
        data = graph.constants.get(name)
        if data is None:
            file.index[name] = file.activation(name, tensor)
        else:
            file.index[name] = file.constant(
                name, data[np.newaxis], (tensor.scale,), tensor.zero_point
            )
    for key, state in keeping.inside.items():
        file.variables[key] = file.variable(state.name, graph.tensors[state.read])
    handles = write_reads(file, keeping.variables)
    for op in keeping.ops:
        emits.of(op.op)(file, layer_of(graph, op))
    write_assignments(file, keeping.variables, handles)
    return serialize(file)
