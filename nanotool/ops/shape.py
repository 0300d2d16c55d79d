"""What each operator accepts, and the shape that it yields: one rule an operator.

A rule checks its operator's attributes and the scales of its tensors, and returns the shape that
the output must have. InvalidModel, with the layer's name, for what it does not accept. What holds
for many operators is among the facts, and checked once (`nanotool.validate`): arity, clamps, types,
quantization that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
    CumSum,
    Custom,
    Dense,
    Gather,
    GroupNorm,
    Gru,
    Int8Array,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    PRelu,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Shape,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
    Unary,
    Window,
    unclamped,
)
from nanotool.ops import custom
from nanotool.ops.facts import facts
from nanotool.ops.layer import Layer
from nanotool.ops.registry import Registry

RUNNING_SUM_BITS = 19  # that a running sum is shifted to the left, at most
RNN_FUNCTIONS = ("tanh", "relu")
NEARLY = 1e-3  # so far TensorFlow Lite lets the scale of a softmax in int16 differ, relatively
WIDE_SOFTMAX_SHIFT = 14  # that a difference of two int16 can take within int32
MAX_SIZE = 65535  # of a window's or resize's numbers
REDUCTIONS = ("sum", "max", "min")
MATMUL_DEPTH = 2**15  # products of 255 · 255 that fit int32
BINARY_FUNCTIONS = (
    *("add", "sub", "mul", "div", "maximum", "minimum", "squared_difference"),
    *numerics.COMPARISONS,
)
QUANTIZATIONS = {  # (from, to)
    *(("int8", "int8"), ("uint8", "int8"), ("float32", "int8")),
    *(("int8", "uint8"), ("int8", "float32")),
    *(("int16", "int8"), ("int16", "int16"), ("int16", "int32")),
    *(("int8", "int16"), ("int8", "int32"), ("float32", "int16"), ("int16", "float32")),
}

ShapeRule: TypeAlias = Callable[[Layer[Any]], Shape]
shape_rule = Registry[ShapeRule]("ops/shape.py")


def output_shape(layer: Layer[Any]) -> Shape:
    """The shape that ``layer``'s output must have; InvalidModel if it accepts not what it gets."""
    return shape_rule.of(layer.op)(layer)


def _axis(layer: Layer[Op], axis: int) -> int:
    """``axis`` if the input has it."""
    if not 0 <= axis < len(layer.input.shape):
        layer.refuse(f"its input {layer.input.shape} has no axis {axis}")
    return axis


def _image(layer: Layer[Op]) -> tuple[int, int, int]:
    """Height, width and channels of the input."""
    if len(layer.input.shape) != 3:
        layer.refuse(f"its input {layer.input.shape} is not H, W, C")
    height, width, channels = layer.input.shape
    return height, width, channels


def _broadcast(layer: Layer[Op]) -> Shape:
    """The shape of all inputs together."""
    axes = max(len(tensor.shape) for tensor in layer.inputs)
    shapes = [(*(1,) * (axes - len(t.shape)), *t.shape) for t in layer.inputs]
    result = []
    for sizes in zip(*shapes, strict=True):
        wanted = {size for size in sizes if size != 1}
        if len(wanted) > 1:
            together = " and ".join(str(tensor.shape) for tensor in layer.inputs)
            layer.refuse(f"its inputs {together} do not broadcast")
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)


def _has_output(layer: Layer[Op], scale: float, zero_point: int, words: str) -> None:
    """The output has the scale and zero point that its operator prescribes."""
    if (layer.output.scale, layer.output.zero_point) != (scale, zero_point):
        fraction = f"1/{round(1 / scale)}"
        layer.refuse(f"a {words}'s output has scale {fraction} and zero point {zero_point}")


def weight_shapes(layer: Layer[Any]) -> tuple[Shape, tuple[Shape, ...], Shape]:
    """The shapes of the weights of a layer that has some, those that their scales may have, and
    that of the bias."""
    outputs, depth = layer.output.shape[-1], layer.input.shape[-1]
    scales = ((1,), (outputs,))
    match layer.op:
        case Conv2D(window, groups):
            return (outputs, *window.kernel, depth // groups), scales, (outputs,)
        case ConvTranspose2D(window):
            return (outputs, *window.kernel, depth), scales, (outputs,)
        case LayerNorm() | GroupNorm():
            return (outputs,), scales, (outputs,)
        case Lstm() | Gru() | Rnn():
            gates, biases = facts(layer.op).gates, facts(layer.op).biases
            return (outputs, gates, depth + outputs), ((2 * gates,),), (outputs, biases)
        case Svdf(rank):
            return (outputs * rank, depth), ((1,),), (outputs,)
        case _:
            return (outputs, depth), scales, (outputs,)


# --- Sums of products, windows --------------------------------------------------------------------


def _check_window(window: Window, layer: Layer[Op]) -> None:
    sizes = (len(window.kernel), len(window.stride), len(window.padding), len(window.dilation))
    if sizes != (2, 2, 4, 2):
        layer.refuse("its window is not two-dimensional")
    steps = (*window.kernel, *window.stride, *window.dilation)
    padding = [abs(amount) for amount in window.padding]
    if min(steps) < 1 or min(window.padding[:2]) < 0 or max(*steps, *padding) > MAX_SIZE:
        layer.refuse(f"its window {window} is out of range")


def _windowed(window: Window, layer: Layer[Op]) -> tuple[int, int, int]:
    """Height, width and input channels of a window over the input."""
    height, width, channels = _image(layer)
    _check_window(window, layer)
    if min(window.padding) < 0:
        layer.refuse(f"its window {window} is out of range")
    rows, columns = window.output_size(height, width)
    if rows < 1 or columns < 1:
        layer.refuse(f"its window is larger than its input {layer.input.shape}")
    return rows, columns, channels


@shape_rule(Conv2D)
def _conv2d(layer: Layer[Conv2D]) -> Shape:
    op = layer.op
    height, width, channels = _windowed(op.window, layer)
    outputs = layer.output.shape[-1] if layer.output.shape else 0
    if op.groups < 1 or channels % op.groups or outputs % op.groups:
        layer.refuse(f"{op.groups} groups do not divide {channels} and {outputs} channels")
    return height, width, outputs


@shape_rule(ConvTranspose2D)
def _conv_transpose2d(layer: Layer[ConvTranspose2D]) -> Shape:
    """Padding at the end may be negative: rows and columns behind the last kernel, by less than a
    stride (PyTorch's output_padding)."""
    op = layer.op
    height, width, _ = _image(layer)
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


@shape_rule(Dense)
def _dense(layer: Layer[Dense]) -> Shape:
    if not layer.input.shape or not layer.output.shape:
        layer.refuse("a dense layer needs at least one axis")
    return (*layer.input.shape[:-1], layer.output.shape[-1])


@shape_rule(MaxPool2D, AveragePool2D)
def _pool(layer: Layer[MaxPool2D | AveragePool2D]) -> Shape:
    """Every position of the window holds at least one element of the input."""
    op = layer.op
    outputs = _windowed(op.window, layer)
    if not all(_windows_hold_input(op.window, layer, axis, outputs[axis]) for axis in range(2)):
        layer.refuse("a window lies in the padding alone", "Pad by less than the window's size.")
    return outputs


def _windows_hold_input(window: Window, layer: Layer[Op], axis: int, count: int) -> bool:
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


def averaged(layer: Layer[Mean | Reduce]) -> int:
    """How many elements each output of a mean or a reduction is of."""
    return math.prod(layer.input.shape[axis] for axis in layer.op.axes)


@shape_rule(Mean)
def _reduced(layer: Layer[Mean | Reduce]) -> Shape:
    op = layer.op
    shape = layer.input.shape
    axes = [_axis(layer, axis) for axis in op.axes]
    if not axes or axes != sorted(set(axes)):
        layer.refuse(f"its axes {op.axes[:8]} are not ascending, or there is none")
    count = averaged(layer)
    most = numerics.WIDE_MEAN_MAX_COUNT if layer.is_wide else numerics.MEAN_MAX_COUNT
    if count > most:
        layer.refuse(f"it takes {count:,} elements at once, more than {most:,}")
    reduced_multiplier(layer)
    kept = ((1 if axis in axes else size, axis in axes) for axis, size in enumerate(shape))
    return tuple(size for size, gone in kept if op.keep_dims or not gone)


def reduced_multiplier(layer: Layer[Mean | Reduce]) -> numerics.Multiplier:
    """Of a mean or a sum: what makes an output of a sum of q - zero point."""
    count = averaged(layer) if isinstance(layer.op, Mean) else 1
    scales = (layer.input.scale, layer.output.scale)
    return layer.computes(numerics.mean_multiplier, *scales, count)


@shape_rule(Reduce)
def _reduce(layer: Layer[Reduce]) -> Shape:
    if layer.op.function not in REDUCTIONS:
        layer.refuse(f"there is no reduction {layer.op.function[:40]!r}")
    return _reduced(layer)


@shape_rule(MatMul)
def _matmul(layer: Layer[MatMul]) -> Shape:
    a, b = (tensor.shape for tensor in layer.inputs)
    if len(a) < 2 or len(a) != len(b) or len(a) > 4:
        layer.refuse(f"{a} and {b} are no matrices")
    rows, depth = a[-2:] if not layer.op.adj_x else a[:-3:-1]
    other, columns = b[-2:] if not layer.op.adj_y else b[:-3:-1]
    batches = tuple(zip(a[:-2], b[:-2], strict=True))
    if depth != other or any(1 not in pair and pair[0] != pair[1] for pair in batches):
        layer.refuse(f"{a} and {b} do not fit as matrices")
    if depth > MATMUL_DEPTH:
        layer.refuse(f"it sums {depth:,} products, more than {MATMUL_DEPTH:,}")
    matmul_multiplier(layer)
    return (*(max(pair) for pair in batches), rows, columns)


def matmul_multiplier(layer: Layer[MatMul]) -> numerics.Multiplier:
    """What makes an output of a sum of products."""
    scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
    return layer.computes(numerics.mul_multiplier, *scales)


def normalized_elements(layer: Layer[LayerNorm | GroupNorm]) -> int:
    """How many elements share a mean and a standard deviation."""
    shape = layer.input.shape
    return shape[-1] if isinstance(layer.op, LayerNorm) else layer.input.size // layer.op.groups


@shape_rule(LayerNorm, GroupNorm)
def _norm(layer: Layer[LayerNorm | GroupNorm]) -> Shape:
    op, shape = layer.op, layer.input.shape
    if isinstance(op, GroupNorm):
        _, _, channels = _image(layer)
        if op.groups < 1 or channels % op.groups:
            layer.refuse(f"{op.groups} groups do not divide {channels} channels")
    if not shape or normalized_elements(layer) > numerics.NORMALIZED_MOST:
        layer.refuse(f"it normalizes more than {numerics.NORMALIZED_MOST:,} elements at once")
    if not (math.isfinite(op.epsilon) and op.epsilon >= 0):
        layer.refuse(f"its epsilon is {op.epsilon}")
    return shape


@shape_rule(Gather)
def _gather(layer: Layer[Gather]) -> Shape:
    op, shape = layer.op, layer.input.shape
    axis = _axis(layer, op.axis)
    if not op.indices or min(op.indices) < 0 or max(op.indices) >= shape[axis]:
        layer.refuse(f"its indices are not all among the {shape[axis]:,} elements of axis {axis}")
    return (*shape[:axis], len(op.indices), *shape[axis + 1 :])


# --- Element by element ---------------------------------------------------------------------------


@shape_rule(Unary)
def _unary(layer: Layer[Unary]) -> Shape:
    if not layer.is_wide:
        entries_of(layer)
    elif layer.op.function in unary.UNIT_IN_INT16:
        _has_output(layer, *numerics.UNIT_OUTPUT, f"{layer.op.function} in int16")
        layer.computes(numerics.thirds_multiplier, layer.input.scale, layer.op.function)
    else:
        rectifier(layer)
    return layer.input.shape


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A function of int16 that is a line on either side of 0."""

    positive: numerics.Multiplier  # output steps an input step, above 0
    negative: numerics.Multiplier  # likewise below, without its sign
    sign: int  # of what is below: 1, or -1; 0: the magnitude (`numerics.rectified`)
    clamp: tuple[int, int]


def rectifier(layer: Layer[Unary]) -> Rectifier:
    """What ``layer``, which `is_wide` and neither sigmoid nor tanh, computes with."""
    source, target = layer.input, layer.output
    family, slope = layer.op.function.partition(":")[0], unary.parameter(layer.op.function)
    low, high = layer.clamp
    if family in ("relu", "relu6"):
        low = max(low, min(0, high))
        high = max(min(high, unary.quantized_bound(6.0, target)), low) if family[4:] else high
    above = layer.computes(numerics.quantize_multiplier, source.scale / target.scale)
    if slope is None:
        return Rectifier(above, above, 0 if family == "abs" else 1, (low, high))
    ratio = source.scale * abs(slope) / target.scale
    below = layer.computes(numerics.quantize_multiplier, ratio)
    return Rectifier(above, below, -1 if slope < 0 else 1, (low, high))


def entries_of(layer: Layer[Unary | Table]) -> Int8Array:
    """int8 [256]: the output for each input from -128 on, clamped."""
    op = layer.op
    if isinstance(op, Table):
        clipped: Int8Array = np.clip(op.entries, *layer.clamp).astype(np.int8)
        return clipped
    return unary.table(op.function, layer.input, layer.output, layer.clamp)


@shape_rule(Table)
def _table(layer: Layer[Table]) -> Shape:
    op = layer.op
    if len(op.entries) != unary.INPUTS.size:
        layer.refuse(f"a table has {unary.INPUTS.size} entries, not {len(op.entries)}")
    if min(op.entries) < INT8_MIN or max(op.entries) > INT8_MAX:
        layer.refuse("its entries are not within int8")
    if not unary.is_title(op.function):
        layer.refuse("its function's name is no short word", "Letters, digits and .:+-_ are fine.")
    return layer.input.shape


@shape_rule(Binary)
def _binary(layer: Layer[Binary]) -> Shape:
    op = layer.op
    if op.function not in BINARY_FUNCTIONS:
        layer.refuse(
            f"there is no binary function {op.function[:40]!r}",
            f"Known are: {', '.join(BINARY_FUNCTIONS)}.",
        )
    scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
    if op.function in ("add", "sub"):
        sum_parameters(layer)
    elif op.function == "mul":
        layer.computes(numerics.mul_multiplier, *scales)
    elif op.function == "div":
        layer.computes(numerics.div_multiplier, *scales)
    elif op.function == "squared_difference":
        layer.computes(numerics.squared_difference_parameters, *scales)
    elif op.function in numerics.COMPARISONS:
        layer.computes(numerics.compare_multipliers, *scales[:2])
    return _broadcast(layer)


def sum_parameters(layer: Layer[Any]) -> numerics.AddParameters:
    """Of a sum or a difference."""
    scales = (*(tensor.scale for tensor in layer.inputs), layer.output.scale)
    bits = numerics.WIDE_ADD_BITS if layer.is_wide else numerics.ADD_LEFT_SHIFT
    return layer.computes(partial(numerics.add_parameters, bits=bits), *scales)


@shape_rule(PRelu)
def _prelu(layer: Layer[PRelu]) -> Shape:
    source, slopes = layer.inputs
    if layer.constants[1] is None:
        layer.refuse("its slopes are no constant")
    layer.computes(numerics.prelu_parameters, source.scale, slopes.scale, layer.output.scale)
    if _broadcast(layer) != source.shape:
        layer.refuse(f"its slopes {slopes.shape} do not fit into its input {source.shape}")
    return source.shape


@shape_rule(Quantize)
def _quantize(layer: Layer[Quantize]) -> Shape:
    source, target = layer.input, layer.output
    if (source.dtype, target.dtype) not in QUANTIZATIONS:
        layer.refuse(f"it cannot turn {source.dtype} into {target.dtype}")
    if "float32" not in (source.dtype, target.dtype):
        layer.computes(numerics.quantize_multiplier, source.scale / target.scale)
    return source.shape


# --- Along an axis --------------------------------------------------------------------------------


def _depth(layer: Layer[Op], most: int, words: str) -> None:
    shape = layer.input.shape
    if not shape or shape[-1] > most:
        layer.refuse(f"a {words} takes 1 to {most:,} elements")


@shape_rule(Softmax)
def _softmax(layer: Layer[Softmax]) -> Shape:
    types = {("int8", "int8"), ("int8", "int16"), ("int16", "int16")}
    if (layer.input.dtype, layer.output.dtype) not in types:
        layer.refuse(f"a softmax takes no {layer.input.dtype}, or yields no {layer.output.dtype}")
    _depth(layer, numerics.SOFTMAX_MAX_DEPTH, "softmax")
    if layer.is_wide:
        return _wide_softmax(layer)
    if layer.output.dtype == "int16":
        scale, zero_point = numerics.SOFTMAX_INT16_OUTPUT
        near = abs(layer.output.scale / scale - 1) <= NEARLY
        if not near or layer.output.zero_point != zero_point:
            layer.refuse(f"a softmax in int16 has scale 1/65536 and zero point {zero_point}")
    else:
        _has_output(layer, numerics.SOFTMAX_SCALE, numerics.SOFTMAX_ZERO_POINT, "softmax")
    beta, scale = layer.op.beta, layer.input.scale
    if not (math.isfinite(beta) and beta > 0 and beta * scale * 2.0**26 > 1):
        layer.refuse(f"a softmax with beta {beta} on scale {scale} has no int form")
    return layer.input.shape


def _wide_softmax(layer: Layer[Softmax]) -> Shape:
    scale, zero_point = numerics.UNIT_OUTPUT
    near = abs(layer.output.scale / scale - 1) <= NEARLY
    if not near or layer.output.zero_point != zero_point or layer.input.zero_point:
        layer.refuse("a softmax of int16 yields scale 1/32768, and zero points are 0")
    beta = layer.op.beta
    if not (math.isfinite(beta) and beta > 0):
        layer.refuse(f"a softmax with beta {beta} has no int form")
    multiplier = layer.computes(numerics.wide_softmax_multiplier, beta, layer.input.scale)
    if multiplier[1] > WIDE_SOFTMAX_SHIFT:
        layer.refuse(f"a softmax with beta {beta} on scale {layer.input.scale} has no int form")
    return layer.input.shape


@shape_rule(LogSoftmax)
def _log_softmax(layer: Layer[LogSoftmax]) -> Shape:
    _has_output(layer, numerics.LOG_SOFTMAX_SCALE, numerics.LOG_SOFTMAX_ZERO_POINT, "log-softmax")
    _depth(layer, numerics.LOG_SOFTMAX_MAX_DEPTH, "log-softmax")
    layer.computes(numerics.log_softmax_parameters, layer.input.scale)
    return layer.input.shape


@shape_rule(ArgMax)
def _argmax(layer: Layer[ArgMax]) -> Shape:
    axis = _axis(layer, layer.op.axis)
    if (layer.input.dtype, layer.output.dtype) != ("int8", "int32"):
        layer.refuse(f"it turns int8 into int32, not {layer.input.dtype} into {layer.output.dtype}")
    if layer.output.scale != 1:
        layer.refuse(f"numbers of elements have no scale {layer.output.scale}")
    return (*layer.input.shape[:axis], *layer.input.shape[axis + 1 :])


def running_sum_bits(farthest: int) -> int:
    """How many bits sums of at most ``farthest`` steps can be shifted to the left: 19, as in
    TensorFlow Lite Micro; fewer where that would leave int32; below 0 if they do themselves."""
    return min(RUNNING_SUM_BITS, 31 - farthest.bit_length())


def running_sum(layer: Layer[CumSum]) -> tuple[int, numerics.Multiplier]:
    """(left, multiplier) of a cumulative sum: a sum of q - zero point, shifted ``left`` bits,
    becomes the output by ``multiplier``. InvalidModel if there is no such multiplier."""
    zero_point, count = layer.input.zero_point, layer.input.shape[layer.op.axis]
    farthest = abs(layer.op.start) + count * max(INT8_MAX - zero_point, zero_point - INT8_MIN)
    left = running_sum_bits(farthest)
    if left < 0:
        layer.refuse(f"its sums of {count:,} elements leave int32", "Sum over fewer elements.")
    scale = layer.input.scale / (2.0**left * layer.output.scale)
    multiplier = layer.computes(numerics.quantize_multiplier, scale)
    if multiplier[1] > 0:
        layer.refuse("its output's scale is too fine for its input's", "Calibrate it on real data.")
    return left, multiplier


@shape_rule(CumSum)
def _cumsum(layer: Layer[CumSum]) -> Shape:
    _axis(layer, layer.op.axis)
    if abs(layer.op.start) > -INT8_MIN:
        layer.refuse(f"its sums begin with {layer.op.start} steps", "At most 128 can be said.")
    running_sum(layer)
    return layer.input.shape


# --- What packages bring --------------------------------------------------------------------------


@shape_rule(Custom)
def _custom(layer: Layer[Custom]) -> Shape:
    known = custom.definition(layer.op.function)
    if known.fixed_output is not None:
        _has_output(layer, *known.fixed_output, layer.op.function)
    if known.check is not None:
        layer.computes(known.check, layer)
    try:
        return custom.output_shape(layer.op, tuple(tensor.shape for tensor in layer.inputs))
    except ValueError as error:
        layer.refuse(f"{layer.op.function}: {error}")


# --- Along a sequence -----------------------------------------------------------------------------


def recurrent_sizes(layer: Layer[Any]) -> tuple[int, int, int]:
    """Steps, features and units of a layer that goes through a sequence."""
    source, hidden = layer.inputs[:2]
    if len(source.shape) != 2 or len(hidden.shape) != 1:
        layer.refuse(f"{source.shape} and {hidden.shape} are not steps, features and units")
    return source.shape[0], source.shape[1], hidden.shape[0]


def gate_biases(layer: Layer[Any]) -> NDArray[np.int64]:
    """The biases of the sums over x and over h, [units, gates, 2]: of h only a GRU's n has one."""
    gates = facts(layer.op).gates
    result = np.zeros((len(layer.weight), gates, 2), np.int64)
    result[:, :, 0] = layer.bias[:, :gates]
    if layer.bias.shape[1] > gates:
        result[:, gates - 1, 1] = layer.bias[:, gates]
    return result


def _scales(layer: Layer[Any]) -> list[float]:
    return [float(scale) for scale in layer.weight_scale]


def argument_scale(op: Op, hidden_scale: float) -> float:
    """Of the arguments of ``op``'s gates, whose h has ``hidden_scale``."""
    if isinstance(op, Rnn) and op.function == "relu":
        return hidden_scale / numerics.RELU_STEPS
    return numerics.GATE_SCALE


def lstm_parameters(layer: Layer[Lstm]) -> numerics.LstmParameters:
    """Of an LSTM whose scales are there; InvalidModel where it has no int form."""
    source, hidden, cell = layer.inputs
    scales = (source.scale, hidden.scale, cell.scale, _scales(layer))
    return layer.computes(numerics.lstm_parameters, *scales, layer.op.cell_clip)


def gru_parameters(layer: Layer[Gru]) -> numerics.GruParameters:
    """Likewise of a GRU."""
    source, wide = layer.inputs
    scales = (source.scale, layer.output.scale, wide.scale, _scales(layer))
    return layer.computes(numerics.gru_parameters, *scales)


def rnn_parameters(layer: Layer[Rnn]) -> numerics.GateParameters:
    """Likewise of Elman's layer."""
    scales = (layer.input.scale, layer.output.scale, _scales(layer))
    return layer.computes(numerics.rnn_parameters, *scales, layer.op.function)


@shape_rule(Lstm)
def _lstm(layer: Layer[Lstm]) -> Shape:
    steps, _, units = recurrent_sizes(layer)
    source, hidden, cell = layer.inputs
    following = layer.more[0]
    dtypes = tuple(tensor.dtype for tensor in (source, hidden, cell, layer.output, following))
    if dtypes != ("int8", "int8", "int16", "int8", "int16"):
        layer.refuse("its input and h are int8, c is int16")
    if cell.shape != hidden.shape or following.shape != cell.shape:
        layer.refuse(f"h has {hidden.shape}, c {cell.shape}, the next c {following.shape}")
    if (hidden.scale, hidden.zero_point) != (layer.output.scale, layer.output.zero_point):
        layer.refuse("its output has not the scale and zero point of h")
    if cell.scale != following.scale:
        layer.refuse("the next c has not the scale of c")
    if not (math.isfinite(layer.op.cell_clip) and layer.op.cell_clip >= 0):
        layer.refuse(f"c cannot be kept within {layer.op.cell_clip}")
    return steps, units


@shape_rule(Gru)
def _gru(layer: Layer[Gru]) -> Shape:
    steps, _, units = recurrent_sizes(layer)
    source, wide = layer.inputs
    following = layer.more[0]
    if (source.dtype, layer.output.dtype, wide.dtype) != ("int8", "int8", "int16"):
        layer.refuse("its input and output are int8, the h that it reads is int16")
    if wide.zero_point or replace(following, name=wide.name) != wide:
        layer.refuse("the h that it reads and the last one differ, or have a zero point")
    return steps, units


@shape_rule(Rnn)
def _rnn(layer: Layer[Rnn]) -> Shape:
    steps, _, units = recurrent_sizes(layer)
    hidden = layer.inputs[1]
    if layer.op.function not in RNN_FUNCTIONS:
        layer.refuse(
            f"there is no recurrent layer with {layer.op.function[:40]!r}",
            f"Known are: {', '.join(RNN_FUNCTIONS)}.",
        )
    if {tensor.dtype for tensor in (*layer.inputs, layer.output)} != {"int8"}:
        layer.refuse("its input, its output and h are int8")
    if (hidden.scale, hidden.zero_point) != (layer.output.scale, layer.output.zero_point):
        layer.refuse("its output has not the scale and zero point of h")
    return steps, units


def svdf_multipliers(layer: Layer[Svdf]) -> tuple[numerics.Multiplier, numerics.Multiplier]:
    """(sum over x -> memory, sum over time -> output); InvalidModel where there are none."""
    source, memory, time = layer.inputs
    scales = (source.scale, float(layer.weight_scale[0]), memory.scale, time.scale)
    return layer.computes(numerics.svdf_multipliers, *scales, layer.output.scale)


@shape_rule(Svdf)
def _svdf(layer: Layer[Svdf]) -> Shape:
    source, memory, time = layer.inputs
    rank, following = layer.op.rank, layer.more[0]
    if (source.dtype, layer.output.dtype) != ("int8", "int8") or memory.dtype != time.dtype:
        layer.refuse("its input and output are int8, its memory is of the type of its weights")
    if memory.dtype not in ("int8", "int16") or (memory.dtype == "int16" and memory.zero_point):
        layer.refuse("its memory is int8, or int16 with the zero point 0")
    if layer.constants[2] is None or time.zero_point:
        layer.refuse("its weights over time are no constant with the zero point 0")
    if len(source.shape) != 1 or len(time.shape) != 2 or rank < 1 or time.shape[0] % rank:
        layer.refuse(f"{source.shape}, {time.shape} and rank {rank} do not fit each other")
    if memory.size != time.size or replace(following, name=memory.name) != memory:
        layer.refuse(
            f"its memory {memory.shape} is not of {time.shape}, or the next one is another"
        )
    return (time.shape[0] // rank,)


def recurrent_factors(layer: Layer[Any]) -> object:
    """The factors of a layer that goes through a sequence; InvalidModel where there are none."""
    match layer.op:
        case Lstm():
            return lstm_parameters(layer)
        case Gru():
            return gru_parameters(layer)
        case Rnn():
            return rnn_parameters(layer)
        case _:
            return svdf_multipliers(layer)


# --- Elements go elsewhere ------------------------------------------------------------------------


@shape_rule(Reshape)
def _reshape(layer: Layer[Reshape]) -> Shape:
    op = layer.op
    if layer.input.dtype != layer.output.dtype or layer.input.dtype not in ("int8", "int16"):
        layer.refuse(f"it cannot turn {layer.input.dtype} into {layer.output.dtype}")
    if math.prod(op.shape) != layer.input.size:
        layer.refuse(f"{layer.input.shape} cannot become {op.shape[:8]}")
    return op.shape


@shape_rule(Transpose)
def _transpose(layer: Layer[Transpose]) -> Shape:
    op = layer.op
    shape = layer.input.shape
    if sorted(op.permutation) != list(range(len(shape))):
        layer.refuse(f"{op.permutation[:8]} is no order of the axes of {shape}")
    return tuple(shape[axis] for axis in op.permutation)


@shape_rule(Concat)
def _concat(layer: Layer[Concat]) -> Shape:
    axis = _axis(layer, layer.op.axis)
    first = layer.input.shape
    for tensor in layer.inputs:
        rest = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        if len(tensor.shape) != len(first) or rest != (*first[:axis], *first[axis + 1 :]):
            layer.refuse(f"{first} and {tensor.shape} cannot be joined along axis {axis}")
    total = sum(tensor.shape[axis] for tensor in layer.inputs)
    return (*first[:axis], total, *first[axis + 1 :])


@shape_rule(Slice)
def _slice(layer: Layer[Slice]) -> Shape:
    op = layer.op
    source, target = layer.input.shape, layer.output.shape
    if not len(op.begin) == len(op.stride) == len(source) == len(target):
        layer.refuse(f"{op.begin[:8]}, {op.stride[:8]} and {target} are not for {source}")
    for begin, stride, size, count in zip(op.begin, op.stride, source, target, strict=True):
        if begin < 0 or stride < 1 or begin + (count - 1) * stride >= size:
            layer.refuse(f"{count} elements from {begin} on, {stride} apart, are not in {source}")
    return target


@shape_rule(Pad)
def _pad(layer: Layer[Pad]) -> Shape:
    op = layer.op
    shape = layer.input.shape
    if not len(op.before) == len(op.after) == len(shape):
        layer.refuse(f"{op.before[:8]} and {op.after[:8]} are no padding of {shape}")
    if min((*op.before, *op.after), default=0) < 0:
        layer.refuse("its padding is negative", "Cut with a slice.")
    least, most = unclamped(layer.output.dtype)
    if op.value is not None and not least <= op.value <= most:
        layer.refuse(f"its value {op.value} is not within {layer.output.dtype}")
    return tuple(sum(sizes) for sizes in zip(op.before, shape, op.after, strict=True))


@shape_rule(Resize)
def _resize(layer: Layer[Resize]) -> Shape:
    op = layer.op
    height, width, channels = _image(layer)
    if op.method not in ("nearest", "bilinear"):
        layer.refuse(f"there is no resizing {op.method[:40]!r}", "Known are: bilinear, nearest.")
    if op.align_corners and op.half_pixel_centers:
        layer.refuse("align_corners and half_pixel_centers exclude each other")
    if len(layer.output.shape) != 3:
        layer.refuse(f"its output {layer.output.shape} is not H, W, C")
    if max(height, width, *layer.output.shape[:2]) > MAX_SIZE:
        layer.refuse(f"it resizes more than {MAX_SIZE:,} rows or columns")
    return (*layer.output.shape[:2], channels)


shape_rule.complete()
