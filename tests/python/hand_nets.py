"""Small int8 graphs, built up name by name, and what lossless passes must keep of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from random_graphs import random_inputs

from nanotool.errors import NanoError
from nanotool.ir import (
    AveragePool2D,
    Concat,
    Conv2D,
    Int8Array,
    Int32Array,
    MaxPool2D,
    Op,
    Pad,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Slice,
    Transpose,
    Window,
)
from nanotool.lower import lower
from nanotool.passes.lossless import (
    simplify,
)
from nanotool.simulate import simulate
from nanotool.validate import validate

FULL = (-128, 127)
# They need the output to have the input's scale and zero point.
KEEPING = (Reshape, Transpose, Concat, Slice, Pad, MaxPool2D, AveragePool2D)


def check_same(before: QGraph, after: QGraph, seed: int = 0) -> None:
    """The same function, and as sound a graph."""
    validate(after)
    x = random_inputs(before, 12, seed)
    assert simulate(before, x).tobytes() == simulate(after, x).tobytes()
    assert after.input_tensor == before.input_tensor
    assert replace(after.output_tensor, name="") == replace(before.output_tensor, name="")
    assert after.labels == before.labels
    assert after.samples is before.samples


def can_be_lowered(graph: QGraph) -> bool:
    try:
        lower(graph)
    except NanoError:
        return False
    return True


class Net:
    """A small graph, built up name by name; scale 0.1 and zero point -5 where nothing else is said,
    or asked for by the op."""

    def __init__(self, shape: Shape = (4, 4, 2), seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = {"input": QTensor("input", shape, 0.1, -5)}
        self.constants: dict[str, Int8Array] = {}
        self.ops: list[QOp] = []

    def add(
        self,
        name: str,
        op: Op,
        *inputs: str,
        shape: Shape | None = None,
        scale: float | None = None,
        zero_point: int | None = None,
        clamp: tuple[int, int] = FULL,
    ) -> None:
        given = self.tensors[inputs[0]]
        keeps = isinstance(op, KEEPING)
        scale = (given.scale if keeps else 0.1) if scale is None else scale
        zero_point = (given.zero_point if keeps else -5) if zero_point is None else zero_point
        shape = self.tensors[inputs[0]].shape if shape is None else shape
        self.tensors[name] = QTensor(name, shape, scale, zero_point)
        self.ops.append(QOp(name, op, inputs, clamp=clamp))

    def constant(self, name: str, data: NDArray[np.int_] | list[int] | int) -> None:
        array = np.array(data, np.int8)
        self.tensors[name] = QTensor(name, array.shape, 0.1, -5)
        self.constants[name] = array

    def weighted(
        self,
        name: str,
        op: Op,
        source: str,
        shape: Shape,
        weight: NDArray[np.int_] | Shape,
        *,
        bias: list[int] | None = None,
        **more: object,
    ) -> None:
        """A sum of products with ``weight``, or random weights of this shape."""
        self.add(name, op, source, shape=shape, **more)  # type: ignore[arg-type]
        if isinstance(weight, tuple):
            weight = self.rng.integers(-90, 91, weight)
        terms = weight[0].size
        scales = np.full(len(weight), 0.02 / np.sqrt(terms), np.float32)
        self.ops[-1] = replace(
            self.ops[-1],
            weight=weight.astype(np.int8),
            weight_scale=scales,
            bias=None if bias is None else np.array(bias, np.int32),
        )

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        kernel: int = 1,
        padding: int = 0,
        *,
        bias: list[int] | None = None,
        **more: object,
    ) -> None:
        height, width, depth = self.tensors[source].shape
        window = Window((kernel, kernel), padding=(padding,) * 4)
        shape = (*window.output_size(height, width), channels)
        weights = (channels, kernel, kernel, depth)
        self.weighted(name, Conv2D(window), source, shape, weights, bias=bias, **more)

    def depthwise(
        self, name: str, source: str, padding: int = 1, *, bias: list[int] | None = None
    ) -> None:
        height, width, depth = self.tensors[source].shape
        window = Window((3, 3), padding=(padding,) * 4)
        shape = (*window.output_size(height, width), depth)
        self.weighted(name, Conv2D(window, depth), source, shape, (depth, 3, 3, 1), bias=bias)

    def kill(self, name: str, values: dict[int, int]) -> None:
        """Channels of the layer ``name`` get the same value for every input."""
        at = next(i for i, op in enumerate(self.ops) if op.name == name)
        op, target = self.ops[at], self.tensors[name]
        assert op.weight is not None
        assert op.weight_scale is not None
        weight = op.weight.copy()
        bias: Int32Array = np.zeros(len(weight), np.int32) if op.bias is None else op.bias.copy()
        real = self.tensors[op.inputs[0]].scale * op.weight_scale / target.scale
        for channel, value in values.items():
            weight[channel] = 0
            bias[channel] = round((value - target.zero_point) / float(real[channel]))
        self.ops[at] = replace(op, weight=weight, bias=bias)

    def graph(self, output: str | None = None) -> QGraph:
        graph = QGraph(
            "net",
            self.tensors,
            tuple(self.ops),
            ("input",),
            (output or self.ops[-1].name,),
            constants=self.constants,
        )
        validate(graph)
        return graph

    def optimized(self, output: str | None = None) -> QGraph:
        graph = self.graph(output)
        result = simplify(graph)
        check_same(graph, result)
        return result


def names(graph: QGraph) -> list[str]:
    return [op.name for op in graph.ops]


def kinds(graph: QGraph) -> list[type[Op]]:
    return [type(op.op) for op in graph.ops]
