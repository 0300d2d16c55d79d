"""Run one operator, or a whole graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import DTYPES, QGraph, QOp
from nanotool.ops import Layer, layer_of
from nanotool.simulate.kernels import kernel

CHUNK_BYTES = 32 * 2**20  # about what one operator's widened inputs may take


def run_layer(layer: Layer[Any], *inputs: NDArray[Any]) -> NDArray[Any]:
    """The output [n, *shape] of ``layer`` on its ``inputs`` [n, *shape] each."""
    y = kernel.of(layer.op)(layer, *inputs)
    if y.shape[1:] != layer.output.shape:
        raise InvalidModel(
            f"{layer.name} computes shape {y.shape[1:]}, its tensor has {layer.output.shape}."
        )
    return y


def run_op(graph: QGraph, op: QOp, *inputs: NDArray[Any]) -> NDArray[Any]:
    """The output [n, *shape] of one ``op`` of ``graph`` on its ``inputs`` [n, *shape] each."""
    return run_layer(layer_of(graph, op), *inputs)


def _check_input(graph: QGraph, x: NDArray[Any]) -> None:
    expected = graph.input_tensor.shape
    dtype = graph.input_tensor.dtype
    if x.dtype != DTYPES[dtype] or x.shape[1:] != expected or x.ndim == 0:
        raise InvalidModel(
            f"The input has type {x.dtype} and shape {x.shape}; needed is {dtype} of shape (n, "
            f"{', '.join(map(str, expected))}).",
            "nanotool.inputs.to_device turns user data into it.",
        )


def _work_bytes(graph: QGraph) -> int:
    """Roughly the most bytes that one operator's widened arrays take for one sample."""
    most = 1
    for op in graph.ops:
        target = graph.tensors[op.name]
        most = max(most, 24 * target.size)
        for source in (graph.tensors[name] for name in op.inputs):
            most = max(most, 8 * source.size)
            if hasattr(op.op, "window") and source.shape:
                taps = math.prod(op.op.window.kernel)
                most = max(most, 4 * taps * math.prod(target.shape[:2]) * source.shape[-1])
    return most


def _run(graph: QGraph, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Every tensor, [n, *shape] each, constants too."""
    tensors: dict[str, NDArray[Any]] = {
        name: np.broadcast_to(data, (len(x), *data.shape)) for name, data in graph.constants.items()
    }
    tensors[graph.input] = x
    for op in graph.ops:
        tensors[op.name] = run_op(graph, op, *(tensors[name] for name in op.inputs))
    return tensors


def simulate_all(graph: QGraph, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Every tensor of ``graph`` by name, each [n, *shape], for the inputs ``x`` [n, *shape]."""
    _check_input(graph, x)
    return _run(graph, x)


def simulate(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    """The outputs [n, *output shape] of ``graph`` for the inputs ``x`` [n, *shape], both of the
    types that the graph's tensors have (int8, but at some borders).

    Raises InvalidModel for an input of another type or shape. Works in chunks of samples, so
    that any n fits into memory.
    """
    _check_input(graph, x)
    step = max(1, CHUNK_BYTES // _work_bytes(graph))
    y = np.empty((len(x), *graph.output_tensor.shape), DTYPES[graph.output_tensor.dtype])
    for start in range(0, len(x), step):
        y[start : start + step] = _run(graph, x[start : start + step])[graph.output]
    return y
