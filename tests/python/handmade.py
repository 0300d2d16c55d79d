"""QGraphs made by hand, for tests that need a known net rather than a random one."""

from __future__ import annotations

import math

import numpy as np

from nanotool import unary
from nanotool.ir import (
    Conv2D,
    Dense,
    MaxPool2D,
    Op,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Softmax,
    Window,
)


class GraphBuilder:
    """A chain of layers with random weights and scales that use the whole int8 range."""

    def __init__(self, name: str, shape: Shape, seed: int = 0) -> None:
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.tensors = {"input": QTensor("input", shape, 1 / 255, -128)}
        self.ops: list[QOp] = []
        self.end = "input"

    @property
    def tensor(self) -> QTensor:
        return self.tensors[self.end]

    def weighted(self, name: str, op: Op, shape: Shape, weight_shape: Shape, relu: bool) -> None:
        weight = self.rng.integers(-127, 128, weight_shape).astype(np.int8)
        terms = math.prod(weight_shape[1:])
        target = QTensor(name, shape, self.tensor.scale * math.sqrt(terms) / 2, -128 if relu else 3)
        scales = self.rng.uniform(0.005, 0.02, weight_shape[0]).astype(np.float32)
        bias = self.rng.integers(-2000, 2000, weight_shape[0]).astype(np.int32)
        self.tensors[name] = target
        clamp = (unary.quantized_bound(0, target), 127) if relu else (-128, 127)
        self.ops.append(QOp(name, op, (self.end,), weight, scales, bias, clamp))
        self.end = name

    def conv2d(self, name: str, channels: int, kernel: int = 3, relu: bool = True) -> None:
        height, width, depth = self.tensor.shape
        window = Window((kernel, kernel), padding=(kernel // 2,) * 4)
        weights = (channels, kernel, kernel, depth)
        self.weighted(name, Conv2D(window), (height, width, channels), weights, relu)

    def max_pool(self, name: str) -> None:
        height, width, depth = self.tensor.shape
        self.plain(name, MaxPool2D(Window((2, 2), (2, 2))), (height // 2, width // 2, depth))

    def dense(self, name: str, features: int, relu: bool = False) -> None:
        inputs = self.tensor.shape[-1]
        shape = (*self.tensor.shape[:-1], features)
        self.weighted(name, Dense(), shape, (features, inputs), relu)

    def plain(self, name: str, op: Op, shape: Shape) -> None:
        self.tensors[name] = QTensor(name, shape, self.tensor.scale, self.tensor.zero_point)
        self.ops.append(QOp(name, op, (self.end,)))
        self.end = name

    def flatten(self, name: str) -> None:
        self.plain(name, Reshape((self.tensor.size,)), (self.tensor.size,))

    def softmax(self, name: str) -> None:
        self.tensors[name] = QTensor(name, self.tensor.shape, 1 / 256, -128)
        self.ops.append(QOp(name, Softmax(), (self.end,)))
        self.end = name

    def graph(self, *, samples: int = 4, source: str = "made by hand") -> QGraph:
        x = self.rng.integers(-128, 128, (samples, *self.tensors["input"].shape)).astype(np.int8)
        return QGraph(
            self.name,
            self.tensors,
            tuple(self.ops),
            ("input",),
            (self.end,),
            samples=(x,),
            source=source,
        )


def digits_cnn() -> QGraph:
    """The net of the digits example, with random weights: 290,080 MACs."""
    b = GraphBuilder("digits", (28, 28, 1))
    b.conv2d("features.0", 8)
    b.max_pool("features.2")
    b.conv2d("features.3", 16)
    b.max_pool("features.5")
    b.flatten("flatten")
    b.dense("classifier", 10)
    return b.graph()
