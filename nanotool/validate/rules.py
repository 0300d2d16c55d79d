"""What each operator accepts, and the shape that it yields: one rule an operator.

A rule checks its operator's attributes and the quantization of its tensors, and returns the shape
that the output must have. `RULES` also says how many inputs there are, whether a clamp may be
fused, and whether tensors may be of other types than int8 (then the rule checks them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nanotool import numerics, unary
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    ArgMax,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    LogSoftmax,
    MaxPool2D,
    Mean,
    Pad,
    PRelu,
    Quantize,
    Reshape,
    Resize,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)
from nanotool.validate.layer import Layer

Check: TypeAlias = Callable[[Any, Layer], Shape]
MAX_SIZE = 65535  # of a window's or resize's numbers
MAX_INPUTS = 65535  # of a concat
BINARY_FUNCTIONS = ("add", "sub", "mul", "maximum", "minimum")
QUANTIZATIONS = {  # (from, to)
    *(("int8", "int8"), ("uint8", "int8"), ("float32", "int8")),
    *(("int8", "uint8"), ("int8", "float32")),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operator is checked."""

    check: Check
    inputs: tuple[int, int]  # at least, at most
    clamps: bool
    types: bool  # whether tensors may be something else than int8


RULES: dict[type, Rule] = {}


def rule(
    operator: type, inputs: tuple[int, int] = (1, 1), *, clamps: bool = False, types: bool = False
) -> Callable[[Check], Check]:
    """Register the function below as the check of ``operator``."""

    def register(check: Check) -> Check:
        RULES[operator] = Rule(check, inputs, clamps, types)
        return check

    return register


# --- Sums of products, windows --------------------------------------------------------------------


def _check_window(window: Window, layer: Layer) -> None:
    sizes = (len(window.kernel), len(window.stride), len(window.padding), len(window.dilation))
    if sizes != (2, 2, 4, 2):
        layer.refuse("its window is not two-dimensional")
    steps = (*window.kernel, *window.stride, *window.dilation)
    padding = [abs(amount) for amount in window.padding]
    if min(steps) < 1 or min(window.padding[:2]) < 0 or max(*steps, *padding) > MAX_SIZE:
        layer.refuse(f"its window {window} is out of range")


def _windowed(window: Window, layer: Layer) -> tuple[int, int, int]:
    """Height, width and input channels of a window over the input."""
    height, width, channels = layer.image()
    _check_window(window, layer)
    if min(window.padding) < 0:
        layer.refuse(f"its window {window} is out of range")
    rows, columns = window.output_size(height, width)
    if rows < 1 or columns < 1:
        layer.refuse(f"its window is larger than its input {layer.input.shape}")
    return rows, columns, channels


@rule(Conv2D, clamps=True)
def _conv2d(op: Conv2D, layer: Layer) -> Shape:
    height, width, channels = _windowed(op.window, layer)
    outputs = layer.output.shape[-1] if layer.output.shape else 0
    if op.groups < 1 or channels % op.groups or outputs % op.groups:
        layer.refuse(f"{op.groups} groups do not divide {channels} and {outputs} channels")
    return height, width, outputs


@rule(ConvTranspose2D, clamps=True)
def _conv_transpose2d(op: ConvTranspose2D, layer: Layer) -> Shape:
    """Padding at the end may be negative: rows and columns behind the last kernel, by less than a
    stride (PyTorch's output_padding)."""
    height, width, _ = layer.image()
    _check_window(op.window, layer)
    top, left, bottom, right = op.window.padding
    (stride_h, stride_w), (kernel_h, kernel_w) = op.window.stride, op.window.kernel
    if op.window.dilation != (1, 1):
        layer.refuse("a transposed convolution has no dilation", "Use dilation=1.")
    if bottom <= -stride_h or right <= -stride_w:
        layer.refuse(f"its padding {op.window.padding} adds a whole stride or more")
    rows = (height - 1) * stride_h + kernel_h - top - bottom
    columns = (width - 1) * stride_w + kernel_w - left - right
    if rows < 1 or columns < 1:
        layer.refuse(f"its padding {op.window.padding} cuts everything off")
    return rows, columns, layer.output.shape[-1] if layer.output.shape else 0


@rule(Dense, clamps=True)
def _dense(_op: Dense, layer: Layer) -> Shape:
    if not layer.input.shape or not layer.output.shape:
        layer.refuse("a dense layer needs at least one axis")
    return (*layer.input.shape[:-1], layer.output.shape[-1])


@rule(MaxPool2D, clamps=True)
@rule(AveragePool2D, clamps=True)
def _pool(op: MaxPool2D | AveragePool2D, layer: Layer) -> Shape:
    """Every position of the window holds at least one element of the input."""
    layer.keeps_quantization()
    outputs = _windowed(op.window, layer)
    if not all(_windows_hold_input(op.window, layer, axis, outputs[axis]) for axis in range(2)):
        layer.refuse("a window lies in the padding alone", "Pad by less than the window's size.")
    return outputs


def _windows_hold_input(window: Window, layer: Layer, axis: int, count: int) -> bool:
    """Whether each of ``count`` windows along one axis has a tap inside the input.

    Of those that begin inside it the last one is the worst; those that begin in the padding are
    all looked at, at most `MAX_SIZE`. So a file that names millions of windows costs nothing.
    """
    size, gap = layer.input.shape[axis], window.dilation[axis]
    stride, padding = window.stride[axis], window.padding[axis]
    ahead = np.arange(min(count, -(-padding // stride)), dtype=np.int64)
    start = np.append(ahead, count - 1) * stride - padding
    first = start + np.maximum(-(start // gap), 0) * gap  # the first tap at 0 or behind
    last = start + gap * (window.kernel[axis] - 1)
    return bool(((first < size) & (first <= last)).all())


@rule(Mean, clamps=True)
def _mean(op: Mean, layer: Layer) -> Shape:
    shape = layer.input.shape
    axes = [layer.axis(axis) for axis in op.axes]
    if not axes or axes != sorted(set(axes)):
        layer.refuse(f"its axes {op.axes[:8]} are not ascending, or there is none")
    count = math.prod(shape[axis] for axis in axes)
    if count > numerics.MEAN_MAX_COUNT:
        layer.refuse(f"it averages {count:,} elements, more than {numerics.MEAN_MAX_COUNT:,}")
    layer.computes(numerics.mean_multiplier, layer.input.scale, layer.output.scale, count)
    kept = ((1 if axis in axes else size, axis in axes) for axis, size in enumerate(shape))
    return tuple(size for size, gone in kept if op.keep_dims or not gone)


# --- Element by element ---------------------------------------------------------------------------


@rule(Unary, clamps=True)
def _unary(op: Unary, layer: Layer) -> Shape:
    unary.table(op.function, layer.input, layer.output, layer.op.clamp)
    return layer.input.shape


@rule(Binary, (2, 2), clamps=True)
def _binary(op: Binary, layer: Layer) -> Shape:
    if op.function not in BINARY_FUNCTIONS:
        layer.refuse(
            f"there is no binary function {op.function[:40]!r}",
            f"Known are: {', '.join(BINARY_FUNCTIONS)}.",
        )
    scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
    match op.function:
        case "add" | "sub":
            layer.computes(numerics.add_parameters, *scales)
        case "mul":
            layer.computes(numerics.mul_multiplier, *scales)
        case _:
            layer.keeps_quantization()
    return layer.broadcast()


@rule(PRelu, (2, 2), clamps=True)
def _prelu(_op: PRelu, layer: Layer) -> Shape:
    source, slopes = layer.inputs
    if slopes.name not in layer.constants:
        layer.refuse("its slopes are no constant")
    layer.computes(numerics.prelu_parameters, source.scale, slopes.scale, layer.output.scale)
    if layer.broadcast() != source.shape:
        layer.refuse(f"its slopes {slopes.shape} do not fit into its input {source.shape}")
    return source.shape


@rule(Quantize, types=True)
def _quantize(_op: Quantize, layer: Layer) -> Shape:
    source, target = layer.input, layer.output
    if (source.dtype, target.dtype) not in QUANTIZATIONS:
        layer.refuse(f"it cannot turn {source.dtype} into {target.dtype}")
    if "float32" not in (source.dtype, target.dtype):
        layer.computes(numerics.quantize_multiplier, source.scale / target.scale)
    return source.shape


# --- Along an axis --------------------------------------------------------------------------------


def _depth(layer: Layer, most: int, words: str) -> None:
    shape = layer.input.shape
    if not shape or shape[-1] > most:
        layer.refuse(f"a {words} takes 1 to {most:,} elements")


@rule(Softmax)
def _softmax(op: Softmax, layer: Layer) -> Shape:
    layer.has_output(numerics.SOFTMAX_SCALE, numerics.SOFTMAX_ZERO_POINT, "softmax")
    _depth(layer, numerics.SOFTMAX_MAX_DEPTH, "softmax")
    beta, scale = op.beta, layer.input.scale
    if not (math.isfinite(beta) and beta > 0 and beta * scale * 2.0**26 > 1):
        layer.refuse(f"a softmax with beta {beta} on scale {scale} has no int form")
    return layer.input.shape


@rule(LogSoftmax)
def _log_softmax(_op: LogSoftmax, layer: Layer) -> Shape:
    layer.has_output(numerics.LOG_SOFTMAX_SCALE, numerics.LOG_SOFTMAX_ZERO_POINT, "log-softmax")
    _depth(layer, numerics.LOG_SOFTMAX_MAX_DEPTH, "log-softmax")
    layer.computes(numerics.log_softmax_parameters, layer.input.scale)
    return layer.input.shape


@rule(ArgMax, types=True)
def _argmax(op: ArgMax, layer: Layer) -> Shape:
    axis = layer.axis(op.axis)
    if (layer.input.dtype, layer.output.dtype) != ("int8", "int32"):
        layer.refuse(f"it turns int8 into int32, not {layer.input.dtype} into {layer.output.dtype}")
    return (*layer.input.shape[:axis], *layer.input.shape[axis + 1 :])


# --- Elements go elsewhere ------------------------------------------------------------------------


@rule(Reshape)
def _reshape(op: Reshape, layer: Layer) -> Shape:
    layer.keeps_quantization()
    if math.prod(op.shape) != layer.input.size:
        layer.refuse(f"{layer.input.shape} cannot become {op.shape[:8]}")
    return op.shape


@rule(Transpose)
def _transpose(op: Transpose, layer: Layer) -> Shape:
    layer.keeps_quantization()
    shape = layer.input.shape
    if sorted(op.permutation) != list(range(len(shape))):
        layer.refuse(f"{op.permutation[:8]} is no order of the axes of {shape}")
    return tuple(shape[axis] for axis in op.permutation)


@rule(Concat, (1, MAX_INPUTS))
def _concat(op: Concat, layer: Layer) -> Shape:
    layer.keeps_quantization()
    axis = layer.axis(op.axis)
    first = layer.input.shape
    for tensor in layer.inputs:
        rest = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        if len(tensor.shape) != len(first) or rest != (*first[:axis], *first[axis + 1 :]):
            layer.refuse(f"{first} and {tensor.shape} cannot be joined along axis {axis}")
    total = sum(tensor.shape[axis] for tensor in layer.inputs)
    return (*first[:axis], total, *first[axis + 1 :])


@rule(Slice)
def _slice(op: Slice, layer: Layer) -> Shape:
    layer.keeps_quantization()
    source, target = layer.input.shape, layer.output.shape
    if not len(op.begin) == len(op.stride) == len(source) == len(target):
        layer.refuse(f"{op.begin[:8]}, {op.stride[:8]} and {target} are not for {source}")
    for begin, stride, size, count in zip(op.begin, op.stride, source, target, strict=True):
        if begin < 0 or stride < 1 or begin + (count - 1) * stride >= size:
            layer.refuse(f"{count} elements from {begin} on, {stride} apart, are not in {source}")
    return target


@rule(Pad)
def _pad(op: Pad, layer: Layer) -> Shape:
    layer.keeps_quantization()
    shape = layer.input.shape
    if not len(op.before) == len(op.after) == len(shape):
        layer.refuse(f"{op.before[:8]} and {op.after[:8]} are no padding of {shape}")
    if min((*op.before, *op.after), default=0) < 0:
        layer.refuse("its padding is negative", "Cut with a slice.")
    if op.value is not None and not INT8_MIN <= op.value <= INT8_MAX:
        layer.refuse(f"its value {op.value} is not within int8")
    return tuple(sum(sizes) for sizes in zip(op.before, shape, op.after, strict=True))


@rule(Resize)
def _resize(op: Resize, layer: Layer) -> Shape:
    layer.keeps_quantization()
    height, width, channels = layer.image()
    if op.method not in ("nearest", "bilinear"):
        layer.refuse(f"there is no resizing {op.method[:40]!r}", "Known are: bilinear, nearest.")
    if op.align_corners and op.half_pixel_centers:
        layer.refuse("align_corners and half_pixel_centers exclude each other")
    if len(layer.output.shape) != 3:
        layer.refuse(f"its output {layer.output.shape} is not H, W, C")
    if max(height, width, *layer.output.shape[:2]) > MAX_SIZE:
        layer.refuse(f"it resizes more than {MAX_SIZE:,} rows or columns")
    return (*layer.output.shape[:2], channels)
