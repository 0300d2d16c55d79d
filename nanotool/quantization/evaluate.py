"""Run a float `Graph` in NumPy, sample by sample the same as the PyTorch module it came from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import UNCLAMPED, AveragePool2D, FloatArray, Graph, MaxPool2D
from nanotool.ops import float_layer_of
from nanotool.quantization.float_ops import compute

_CHUNK_ELEMENTS = 8 * 2**20  # about what all tensors of a piece may hold


def evaluate(graph: Graph, x: NDArray[Any]) -> dict[str, FloatArray]:
    """Every tensor of ``graph`` but its constants, float32 [n, *shape], in the graph's layout.

    ``x`` is n x input shape: the user's (C, H, W), or the graph's own after the layout pass
    (H, W, C); a shape that is both is the user's.
    """
    tensors = {graph.input: to_graph_layout(graph, x)}
    constants = {name: data[np.newaxis] for name, data in graph.constants.items()}
    for node in graph.nodes:
        inputs = (constants[t] if t in constants else tensors[t] for t in node.inputs)
        result = compute(float_layer_of(graph, node), *inputs)
        if node.clamp != UNCLAMPED:
            result = np.clip(result, *node.clamp)
        tensors[node.name] = np.ascontiguousarray(result, np.float32)
    return tensors


def to_graph_layout(graph: Graph, x: NDArray[Any]) -> FloatArray:
    """A batch in the graph's layout, from that layout or the user's."""
    data = real_numbers(x)
    user = user_shape(graph)
    if data.ndim and data.shape[1:] == user:
        order = graph.input_permutation or tuple(range(len(user)))
        result = data.transpose(0, *(1 + axis for axis in order))
    elif data.ndim and data.shape[1:] == graph.input_shape:
        result = data
    else:
        raise NanoError(
            f"The data have shape {data.shape}; {graph.name} takes N x {user}.",
            "Pass batches, the samples along the first axis.",
        )
    return np.ascontiguousarray(result, np.float32)


def real_numbers(x: NDArray[Any]) -> NDArray[Any]:
    """``x`` as an array of numbers; NanoError if it is none."""
    data = np.asarray(x)
    if data.dtype.kind not in "fiub":
        raise NanoError(f"The data have type {data.dtype}.", "Pass real numbers.")
    return data


def user_shape(graph: Graph) -> tuple[int, ...]:
    """The shape of one input as the user has it (C, H, W)."""
    if not graph.input_permutation:
        return graph.input_shape
    shape = [0] * len(graph.input_shape)
    for device_axis, user_axis in enumerate(graph.input_permutation):
        shape[user_axis] = graph.input_shape[device_axis]
    return tuple(shape)


def chunks(graph: Graph, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """``x`` cut along its first axis so that evaluating a piece takes bounded memory."""
    step = max(1, _CHUNK_ELEMENTS // _work(graph))
    for start in range(0, len(x), step):
        yield x[start : start + step]


def _work(graph: Graph) -> int:
    """About how many elements evaluating one sample holds."""
    total = math.prod(graph.input_shape)
    patches = 1
    for node in graph.nodes:
        total += math.prod(node.shape)
        if isinstance(node.op, (MaxPool2D, AveragePool2D)):
            source = graph.shape(node.inputs[0])
            channels = source[2] if graph.channels_last else source[0]
            pixels = math.prod(node.shape) // (
                node.shape[2] if graph.channels_last else node.shape[0]
            )
            patches = max(patches, pixels * channels * math.prod(node.op.window.kernel))
    return total + patches
