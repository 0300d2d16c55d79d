"""What an int8 graph's outputs will be like, fast: the float graph in PyTorch, rounded as int8 is.

Every tensor is rounded to its grid, of 8 or of 16 bits; weights and biases are those of the int8
graph. The order of roundings within an operator is not the device's, so single values may be a step
off; the noise is the same. It serves to compare quantizations, and to correct biases on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch

from nanotool.ir import (
    UNCLAMPED,
    FloatArray,
    Graph,
    Node,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Table,
    Unary,
    unclamped,
)
from nanotool.numerics import WIDE_LIMIT
from nanotool.ops import Layer, Registry, facts, float_layer_of, layer_of
from nanotool.ops.shape import entries_of
from nanotool.quantization.aware.forms import Learned, Tensor, compute, forms, view
from nanotool.validate import ACCUMULATOR_LIMIT

Inputs: TypeAlias = "Sequence[FloatArray]"  # one array [n, *shape] an input, device layout


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, so that results repeat; and small tensors gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)


def learned(node: Node) -> Learned:
    """The weights and the bias of a float node."""
    weight, bias = (
        None if array is None else torch.tensor(array) for array in (node.weight, node.bias)
    )
    return Learned(weight, bias)


def run_float(graph: Graph, x: Inputs) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every tensor of ``graph`` for ``x``; and of each node with weights the mean of every channel
    before its clamp."""
    tensors = {name: torch.tensor(data) for name, data in zip(graph.inputs, x, strict=True)}
    tensors.update((name, torch.tensor(data)[None]) for name, data in graph.constants.items())
    means: dict[str, Tensor] = {}
    for node in graph.nodes:
        inputs = [tensors[name] for name in node.inputs]
        free = replace(node, clamp=UNCLAMPED)
        y = compute(float_layer_of(graph, free), learned(node), inputs)
        if facts(node.op).weighted:
            means[node.name] = _mean(y)
        tensors[node.name] = y.clamp(*node.clamp)
    return tensors, means


def _mean(y: Tensor) -> Tensor:
    """Of every channel."""
    return y.reshape(-1, y.shape[-1]).mean(dim=0, dtype=torch.float64)


def on_grid(x: Tensor, tensor: QTensor, clamp: tuple[int, int] | None = None) -> Tensor:
    """``x`` rounded to the tensor's integers, as real numbers."""
    low, high = (bound - tensor.zero_point for bound in clamp or unclamped(tensor.dtype))
    return (x / tensor.scale).round_().clamp_(low, high).mul_(tensor.scale)


class Emulation:
    """An int8 graph on some inputs, with or without biases to be corrected."""

    def __init__(self, graph: QGraph, means: Mapping[str, Tensor] | None = None) -> None:
        """``means``: of every channel before the clamp, in float; biases are corrected to them."""
        self.graph = graph
        self._means = means or {}
        self._ops: list[QOp] = []
        self._last = {name: op.name for op in graph.ops for name in op.inputs}

    def run(self, x: Inputs) -> list[Tensor]:
        """The outputs for ``x``, real numbers [n, *shape] each."""
        graph = self.graph
        tensors = {
            tensor.name: on_grid(torch.tensor(data), tensor)
            for tensor, data in zip(graph.input_tensors, x, strict=True)
        }
        for name, data in graph.constants.items():
            tensors[name] = torch.tensor(graph.tensors[name].dequantize(data))[None]
        self._ops.clear()
        for op in graph.ops:
            tensors[op.name] = self._op(op, [tensors[name] for name in op.inputs])
            for name in op.inputs:
                if self._last[name] == op.name and name not in graph.outputs:
                    tensors.pop(name, None)
        return [tensors[name] for name in graph.outputs]

    def corrected(self) -> QGraph:
        """The graph of the last run, with its corrected biases."""
        return replace(self.graph, ops=tuple(self._ops))

    def _op(self, op: QOp, inputs: list[Tensor]) -> Tensor:
        layer = layer_of(self.graph, op)
        if op.weight is not None:
            return self._weighted(layer, inputs[0])
        self._ops.append(op)
        y: Tensor = emulated.of(op.op)(layer, *inputs)
        return y

    def _weighted(self, layer: Layer[Any], x: Tensor) -> Tensor:
        op, target = layer.qop, layer.output
        scale = layer.weight_scale.astype(np.float64)
        step = np.broadcast_to(scale * layer.factor_scale, (len(layer.weight),))
        shaped = scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
        weight = torch.tensor((layer.weight * shaped).astype(np.float32))
        y = forms.of(op.op)(view(layer), Learned(weight), x)
        bias = layer.bias
        if op.name in self._means:
            wanted = (self._means[op.name] - _mean(y)).numpy() / step
            # Where the accumulator could leave int32, the bias stays.
            products = np.abs(layer.weight.reshape(len(wanted), -1).astype(np.int64)).sum(axis=1)
            wide = target.dtype == "int16"
            limit = WIDE_LIMIT / 4 if wide else ACCUMULATOR_LIMIT - 256 * products - 1
            safe = np.abs(wanted) < limit
            bias = np.where(safe, np.rint(np.where(safe, wanted, 0)), bias).astype(np.int64)
            op = replace(op, bias=bias if wide else bias.astype(np.int32))
        self._ops.append(op)
        y = y + torch.tensor((bias * step).astype(np.float32))
        return on_grid(y, target, op.clamp)


def _rounded(layer: Layer[Any], *inputs: Tensor) -> Tensor:
    y = forms.of(layer.op)(view(layer), Learned(), *inputs)
    if facts(layer.op).indices:
        return y
    return on_grid(y, layer.output, layer.clamp)


emulated = Registry[Any]("quantization/auto/emulate.py", default=_rounded)


@emulated(Unary, Table)
def _table(layer: Layer[Unary | Table], x: Tensor) -> Tensor:
    if layer.is_wide:
        return _rounded(layer, x)
    table = torch.tensor(layer.output.dequantize(entries_of(layer)))
    return table[(x / layer.input.scale).round_().to(torch.int64) + layer.input.zero_point + 128]


@emulated(Pad)
def _pad(layer: Layer[Pad], x: Tensor) -> Tensor:
    value = layer.op.value
    if value is None:
        return _rounded(layer, x)
    return _rounded(layer, x, torch.tensor(layer.output.dequantize(np.array(value))))
