"""Random but valid QGraphs over every operator, small enough for every device.

    random_graph(seed)              the same graph for the same seed, always
    graphs()                        the same as a hypothesis strategy (shrinks to fewer layers)
    random_inputs(graph, n, seed)   int8 inputs: random ones, and the extremes
    examples(n)                     hypothesis settings: n examples, the same ones on every run;
                                    NANO_EXAMPLES=20 takes 20 times as many, new ones each time

Shapes are odd, strides and paddings uneven, scales and zero points sometimes extreme, clamps of
every kind, weights reach ±127 and now and then -128 (which imported models may hold). Scales
are chosen so that most layers use the int8 range and no accumulator leaves int32.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nanotool import simulate, unary
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2D,
    Conv2D,
    Dense,
    Int8Array,
    Int32Array,
    MaxPool2D,
    Op,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Softmax,
    Transpose,
    Unary,
    Window,
)

KINDS = (
    "dense",
    "conv2d",
    "max_pool",
    "average_pool",
    "unary",
    "softmax",
    "reshape",
    "transpose",
)
MAX_TENSOR = 2048  # elements
MAX_WEIGHTS = 8192  # elements of one layer
FULL = (INT8_MIN, INT8_MAX)


@dataclass
class _Builder:
    """A graph that grows at its end; ``x`` is what a few samples look like there."""

    rng: np.random.Generator
    tflite: bool
    tensors: dict[str, QTensor] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    end: str = "input"
    x: Int8Array = field(default_factory=lambda: np.zeros(0, np.int8))

    def start(self, shape: Shape) -> None:
        self.tensors["input"] = QTensor("input", shape, self.scale(), self.zero_point())
        self.x = self.rng.integers(-128, 128, (8, *shape)).astype(np.int8)

    def graph(self, name: str, samples: Int8Array | None = None) -> QGraph:
        return QGraph(
            name,
            self.tensors,
            tuple(self.ops),
            "input",
            self.end,
            samples=samples,
            source="random",
        )

    @property
    def tensor(self) -> QTensor:
        return self.tensors[self.end]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self) -> float:
        exponent = self.rng.uniform(-20, 20) if self.chance(0.1) else self.rng.uniform(-4, 1)
        return float(np.float32(10.0**exponent))

    def zero_point(self) -> int:
        if self.chance(0.4):
            return int(self.rng.choice([-128, 0, 127, -1]))
        return self.between(-128, 127)

    def clamp(self, target: QTensor) -> tuple[int, int]:
        """No clamp, ReLU, ReLU6, ReLU1, or any other interval."""
        kind = self.rng.choice(["none", "none", "relu", "relu", "relu6", "relu1", "any"])
        if kind == "any":
            low, high = sorted((self.between(-128, 127), self.between(-128, 127)))
            return low, high
        bounds = {
            "none": (-math.inf, math.inf),
            "relu": (0.0, math.inf),
            "relu6": (0.0, 6.0),
            "relu1": (-1.0, 1.0),
        }[str(kind)]
        low, high = (unary.quantized_bound(bound, target) for bound in bounds)
        return low, high

    def append(self, layer: QOp, target: QTensor) -> bool:
        """Add ``layer``; mostly refuses one after which nothing but a constant would be left."""
        part = replace(self.graph("part"), tensors={**self.tensors, target.name: target})
        x = simulate.run_op(part, layer, self.x)
        if np.ptp(x) == 0 and self.chance(0.9):
            return False
        self.tensors[target.name] = target
        self.ops.append(layer)
        self.end, self.x = target.name, x
        return True

    def plain(self, op: Op, target: QTensor, clamp: tuple[int, int] = FULL) -> bool:
        """Add an operator without weights."""
        return self.append(QOp(target.name, op, (self.end,), clamp=clamp), target)

    def next_name(self) -> str:
        return f"layers.{len(self.ops)}"

    def same_quantization(self, shape: Shape) -> QTensor:
        return QTensor(self.next_name(), shape, self.tensor.scale, self.tensor.zero_point)


# --- One function per kind: True if it added a layer ----------------------------------------------


def _weights(b: _Builder, shape: Shape) -> Int8Array:
    spread = 128 if b.chance(0.7) else b.between(1, 127)
    weight = np.clip(b.rng.integers(-spread, spread + 1, shape), -127, 127).astype(np.int8)
    flat = weight.reshape(-1)
    flat[b.between(0, flat.size - 1)] = 127
    flat[b.between(0, flat.size - 1)] = -127
    if b.chance(0.15):
        flat[b.between(0, flat.size - 1)] = -128
    if b.chance(0.1):
        weight[b.between(0, shape[0] - 1)] = 0  # a dead filter
    return weight


def _weighted(b: _Builder, op: Op, weight: Int8Array, shape: Shape) -> bool:
    """Add a layer with weights: draw its bias, and scales that keep the accumulators in range."""
    outputs, terms = weight.shape[0], weight[0].size
    source = b.tensor
    spread = math.sqrt(terms) * max(
        float(np.std(weight)) * float(np.std(b.x) + abs(np.mean(b.x) - source.zero_point)), 1.0
    )
    bias: Int32Array | None = None
    if b.chance(0.8):
        width = min(spread * b.rng.choice([0.1, 1.0, 3.0]), 2.0**28)
        bias = np.asarray(b.rng.integers(-int(width) - 1, int(width) + 2, outputs), np.int32)
    most = np.abs(weight.astype(np.int64)).reshape(outputs, terms).sum(axis=1) * 255
    if bias is not None:
        most = most + np.abs(bias.astype(np.int64))
    per_channel = b.chance(0.7)
    channels = outputs if per_channel else 1
    factor = (b.rng.uniform(20, 80) / spread) * 2.0 ** b.rng.uniform(-1.5, 1.5, channels)
    if b.chance(0.1):
        factor = 2.0 ** b.rng.uniform(-36, 6, channels)
    limit = 2.0**29 / np.maximum(most if per_channel else most.max(), 1)
    factor = np.minimum(factor, limit)
    target = QTensor(b.next_name(), shape, b.scale(), b.zero_point())
    weight_scale = np.asarray(factor * target.scale / source.scale, np.float32)
    if not (np.all(weight_scale > 1e-36) and np.all(weight_scale < 1e36)):
        return False
    layer = QOp(target.name, op, (b.end,), weight, weight_scale, bias, b.clamp(target))
    return b.append(layer, target)


def _dense(b: _Builder) -> bool:
    inputs = b.tensor.shape[-1]
    rows = b.tensor.size // inputs
    most = min(20, MAX_WEIGHTS // inputs, MAX_TENSOR // rows)
    if most < 1:
        return False
    outputs = b.between(1, most)
    weight = _weights(b, (outputs, inputs))
    return _weighted(b, Dense(), weight, (*b.tensor.shape[:-1], outputs))


def _window(b: _Builder, dilate: bool) -> Window:
    def kernel() -> int:
        return b.between(1, 5 if b.chance(0.3) else 3)

    size = (kernel(), kernel())
    dilation = (b.between(1, 3), b.between(1, 3)) if dilate and b.chance(0.25) else (1, 1)
    stride = (b.between(1, 3), b.between(1, 3)) if b.chance(0.6) else (1, 1)
    reach = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
    style = b.rng.choice(["valid", "half", "any"])
    padding = (0, 0, 0, 0)
    if style == "half":
        padding = (reach[0] // 2, reach[1] // 2, (reach[0] + 1) // 2, (reach[1] + 1) // 2)
    elif style == "any":
        padding = (
            b.between(0, reach[0]),
            b.between(0, reach[1]),
            b.between(0, reach[0]),
            b.between(0, reach[1]),
        )
    return Window(size, stride, padding, dilation)


def _conv2d(b: _Builder) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    height, width, depth = b.tensor.shape
    window = _window(b, dilate=True)
    rows, columns = window.output_size(height, width)
    divisors = [g for g in range(1, depth + 1) if depth % g == 0]
    groups = int(b.rng.choice(divisors)) if b.chance(0.4) else 1
    outputs = groups * b.between(1, max(1, 12 // groups))
    shape = (outputs, *window.kernel, depth // groups)
    if rows < 1 or columns < 1 or rows * columns * outputs > MAX_TENSOR:
        return False
    if math.prod(shape) > MAX_WEIGHTS:
        return False
    return _weighted(b, Conv2D(window, groups), _weights(b, shape), (rows, columns, outputs))


def _covered(window: Window, size: tuple[int, int], outputs: tuple[int, int]) -> bool:
    """Whether every placement of the window touches the input."""
    for axis in range(2):
        for position in range(outputs[axis]):
            start = position * window.stride[axis] - window.padding[axis]
            taps = (start + tap * window.dilation[axis] for tap in range(window.kernel[axis]))
            if not any(0 <= tap < size[axis] for tap in taps):
                return False
    return True


def same_padding(window: Window, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The padding that TensorFlow's SAME gives this window over ``size``."""
    pads = []
    for axis in range(2):
        out = -(-size[axis] // window.stride[axis])
        span = window.dilation[axis] * (window.kernel[axis] - 1) + 1
        total = max(0, (out - 1) * window.stride[axis] + span - size[axis])
        pads.append((total // 2, total - total // 2))
    return pads[0][0], pads[1][0], pads[0][1], pads[1][1]


def _pool(b: _Builder, make: Callable[[Window], Op]) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    height, width, depth = b.tensor.shape
    window = _window(b, dilate=make is MaxPool2D and not b.tflite)
    if make is AveragePool2D and b.tflite:
        same = same_padding(window, (height, width)) if b.chance(0.5) else (0, 0, 0, 0)
        window = Window(window.kernel, window.stride, same)
    rows, columns = window.output_size(height, width)
    if rows < 1 or columns < 1 or not _covered(window, (height, width), (rows, columns)):
        return False
    if rows * columns * depth > MAX_TENSOR:
        return False
    target = b.same_quantization((rows, columns, depth))
    return b.plain(make(window), target, b.clamp(target))


def _max_pool(b: _Builder) -> bool:
    return _pool(b, MaxPool2D)


def _average_pool(b: _Builder) -> bool:
    return _pool(b, AveragePool2D)


def _unary(b: _Builder) -> bool:
    function = str(b.rng.choice(["identity", "relu", "relu6", "sigmoid", "tanh"]))
    fixed = unary.fixed_output(function)
    source = b.tensor
    if fixed is not None:
        target = QTensor(b.next_name(), source.shape, *fixed)
        if b.tflite and not 2.0**-28 <= source.scale < 2.0**35:
            return False  # TFLite Micro's radius is undefined there (test_unary shows it)
        clamp = FULL
    else:
        ratio = float(2.0 ** b.rng.uniform(-3, 3))
        if b.chance(0.1):
            ratio = float(2.0 ** b.rng.uniform(-21, 36))
        same = b.chance(0.3)
        target = QTensor(
            b.next_name(),
            source.shape,
            source.scale if same else source.scale * ratio,
            source.zero_point if same else b.zero_point(),
        )
        clamp = b.clamp(target) if function == "identity" else FULL
    return b.plain(Unary(function), target, clamp)


def _softmax(b: _Builder) -> bool:
    beta = float(np.float32(1.0 if b.chance(0.7) else 2.0 ** b.rng.uniform(-3, 3)))
    if beta * b.tensor.scale <= 2.0**-25:
        return False
    if b.tflite and b.tensor.shape[-1] >= 512:
        return False  # TFLite Micro may abort the whole process (see docs/numerics.md)
    return b.plain(Softmax(beta), QTensor(b.next_name(), b.tensor.shape, 1 / 256, -128))


def _factors(b: _Builder, size: int) -> Shape:
    """A random shape of 1 to 4 axes with ``size`` elements."""
    shape = []
    for _ in range(int(b.rng.choice([0, 1, 2, 2, 2, 3]))):
        axis = int(b.rng.choice([d for d in range(1, size + 1) if size % d == 0]))
        shape.append(axis)
        size //= axis
    return (*shape, size)


def _reshape(b: _Builder) -> bool:
    shape = (b.tensor.size,) if b.chance(0.3) else _factors(b, b.tensor.size)
    return b.plain(Reshape(shape), b.same_quantization(shape))


def _transpose(b: _Builder) -> bool:
    source = b.tensor
    permutation = tuple(int(axis) for axis in b.rng.permutation(len(source.shape)))
    shape = tuple(source.shape[axis] for axis in permutation)
    return b.plain(Transpose(permutation), b.same_quantization(shape))


_ADD: dict[str, Callable[[_Builder], bool]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "unary": _unary,
    "softmax": _softmax,
    "reshape": _reshape,
    "transpose": _transpose,
}


# --- What the tests call --------------------------------------------------------------------------


def _input_shape(b: _Builder, kinds: Sequence[str]) -> Shape:
    spatial = {"conv2d", "max_pool", "average_pool"}
    if spatial.isdisjoint(kinds) and b.chance(0.6):
        return (b.between(1, 300),)
    if b.chance(0.15) and not spatial.issuperset(kinds):
        return (b.between(1, 200),)
    return b.between(1, 11), b.between(1, 11), int(b.rng.choice([1, 1, 2, 3, 4, 5, 8, 12]))


def random_graph(
    seed: int,
    layers: int | None = None,
    kinds: Sequence[str] = KINDS,
    *,
    tflite: bool = False,
) -> QGraph:
    """A valid chain of ``layers`` (None: 1 to 7) random operators of the ``kinds``.

    ``tflite``: only what a .tflite file can express (no dilated pools, no average pool with
    a padding other than SAME) and TFLite Micro computes without undefined behaviour.
    """
    b = _Builder(np.random.default_rng(seed), tflite)
    wanted = b.between(1, 7) if layers is None else layers
    weighted = {"conv2d", "dense"}
    urn = [kind for kind in kinds for _ in range(3 if kind in weighted else 1)]
    while True:
        b.tensors, b.ops, b.end = {}, [], "input"
        b.start(_input_shape(b, kinds))
        for _ in range(20 * wanted):
            if len(b.ops) < wanted:
                _ADD[str(b.rng.choice(urn))](b)
        if len(b.ops) == wanted:
            break
    name = f"random_{seed}"
    return b.graph(name, random_inputs(b.graph(name), 4, seed))


def random_inputs(graph: QGraph, n: int, seed: int = 0) -> Int8Array:
    """``n`` inputs int8 [n, *shape]: random bytes, narrow ranges, and the extremes."""
    rng = np.random.default_rng([seed, 1])
    shape = graph.input_tensor.shape
    x = rng.integers(-128, 128, (n, *shape)).astype(np.int8)
    for i, fill in zip(range(1, n, 5), (-128, 127, graph.input_tensor.zero_point), strict=False):
        x[i] = fill
    for i in range(3, n, 5):
        x[i] //= 16
    return x


def graphs(
    kinds: Sequence[str] = KINDS, max_layers: int = 7, *, tflite: bool = False
) -> st.SearchStrategy[QGraph]:
    """`random_graph` as a hypothesis strategy."""
    return st.builds(
        lambda layers, seed: random_graph(seed, layers, kinds, tflite=tflite),
        st.integers(1, max_layers),
        st.integers(0, 2**32 - 1),
    )


def examples(n: int) -> settings:
    """Settings for ``n`` examples, times the environment's NANO_EXAMPLES."""
    factor = float(os.environ.get("NANO_EXAMPLES", "1"))
    return settings(
        max_examples=max(1, round(n * factor)),
        derandomize=factor == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
