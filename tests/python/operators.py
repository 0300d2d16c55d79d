"""Random graphs of one operator each, with every geometry that its kernel knows.

Smaller and more varied than the layers of `random_graphs`: any number of axes, operands that
broadcast, constants, types of borders. Where an operator reads several tensors they are cut out of
the graph's one input, so that all of them are buffers that die.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.ir import (
    DTYPES,
    LIMITS,
    ZERO_POINTS,
    ArgMax,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    CumSum,
    Dense,
    Gather,
    GroupNorm,
    Gru,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    PRelu,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Shape,
    Slice,
    Softmax,
    Table,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import FACTS

FULL = (-128, 127)


@dataclass
class Draw:
    """A graph in the making."""

    rng: np.random.Generator
    tensors: dict[str, QTensor] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    # --- Numbers ----------------------------------------------------------------------------------

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def shape(self, axes: int | None = None, most: int = 6) -> Shape:
        axes = self.between(1, 4) if axes is None else axes
        return tuple(self.between(1, most) for _ in range(axes))

    def window(self, size: Shape, dilate: bool = True) -> Window:
        """One that fits over ``size`` with its padding."""
        while True:
            window = Window(
                (self.between(1, 4), self.between(1, 4)),
                (self.between(1, 3), self.between(1, 3)),
                (*(self.between(0, 2) for _ in range(4)),),  # type: ignore[arg-type]
                (self.between(1, 2), self.between(1, 2)) if dilate else (1, 1),
            )
            if min(window.output_size(size[0], size[1])) > 0:
                return window

    def quantized(self, name: str, shape: Shape, dtype: str = "int8") -> QTensor:
        """A tensor of any scale and zero point."""
        if dtype not in ZERO_POINTS:
            return QTensor(name, shape, 1, 0, dtype)
        return QTensor(name, shape, self.scale(), self.between(*ZERO_POINTS[dtype]), dtype)

    def scale(self, unit: float = 0.1) -> float:
        return float(np.float32(unit * 2.0 ** self.rng.uniform(-2, 2)))

    def clamp(self) -> tuple[int, int]:
        if self.chance(0.5):
            return FULL
        low, high = sorted((self.between(-128, 127), self.between(-128, 127)))
        return low, high

    # --- Graphs -----------------------------------------------------------------------------------

    def input(self, shape: Shape, dtype: str = "int8") -> QTensor:
        """The graph's input, as the operator's only one."""
        self.tensors["input"] = self.quantized("input", shape, dtype)
        return self.tensors["input"]

    def cut(self, *wanted: QTensor) -> None:
        """Make ``wanted`` out of pieces of the graph's input."""
        whole = self.input((sum(tensor.size for tensor in wanted),))
        at = 0
        for tensor in wanted:
            piece = QTensor(f"{tensor.name}.piece", (tensor.size,), whole.scale, whole.zero_point)
            shaped = QTensor(f"{tensor.name}.shaped", tensor.shape, whole.scale, whole.zero_point)
            self.add(Slice((at,), (1,)), piece, "input")
            self.add(Reshape(tensor.shape), shaped, piece.name)
            self.add(Quantize(), tensor, shaped.name)
            at += tensor.size

    def constant(self, tensor: QTensor, *, zeros: bool = False) -> None:
        """Make ``tensor`` a constant."""
        low, high = (tensor.zero_point,) * 2 if zeros else LIMITS[tensor.dtype]
        data = self.rng.integers(low, high + 1, tensor.shape)
        self.tensors[tensor.name] = tensor
        self.constants[tensor.name] = data.astype(DTYPES[tensor.dtype])

    def zero_point(self) -> int:
        return self.between(*FULL)

    def add(self, op: Op, target: QTensor, *inputs: str, clamp: tuple[int, int] = FULL) -> None:
        self.tensors[target.name] = target
        self.ops.append(QOp(target.name, op, inputs, clamp=clamp))

    def moves(self, op: Op, shape: Shape, clamp: tuple[int, int] = FULL) -> None:
        """Add ``op``, which keeps scale and zero point."""
        source = self.tensors["input"]
        target = QTensor("output", shape, source.scale, source.zero_point)
        self.add(op, target, "input", clamp=clamp)

    def weighted(self, op: Op, shape: Shape, weights: Shape, name: str = "output") -> None:
        """Add ``op`` with weights of this shape."""
        source, terms = self.tensors["input"], math.prod(weights[1:])
        weight = self.rng.integers(-127, 128, weights).astype(np.int8)
        scales = self.rng.uniform(0.005, 0.02, weights[0] if self.chance(0.7) else 1)
        bias = self.rng.integers(-2000, 2000, weights[0]).astype(np.int32)
        scale = source.scale * math.sqrt(terms) / 2
        self.tensors[name] = QTensor(name, shape, scale, self.between(-128, 127))
        layer = QOp(
            name,
            op,
            ("input",),
            weight,
            scales.astype(np.float32),
            bias if self.chance(0.8) else None,
            self.clamp(),
        )
        self.ops.append(layer)

    def graph(self, name: str) -> QGraph:
        output = self.ops[-1].name
        return QGraph(
            name, self.tensors, tuple(self.ops), ("input",), (output,), constants=self.constants
        )


Maker = Callable[[Draw], None]
OPERATORS: dict[str, Maker] = {}


def maker(function: Maker) -> Maker:
    """Register ``function`` by its name."""
    OPERATORS[function.__name__.strip("_")] = function
    return function


def operator_graph(kind: str, seed: int) -> QGraph:
    """A random graph of the operator ``kind``, a key of `OPERATORS`."""
    draw = Draw(np.random.default_rng([seed, *kind.encode()]))
    OPERATORS[kind](draw)
    return draw.graph(f"{kind}_{seed}")


def inputs_of(graph: QGraph, count: int, seed: int = 0) -> NDArray[Any]:
    """``count`` random inputs of the graph's type; among floats are infinities."""
    rng = np.random.default_rng([seed, 3])
    tensor = graph.input_tensor
    shape = (count, *tensor.shape)
    if tensor.dtype == "float32":
        x = rng.normal(0, 5, shape).astype(np.float32)
        x.reshape(-1)[: x.size // 8 : 3] = np.inf
        x.reshape(-1)[: x.size // 8 : 5] = -np.inf
        return x
    return rng.integers(0, 256, shape).astype(np.uint8).view(DTYPES[tensor.dtype])


# --- Sums of products, windows --------------------------------------------------------------------


def _conv(draw: Draw, source: Shape, groups: int, outputs: int) -> None:
    window = draw.window(source)
    shape = (*window.output_size(source[0], source[1]), outputs)
    weights = (outputs, *window.kernel, source[2] // groups)
    draw.weighted(Conv2D(window, groups), shape, weights)


@maker
def conv2d(draw: Draw) -> None:
    _conv(draw, draw.input(draw.shape(3, 8)).shape, 1, draw.between(1, 8))


@maker
def grouped_conv2d(draw: Draw) -> None:
    groups = draw.between(2, 3)
    depth = groups * draw.between(2, 3)
    source = draw.input((*draw.shape(2, 8), depth)).shape
    _conv(draw, source, groups, groups * draw.between(1, 3))


@maker
def depthwise_conv2d(draw: Draw) -> None:
    source = draw.input((*draw.shape(2, 8), draw.between(2, 9))).shape
    _conv(draw, source, source[2], source[2] * draw.between(1, 3))


@maker
def conv_transpose2d(draw: Draw) -> None:
    source = draw.input(draw.shape(3, 5)).shape
    kernel, stride = (draw.between(1, 5), draw.between(1, 5)), (draw.between(1, 4), 1)
    full = [(n - 1) * s + k for n, s, k in zip(source[:2], stride, kernel, strict=True)]
    top, left = (draw.between(0, min(k, n) - 1) for k, n in zip(kernel, full, strict=True))
    bottom = draw.between(1 - stride[0], full[0] - top - 1)
    right = draw.between(0, full[1] - left - 1)
    window = Window(kernel, stride, (top, left, bottom, right))
    outputs = draw.between(1, 6)
    shape = (full[0] - top - bottom, full[1] - left - right, outputs)
    draw.weighted(ConvTranspose2D(window), shape, (outputs, *kernel, source[2]))


@maker
def dense(draw: Draw) -> None:
    source = draw.input(draw.shape()).shape
    outputs = draw.between(1, 8)
    draw.weighted(Dense(), (*source[:-1], outputs), (outputs, source[-1]))


def _pool(draw: Draw, operator: Callable[[Window], Op], dilate: bool) -> None:
    height, width, depth = draw.input(draw.shape(3, 8)).shape
    window = draw.window((height, width), dilate)
    (rows, columns), (gap_h, gap_w) = window.kernel, window.dilation
    if height <= gap_h * (rows - 1) or width <= gap_w * (columns - 1):
        window = Window((1, 1), window.stride)  # else a window may lie in the padding alone
    padding = tuple(
        min(pad, size - 1)
        for pad, size in zip(window.padding, (*window.kernel, *window.kernel), strict=True)
    )
    window = Window(window.kernel, window.stride, padding, window.dilation)  # type: ignore[arg-type]
    draw.moves(operator(window), (*window.output_size(height, width), depth), draw.clamp())


@maker
def max_pool(draw: Draw) -> None:
    _pool(draw, MaxPool2D, dilate=False)


@maker
def average_pool(draw: Draw) -> None:
    _pool(draw, AveragePool2D, dilate=False)


@maker
def mean(draw: Draw) -> None:
    source = draw.input(draw.shape())
    count = draw.between(1, len(source.shape))
    axes = tuple(sorted(int(axis) for axis in draw.rng.permutation(len(source.shape))[:count]))
    keep = draw.chance(0.5)
    sizes = ((1 if axis in axes else size, axis in axes) for axis, size in enumerate(source.shape))
    shape = tuple(size for size, gone in sizes if keep or not gone)
    target = QTensor("output", shape, draw.scale(source.scale), draw.between(-128, 127))
    draw.add(Mean(axes, keep), target, "input", clamp=draw.clamp())


@maker
def reduction(draw: Draw) -> None:
    source = draw.input(draw.shape())
    count = draw.between(1, len(source.shape))
    axes = tuple(sorted(int(axis) for axis in draw.rng.permutation(len(source.shape))[:count]))
    keep, function = draw.chance(0.5), str(draw.rng.choice(["sum", "max", "min"]))
    sizes = ((1 if axis in axes else size, axis in axes) for axis, size in enumerate(source.shape))
    shape = tuple(size for size, gone in sizes if keep or not gone)
    target = QTensor("output", shape, source.scale, source.zero_point)
    if function == "sum":
        target = QTensor("output", shape, draw.scale(source.scale * 5), draw.between(-128, 127))
    draw.add(Reduce(function, axes, keep), target, "input", clamp=draw.clamp())


@maker
def matmul(draw: Draw) -> None:
    """Of two activations, or one and a constant; turned or not, broadcast or not."""
    batches = draw.shape(draw.between(0, 2), 3) if draw.chance(0.7) else ()
    one, two = (tuple(1 if draw.chance(0.3) else n for n in batches) for _ in range(2))
    rows, depth, columns = draw.shape(3)
    op = MatMul(draw.chance(0.4), draw.chance(0.4))
    a = draw.quantized("a", (*one, *((depth, rows) if op.adj_x else (rows, depth))))
    b = draw.quantized("b", (*two, *((columns, depth) if op.adj_y else (depth, columns))))
    shape = (*np.broadcast_shapes(one, two), rows, columns)
    target = QTensor("output", shape, a.scale * b.scale * 100, draw.between(-128, 127))
    if draw.chance(0.3):
        fixed, moving = (a, b) if draw.chance(0.5) else (b, a)
        draw.constant(fixed)
        draw.cut(moving)
    else:
        draw.cut(a, b)
    draw.add(op, target, "a", "b", clamp=draw.clamp())


def _norm(draw: Draw, op: LayerNorm | GroupNorm) -> None:
    source = draw.tensors["input"]
    channels = source.shape[-1]
    weight = draw.rng.integers(-127, 128, channels).astype(np.int8)
    scales = draw.rng.uniform(0.005, 0.02, channels if draw.chance(0.7) else 1)
    bias = draw.rng.integers(-400000, 400000, channels).astype(np.int32)
    draw.tensors["output"] = QTensor("output", source.shape, 0.03, draw.between(-128, 127))
    fields = (weight, scales.astype(np.float32), bias if draw.chance(0.8) else None, draw.clamp())
    draw.ops.append(QOp("output", op, ("input",), *fields))


@maker
def layer_norm(draw: Draw) -> None:
    draw.input((*draw.shape()[:3], draw.between(1, 40)))
    epsilon = float(draw.rng.choice([0, 1e-5, 1.0]))
    _norm(draw, LayerNorm(epsilon, draw.chance(0.7)))


@maker
def group_norm(draw: Draw) -> None:
    groups = draw.between(1, 3)
    draw.input((*draw.shape(2, 9), groups * draw.between(1, 4)))
    _norm(draw, GroupNorm(groups, float(draw.rng.choice([0, 1e-5, 1.0]))))


@maker
def conv2d_max_pool(draw: Draw) -> None:
    """A pool whose windows do not overlap, right behind a convolution, grouped or not."""
    groups = draw.between(1, 2)
    source = draw.input((*draw.shape(2, 9), groups * draw.between(1, 3))).shape
    window = draw.window(source)
    rows, columns = window.output_size(source[0], source[1])
    size = (draw.between(1, min(3, rows)), draw.between(1, min(3, columns)))
    step = (size[0] + draw.between(0, 1), size[1] + draw.between(0, 1))
    padding = tuple(draw.between(0, n - 1) for n in (*size, *size))
    pool = Window(size, step, padding)  # type: ignore[arg-type]
    if (rows - 1 + padding[2]) // step[0] * step[0] - padding[0] >= rows:
        pool = Window(size, step)
    outputs = groups * draw.between(1, 4)
    weights = (outputs, *window.kernel, source[2] // groups)
    draw.weighted(Conv2D(window, groups), (rows, columns, outputs), weights, name="conv")
    between = draw.tensors["conv"]
    shape = (*pool.output_size(rows, columns), outputs)
    target = QTensor("output", shape, between.scale, between.zero_point)
    draw.add(MaxPool2D(pool), target, "conv", clamp=draw.clamp())


@maker
def conv2d_add(draw: Draw) -> None:
    """An addition right behind a convolution; sometimes of what the convolution reads."""
    source = draw.input(draw.shape(3, 8))
    window = Window((3, 1), padding=(1, 0, 1, 0)) if draw.chance(0.5) else Window((1, 1))
    draw.weighted(
        Conv2D(window), source.shape, (source.shape[2], *window.kernel, source.shape[2]), "conv"
    )
    conv = draw.ops.pop()
    other = "input"
    if draw.chance(0.7):
        draw.add(Quantize(), draw.quantized("other", source.shape), "input")
        other = "other"
    draw.ops.append(conv)
    target = draw.quantized("output", source.shape)
    target = QTensor("output", source.shape, draw.tensors["conv"].scale, target.zero_point)
    order = ("conv", other) if draw.chance(0.5) else (other, "conv")
    draw.add(Binary("add"), target, *order, clamp=draw.clamp())


# --- Element by element ---------------------------------------------------------------------------


@maker
def table(draw: Draw) -> None:
    source = draw.input(draw.shape())
    function = str(draw.rng.choice(sorted(unary.FUNCTIONS)))
    fixed = unary.fixed_output(function)
    scale, zero_point = fixed or (draw.scale(source.scale), draw.between(-128, 127))
    draw.add(Unary(function), QTensor("output", source.shape, scale, zero_point), "input")


@maker
def own_table(draw: Draw) -> None:
    """A function without a name."""
    source = draw.input(draw.shape())
    entries = tuple(int(entry) for entry in draw.rng.integers(-128, 128, 256))
    target = QTensor("output", source.shape, draw.scale(source.scale), draw.between(-128, 127))
    draw.add(Table("own", entries), target, "input", clamp=draw.clamp())


def _operand_shapes(draw: Draw) -> tuple[Shape, Shape, Shape]:
    """Two that broadcast, and what they yield."""
    first = list(draw.shape())
    second = list(first)
    for axis in range(len(first)):
        if draw.chance(0.15):
            first[axis] = 1
        elif draw.chance(0.3):
            second[axis] = 1
    if draw.chance(0.3):
        second = second[draw.between(0, len(second)) :]
    together = np.broadcast_shapes(tuple(first), tuple(second))
    return tuple(first), tuple(second), together


def _binary(draw: Draw, function: str) -> None:
    shapes = _operand_shapes(draw)
    a, b, target = (
        draw.quantized(name, shape)
        for name, shape in zip(("a", "b", "output"), shapes, strict=True)
    )
    if function == "mul":
        target = QTensor("output", target.shape, a.scale * b.scale * 100, target.zero_point)
    if function == "div":
        scale = draw.scale(a.scale / b.scale)
        target = QTensor("output", target.shape, scale, target.zero_point)
    if function == "squared_difference":
        scale = max(a.scale, b.scale) ** 2 * 10 ** draw.rng.uniform(-1, 3)
        target = QTensor("output", target.shape, scale, target.zero_point)
    if function in numerics.COMPARISONS:
        target = QTensor("output", target.shape, 1.0, 0)
    if function in ("maximum", "minimum"):
        b, target = (QTensor(t.name, t.shape, a.scale, a.zero_point) for t in (b, target))
    order = ("a", "b") if draw.chance(0.5) else ("b", "a")
    if draw.chance(0.3):
        draw.constant(b)
        draw.cut(a)
    else:
        draw.cut(a, b)
        if draw.chance(0.1) and shapes[0] == shapes[2]:
            order = ("a", "a")  # and b is a result that nobody reads
    draw.add(Binary(function), target, *order, clamp=draw.clamp())


@maker
def add(draw: Draw) -> None:
    _binary(draw, "add")


@maker
def sub(draw: Draw) -> None:
    _binary(draw, "sub")


@maker
def mul(draw: Draw) -> None:
    _binary(draw, "mul")


@maker
def div(draw: Draw) -> None:
    _binary(draw, "div")


@maker
def squared_difference(draw: Draw) -> None:
    _binary(draw, "squared_difference")


@maker
def compare(draw: Draw) -> None:
    _binary(draw, str(draw.rng.choice(sorted(numerics.COMPARISONS))))


@maker
def maximum(draw: Draw) -> None:
    _binary(draw, "maximum")


@maker
def minimum(draw: Draw) -> None:
    _binary(draw, "minimum")


@maker
def prelu(draw: Draw) -> None:
    source = draw.input(draw.shape())
    slopes = tuple(size if draw.chance(0.5) else 1 for size in source.shape)
    slopes = slopes[draw.between(0, len(slopes)) :]
    draw.constant(draw.quantized("slopes", slopes))
    target = QTensor("output", source.shape, draw.scale(source.scale), draw.between(-128, 127))
    draw.add(PRelu(), target, "input", "slopes", clamp=draw.clamp())


@maker
def requantize(draw: Draw) -> None:
    source = draw.input(draw.shape(), str(draw.rng.choice(["int8", "uint8"])))
    scale, zero_point = draw.scale(source.scale), draw.between(-128, 127)
    if source.dtype == "uint8" and draw.chance(0.5):
        scale, zero_point = source.scale, source.zero_point - 128
    draw.add(Quantize(), QTensor("output", source.shape, scale, zero_point), "input")


@maker
def to_uint8(draw: Draw) -> None:
    source = draw.input(draw.shape())
    scale, zero_point = draw.scale(source.scale), draw.between(0, 255)
    if draw.chance(0.5):
        scale, zero_point = source.scale, source.zero_point + 128
    draw.add(Quantize(), QTensor("output", source.shape, scale, zero_point, "uint8"), "input")


@maker
def from_float(draw: Draw) -> None:
    source = draw.input(draw.shape(), "float32")
    draw.add(Quantize(), draw.quantized("output", source.shape), "input")


@maker
def to_float(draw: Draw) -> None:
    source = draw.input(draw.shape())
    draw.add(Quantize(), QTensor("output", source.shape, 1, 0, "float32"), "input")


# --- Along an axis --------------------------------------------------------------------------------


@maker
def softmax(draw: Draw) -> None:
    source = draw.input(draw.shape())
    beta = float(np.float32(draw.rng.uniform(0.5, 2)))
    draw.add(Softmax(beta), QTensor("output", source.shape, 1 / 256, -128), "input")


@maker
def log_softmax(draw: Draw) -> None:
    source = draw.input(draw.shape())
    draw.add(LogSoftmax(), QTensor("output", source.shape, 1 / 16, 127), "input")


@maker
def argmax(draw: Draw) -> None:
    shape = draw.input(draw.shape()).shape
    axis = draw.between(0, len(shape) - 1)
    target = QTensor("output", (*shape[:axis], *shape[axis + 1 :]), 1, 0, "int32")
    draw.add(ArgMax(axis), target, "input")


@maker
def cumsum(draw: Draw) -> None:
    source = draw.input(draw.shape(most=40 if draw.chance(0.2) else 6))
    op = CumSum(
        draw.between(0, len(source.shape) - 1),
        draw.chance(0.5),
        draw.chance(0.5),
        draw.between(-128, 128),
    )
    target = QTensor("output", source.shape, draw.scale(source.scale), draw.between(-128, 127))
    draw.add(op, target, "input", clamp=draw.clamp())


# --- Elements go elsewhere ------------------------------------------------------------------------


@maker
def transpose(draw: Draw) -> None:
    shape = draw.input(draw.shape()).shape
    order = tuple(int(axis) for axis in draw.rng.permutation(len(shape)))
    draw.moves(Transpose(order), tuple(shape[axis] for axis in order))


@maker
def gather(draw: Draw) -> None:
    shape = draw.input(draw.shape()).shape
    axis = draw.between(0, len(shape) - 1)
    indices = tuple(int(i) for i in draw.rng.integers(0, shape[axis], draw.between(1, 8)))
    draw.moves(Gather(axis, indices), (*shape[:axis], len(indices), *shape[axis + 1 :]))


@maker
def slice_(draw: Draw) -> None:
    shape = draw.input(draw.shape()).shape
    begin = tuple(draw.between(0, size - 1) for size in shape)
    stride = tuple(draw.between(1, 3) for _ in shape)
    counts = (
        draw.between(1, (size - 1 - at) // step + 1)
        for size, at, step in zip(shape, begin, stride, strict=True)
    )
    draw.moves(Slice(begin, stride), tuple(counts))


@maker
def pad(draw: Draw) -> None:
    shape = draw.input(draw.shape()).shape
    before, after = (tuple(draw.between(0, 2) for _ in shape) for _ in range(2))
    value = None if draw.chance(0.5) else draw.between(-128, 127)
    sizes = tuple(sum(parts) for parts in zip(before, shape, after, strict=True))
    draw.moves(Pad(before, after, value), sizes)


def _gated(draw: Draw, op: Lstm | Gru | Rnn) -> None:
    """What is remembered before the first step is real 0, another constant, or computed; now and
    then the last step alone is read, or what is remembered behind it."""
    what = FACTS[type(op)]
    steps, features, units = draw.between(1, 7), draw.between(1, 9), draw.between(1, 11)
    target = QTensor("sequence", (steps, units), draw.scale(0.008), draw.between(-128, 127))
    hidden = replace(target, name="hidden", shape=(units,))
    wide = QTensor("wide", (units,), 2.0 ** draw.between(-15, -11), 0, "int16")
    states = {Lstm: [hidden, wide], Gru: [wide], Rnn: [hidden]}[type(op)]
    kind = int(draw.rng.choice([0, 0, 0, 0, 1, 2]))
    computed = [state for state in states if kind == 2]
    draw.cut(QTensor("x", (steps, features), draw.scale(), draw.zero_point()), *computed)
    for state in states:
        if kind < 2:
            draw.constant(state, zeros=kind == 0)
    gates = what.gates
    scales = 2.0 ** draw.rng.uniform(-9, -5, 2 * gates)
    more = (f"{target.name}.more",) * what.more
    draw.tensors |= {name: replace(draw.tensors[states[-1].name], name=name) for name in more}
    draw.tensors[target.name] = target
    weight = draw.rng.integers(-127, 128, (units, gates, features + units)).astype(np.int8)
    bias = draw.rng.integers(-2000, 2000, (units, what.biases)).astype(np.int32)
    draw.ops.append(
        QOp(
            target.name,
            op,
            ("x", *(state.name for state in states)),
            weight,
            scales.astype(np.float32),
            bias if draw.chance(0.8) else None,
            more=more,
        )
    )
    if more and draw.chance(0.3):
        draw.add(Quantize(), draw.quantized("output", (units,)), more[0])
    elif draw.chance(0.3):
        row = 0 if op.reverse else steps - 1
        last = replace(target, name="output", shape=(1, units))
        draw.add(Slice((row, 0), (1, 1)), last, target.name)


@maker
def lstm(draw: Draw) -> None:
    clip = float(draw.rng.choice([0, 0, 0.5, 3]))
    _gated(draw, Lstm(clip, draw.chance(0.2)))


@maker
def gru(draw: Draw) -> None:
    _gated(draw, Gru(draw.chance(0.2)))


@maker
def rnn(draw: Draw) -> None:
    _gated(draw, Rnn(str(draw.rng.choice(["tanh", "relu"])), draw.chance(0.2)))


def _resize(draw: Draw, method: str) -> None:
    source = draw.input(draw.shape(3, 7)).shape
    kind = draw.between(0, 2)
    shape = (draw.between(1, 12), draw.between(1, 12), source[2])
    draw.moves(Resize(method, kind == 1, kind == 2), shape)


@maker
def nearest(draw: Draw) -> None:
    _resize(draw, "nearest")


@maker
def bilinear(draw: Draw) -> None:
    _resize(draw, "bilinear")


@maker
def concat(draw: Draw) -> None:
    """Of one to four inputs; some are constants, one may be there twice."""
    shape = draw.shape()
    axis = draw.between(0, len(shape) - 1)
    like = draw.quantized("output", ())
    pieces = [
        QTensor(
            f"piece{number}",
            (*shape[:axis], draw.between(1, 4), *shape[axis + 1 :]),
            like.scale,
            like.zero_point,
        )
        for number in range(draw.between(1, 4))
    ]
    fixed = {piece.name for piece in pieces[1:] if draw.chance(0.2)}
    draw.cut(*(piece for piece in pieces if piece.name not in fixed))
    for piece in pieces:
        if piece.name in fixed:
            draw.constant(piece)
    if draw.chance(0.2):
        pieces.append(pieces[0])
    total = sum(piece.shape[axis] for piece in pieces)
    whole = (*shape[:axis], total, *shape[axis + 1 :])
    target = QTensor("output", whole, like.scale, like.zero_point)
    draw.add(Concat(axis), target, *(piece.name for piece in pieces))
