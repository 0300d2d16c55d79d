"""Layers of the kinds and sizes that real models have, and models that are made of them.

`LAYERS` is what `bench.layers` measures. layer_peers.csv has what others take for most of them; the
others are of the same kinds, with odd sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from nanotool.ir import (
    AveragePool2D,
    Binary,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Int8Array,
    MaxPool2D,
    Mean,
    Op,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Window,
    unclamped,
)

_ZERO = -5  # of inputs and of outputs that are not behind a ReLU


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One operator with the shapes of its inputs, output and weights."""

    kind: str
    op: Op
    inputs: tuple[Shape, ...]
    output: Shape
    weight: Shape = ()
    relu: bool = False
    gaussian: bool = False  # weights; else uniform, so that sums of long rows are large
    int16: bool = False  # activations

    @property
    def input_size(self) -> int:
        """Elements of all its inputs: bytes of the model's."""
        return sum(map(math.prod, self.inputs))

    @property
    def weight_size(self) -> int:
        """Bytes of its weights."""
        return math.prod(self.weight) if self.weight else 0


Pair = tuple[int, int]


def _pair(size: int | Pair) -> Pair:
    return size if isinstance(size, tuple) else (size, size)


def _window(
    kernel: int | Pair, stride: int | Pair, pad: int | Pair, dilation: int | Pair
) -> Window:
    vertical, horizontal = _pair(pad)
    sides = (vertical, horizontal, vertical, horizontal)
    return Window(_pair(kernel), _pair(stride), sides, _pair(dilation))


def conv(
    inputs: Shape,
    outputs: int,
    kernel: int | Pair,
    stride: int | Pair = 1,
    pad: int | Pair = 0,
    *,
    dilation: int | Pair = 1,
    groups: int = 1,
    relu: bool = True,
    gaussian: bool = False,
) -> LayerShape:
    """A convolution of ``inputs`` [h, w, c]."""
    window = _window(kernel, stride, pad, dilation)
    height, width = window.output_size(inputs[0], inputs[1])
    weight = (outputs, *window.kernel, inputs[2] // groups)
    if groups == 1:
        kind = "pointwise" if window.kernel == (1, 1) else "conv"
    elif groups == inputs[2]:
        kind = "depthwise"
    else:
        kind = "grouped"
    output = (height, width, outputs)
    return LayerShape(kind, Conv2D(window, groups), (inputs,), output, weight, relu, gaussian)


def depthwise(
    inputs: Shape, kernel: int | Pair, *, multiplier: int = 1, **rest: object
) -> LayerShape:
    """A convolution of each channel by itself."""
    channels = inputs[2]
    return conv(inputs, channels * multiplier, kernel, groups=channels, **rest)  # type: ignore[arg-type]


def transposed(
    inputs: Shape, outputs: int, kernel: int, stride: int, *, pad: int = 0, more: int = 0
) -> LayerShape:
    """A transposed convolution; ``more``: rows and columns behind what its padding leaves."""
    height, width = ((n - 1) * stride + kernel - 2 * pad + more for n in inputs[:2])
    sides = (pad, pad, pad - more, pad - more)
    window = Window((kernel, kernel), (stride, stride), sides)
    weight = (outputs, kernel, kernel, inputs[2])
    return LayerShape(
        "transposed", ConvTranspose2D(window), (inputs,), (height, width, outputs), weight
    )


def dense(inputs: int, outputs: int, relu: bool = True, gaussian: bool = False) -> LayerShape:
    """A dense layer of one row."""
    weight = (outputs, inputs)
    return LayerShape("dense", Dense(), ((inputs,),), (outputs,), weight, relu, gaussian)


def _pool(
    make: Callable[[Window], Op], inputs: Shape, kernel: int, stride: int, pad: int
) -> LayerShape:
    window = _window(kernel, stride, pad, 1)
    output = (*window.output_size(inputs[0], inputs[1]), inputs[2])
    return LayerShape("pool", make(window), (inputs,), output)


def average(inputs: Shape, kernel: int, stride: int = 0, pad: int = 0) -> LayerShape:
    """An average pool; ``stride`` 0: as large as its window."""
    return _pool(AveragePool2D, inputs, kernel, stride or kernel, pad)


def largest(inputs: Shape, kernel: int, stride: int = 0, pad: int = 0) -> LayerShape:
    """A max pool, as `average`."""
    return _pool(MaxPool2D, inputs, kernel, stride or kernel, pad)


def binary(function: str, first: Shape, second: Shape | None = None) -> LayerShape:
    """A sum or product of two inputs, of which the second may be stretched."""
    return LayerShape("elementwise", Binary(function), (first, second or first), first)


def softmax(classes: int) -> LayerShape:
    """A softmax."""
    return LayerShape("softmax", Softmax(), ((classes,),), (classes,))


_INT8: Mapping[str, LayerShape] = MappingProxyType(
    {
        "d640_128": dense(640, 128),
        "d1280_10": dense(1280, 10, relu=False),
        "d16_16": dense(16, 16),
        "d576_3": dense(576, 3, relu=False),
        "d1_16": dense(1, 16),
        "pw8_48_48": conv((48, 48, 8), 48, 1),
        "pw48_8_24_lin": conv((24, 24, 48), 8, 1, relu=False),
        "pw16_96_12": conv((12, 12, 16), 96, 1),
        "pw56_336_3": conv((3, 3, 56), 336, 1),
        "pw112_1280_3": conv((3, 3, 112), 1280, 1),
        "pw336_112_3_lin": conv((3, 3, 336), 112, 1, relu=False),
        "pw96_32_12": conv((12, 12, 96), 32, 1),
        "pw32_2_12_lin": conv((12, 12, 32), 2, 1, relu=False),
        "pw64_64_s2_16": conv((16, 16, 64), 64, 1, 2),
        "c3_3_16_s2_96": conv((96, 96, 3), 16, 3, 2, 1),
        "c3_1_8_28": conv((28, 28, 1), 8, 3, 1, 1),
        "c3_16_32_16": conv((16, 16, 16), 32, 3, 1, 1),
        "c3_64_64_8_lin": conv((8, 8, 64), 64, 3, 1, 1, relu=False),
        "c3_1_8_s2_96": conv((96, 96, 1), 8, 3, 2, 1),
        "c5_1_8_28": conv((28, 28, 1), 8, 5, 1, 2),
        "c5_8_16_14": conv((14, 14, 8), 16, 5, 1, 2),
        "c7_3_16_s2_32": conv((32, 32, 3), 16, 7, 2, 3),
        "c4x10_1_64_s2": conv((49, 10, 1), 64, (10, 4), 2, (4, 1)),
        "1d3_40_64_98": conv((1, 98, 40), 64, (1, 3), 1, (0, 1)),
        "1d9_16_24_98": conv((1, 98, 16), 24, (1, 9), 1, (0, 4)),
        "1d5_6_16_128": conv((1, 128, 6), 16, (1, 5)),
        "1d3_32_32_d4_98": conv((1, 98, 32), 32, (1, 3), 1, (0, 4), dilation=(1, 4)),
        "1d16_1_8_256": conv((1, 256, 1), 8, (1, 16), (1, 4)),
        "c3_16_16_d2_16": conv((16, 16, 16), 16, 3, 1, 2, dilation=2),
        "c3_32_32_g4_16": conv((16, 16, 32), 32, 3, 1, 1, groups=4),
        "t2_16_8_s2_8": transposed((8, 8, 16), 8, 2, 2),
        "t4_16_8_s2_8": transposed((8, 8, 16), 8, 4, 2, pad=1),
        "t3_32_16_s2_8": transposed((8, 8, 32), 16, 3, 2, pad=1, more=1),
        "dw3_16_48": depthwise((48, 48, 16), 3, pad=1),
        "dw3_48_s2_48": depthwise((48, 48, 48), 3, stride=2, pad=1),
        "dw3_336_3": depthwise((3, 3, 336), 3, pad=1),
        "dw3_96_12_lin": depthwise((12, 12, 96), 3, pad=1, relu=False),
        "dw5_96_12": depthwise((12, 12, 96), 5, pad=2),
        "dw5_48_s2_24": depthwise((24, 24, 48), 5, stride=2, pad=2),
        "dw3_32_d2_16": depthwise((16, 16, 32), 3, pad=2, dilation=2),
        "dw3_m4_8_16": depthwise((16, 16, 8), 3, multiplier=4, pad=1),
        "dw1d3_64_d2_98": depthwise((1, 98, 64), (1, 3), pad=(0, 2), dilation=(1, 2)),
        "dw1d9_64_98": depthwise((1, 98, 64), (1, 9), pad=(0, 4)),
        "dw3x1_16_40x98": depthwise((40, 98, 16), (3, 1), pad=(1, 0)),
        "dw7_32_14": depthwise((14, 14, 32), 7, pad=3),
        "avg2_16_24": average((24, 24, 16), 2),
        "avg7_64": average((7, 7, 64), 7),
        "avg3_16_s1": average((16, 16, 16), 3, 1),
        "max2_16_24": largest((24, 24, 16), 2),
        "max3_16_s2_24": largest((24, 24, 16), 3, 2),
        "max2_3_32": largest((32, 32, 3), 2),
        "add_24x24x8": binary("add", (24, 24, 8)),
        "mul_24x24x8": binary("mul", (24, 24, 8)),
        "softmax10": softmax(10),
        "softmax1000": softmax(1000),
        "c3_128_32_8": conv((8, 8, 128), 32, 3, 1, 1),
        "c3_128_32_8g": conv((8, 8, 128), 32, 3, 1, 1, gaussian=True),
        "pw1024_64_3": conv((3, 3, 1024), 64, 1),
        "pw1024_64_3g": conv((3, 3, 1024), 64, 1, gaussian=True),
        "d3136_64g": dense(3136, 64, gaussian=True),
        "d1280_100g": dense(1280, 100, relu=False, gaussian=True),
        "c3_256_16_4g": conv((4, 4, 256), 16, 3, 1, 1, gaussian=True),
        "d784_64": dense(784, 64),
        # Odd sizes of the same kinds.
        "d333_5": dense(333, 5),
        "d100_1": dense(100, 1, relu=False),
        "d27_7": dense(27, 7),
        "d2000_9": dense(2000, 9, relu=False),
        "pw17_3_10_lin": conv((10, 10, 17), 3, 1, relu=False),
        "pw24_1_16_lin": conv((16, 16, 24), 1, 1, relu=False),
        "c3_5_7_s2_21": conv((21, 21, 5), 7, 3, 2, 1),
        "c3_77_5_9": conv((9, 9, 77), 5, 3, 1, 1),
        "c5_24_24_g2_s2_15": conv((15, 15, 24), 24, 5, 2, 2, groups=2),
        "c3_12_18_g6_11": conv((11, 11, 12), 18, 3, 1, 1, groups=6),
        "pw64_64_g8_9": conv((9, 9, 64), 64, 1, groups=8),
        "t3_8_5_s3_7": transposed((7, 7, 8), 5, 3, 3),
        "t5_12_6_s2_9": transposed((9, 9, 12), 6, 5, 2, pad=2, more=1),
        "t3_16_16_s1_10": transposed((10, 10, 16), 16, 3, 1, pad=1),
        "dw3_m3_7_13": depthwise((13, 13, 7), 3, multiplier=3, pad=1),
        "dw5_m2_12_s2_17": depthwise((17, 17, 12), 5, multiplier=2, stride=2, pad=2),
        "dw3_3_20": depthwise((20, 20, 3), 3, pad=1),
        "dw4_20_s3_19": depthwise((19, 19, 20), 4, stride=3, pad=1),
        "dw3x5_24_14": depthwise((14, 14, 24), (3, 5), pad=(1, 2)),
        "dw3_18_d3_15": depthwise((15, 15, 18), 3, pad=3, dilation=3),
        "avg3_6_p1_14": average((14, 14, 6), 3, 2, 1),
        "avg5_30": average((5, 5, 30), 5),
        "max3_5_s1_15": largest((15, 15, 5), 3, 1, 1),
        "max2_2_17": largest((17, 17, 2), 2),
        "sub_9x11x5": binary("sub", (9, 11, 5)),
        "mul_bias_12x12x10": binary("mul", (12, 12, 10), (1, 1, 10)),
    }
)

WIDE = "_int16"  # behind the name of a layer whose activations are int16
# What int16 has a kernel of its own for, small enough for every board.
_IN_INT16 = tuple(
    name
    for name, shape in _INT8.items()
    if shape.kind in {"dense", "conv", "pointwise", "grouped", "depthwise"}
    and max(shape.input_size, math.prod(shape.output)) <= 20_000
)
LAYERS: Mapping[str, LayerShape] = MappingProxyType(
    {**_INT8, **{name + WIDE: replace(_INT8[name], int16=True) for name in _IN_INT16}}
)


def _weights(shape: LayerShape, rng: np.random.Generator) -> Int8Array:
    """Each output's scaled to its largest one, as a quantizer does it."""
    draw = rng.normal(size=shape.weight) if shape.gaussian else rng.uniform(-1, 1, shape.weight)
    peak = np.abs(draw).reshape(len(draw), -1).max(axis=1)
    scaled: FloatArray = np.round(draw * (127 / peak.reshape(-1, *(1,) * (draw.ndim - 1))))
    return scaled.astype(np.int8)


def layers_graph(names: Sequence[str]) -> QGraph:
    """One model of the layers ``names``: each reads the first bytes of the input, and the mean of
    what it makes is an output."""
    size = max(LAYERS[name].input_size for name in names)
    lines = -(-size // 256)  # an axis of an input has at most 65,535 elements
    first = QTensor("input", (lines, 256), 0.05, _ZERO)
    tensors = {first.name: first}
    wide = QTensor("wide", (), 0.05 / 256, 0, "int16")
    ops: list[QOp] = []

    def add(name: str, op: Op, shape: Shape, *inputs: str, like: QTensor) -> str:
        tensors[name] = replace(like, name=name, shape=shape)
        ops.append(QOp(name, op, inputs, clamp=unclamped(like.dtype)))
        return name

    add("bytes", Reshape((lines * 256,)), (lines * 256,), "input", like=first)
    ends = []
    for name in names:
        shape = LAYERS[name]
        rng = np.random.default_rng(len(name) + shape.input_size)
        sources, begin = [], 0
        for number, piece in enumerate(shape.inputs):
            flat_shape = (math.prod(piece),)
            flat = add(f"{name}.in{number}", Slice((begin,), (1,)), flat_shape, "bytes", like=first)
            if shape.int16:
                flat = add(f"{name}.wide{number}", Quantize(), flat_shape, flat, like=wide)
            image = add(f"{name}.image{number}", Reshape(piece), piece, flat, like=tensors[flat])
            sources.append(image)
            begin += math.prod(piece)
        zero = -128 if shape.relu or shape.kind == "softmax" else _ZERO
        scale, weight = 0.05, None
        if shape.weight:
            weight = _weights(shape, rng)
            scale = 0.05 * 0.01 * 100 * math.sqrt(math.prod(shape.weight[1:])) / 2
        elif shape.kind == "softmax":
            scale = 1 / 256
        elif shape.kind == "elementwise":
            scale = 0.08
        outputs, total = shape.output[-1], math.prod(shape.output)
        scales = rng.uniform(0.005, 0.015, outputs).astype(np.float32) if shape.weight else None
        bias = rng.integers(-2000, 2000, outputs).astype(np.int32) if shape.weight else None
        rest: dict[str, Any] = {"weight": weight, "weight_scale": scales, "bias": bias}
        if shape.int16:
            assert bias is not None
            tensors[name] = QTensor(name, shape.output, scale / 256, 0, "int16")
            low, high = unclamped("int16")
            rest |= {"bias": bias.astype(np.int64) * 256, "clamp": (0 if shape.relu else low, high)}
        else:
            tensors[name] = QTensor(name, shape.output, scale, zero)
        ops.append(QOp(name, shape.op, tuple(sources), **rest))
        flat = add(f"{name}.flat", Reshape((total,)), (total,), name, like=tensors[name])
        ends.append(add(f"{name}.mean", Mean((0,), True), (1,), flat, like=tensors[name]))
    return QGraph("layers", tensors, tuple(ops), ("input",), tuple(ends), source="bench.layers")
