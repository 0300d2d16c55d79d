"""The float form of every operator, in NumPy, on batches: what PyTorch computes.

One short function an operator, (layer, *inputs) -> output, the layer's clamp aside. Inputs
are [n, *shape]; constants have an n of 1. Beside a layer's output may come what it remembers after
each step, [n, steps, units], in the order of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    BatchNorm,
    Binary,
    Clamp,
    Concat,
    Conv2D,
    ConvTranspose2D,
    CumSum,
    Custom,
    Dense,
    FloatArray,
    Function,
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
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import OPERATORS, FloatLayer, Registry, custom, facts

Data: TypeAlias = NDArray[Any]
FloatForm: TypeAlias = Callable[..., Any]  # (layer, *inputs) -> output, or with what is beside it
computes = Registry[FloatForm]("quantization/float_ops.py", operators=OPERATORS)


def compute(layer: FloatLayer[Any], *inputs: FloatArray) -> tuple[Data, Data | None]:
    """The output of ``layer`` [n, *shape], its clamp aside, and what it remembers beside it."""
    result: Any = computes.of(layer.op)(layer, *inputs)
    if isinstance(result, tuple):
        output, history = result
        return output, history
    whole: Data = result
    return whole, None


def aligned(*inputs: Data) -> list[Data]:
    """The inputs [n, *shape] with as many axes each: new ones of 1 stand behind n."""
    axes = max(x.ndim for x in inputs)
    return [x.reshape(len(x), *(1,) * (axes - x.ndim), *x.shape[1:]) for x in inputs]


def _channels_last(function: FloatForm) -> FloatForm:
    """``function`` of an image H, W, C, also for graphs that have it C, H, W."""

    def either(layer: FloatLayer[Op], x: FloatArray) -> Data:
        if layer.channels_last:
            return np.asarray(function(layer, x))
        y: Data = function(layer, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return y

    return either


def _kernels(layer: FloatLayer[Op]) -> FloatArray:
    """Convolution weights as O, KH, KW, C/groups."""
    return layer.weight if layer.channels_last else layer.weight.transpose(0, 2, 3, 1)


def _with_bias(layer: FloatLayer[Op], y: Data) -> Data:
    return y if layer.node.bias is None else y + layer.node.bias


# --- Sums of products -----------------------------------------------------------------------------


@computes(Dense)
def _dense(layer: FloatLayer[Dense], x: FloatArray) -> Data:
    return _with_bias(layer, x @ layer.weight.T)


@computes(Conv2D)
@_channels_last
def _conv2d(layer: FloatLayer[Conv2D], x: FloatArray) -> Data:
    """Tap by tap: a matrix product each, or with one channel a group, a product."""
    weight, groups, window = _kernels(layer), layer.op.groups, layer.op.window
    outputs, _, _, depth = weight.shape
    padded = _padded(x, window, 0.0)
    rows, columns = window.output_size(*x.shape[1:3])
    y = np.zeros((len(x), rows, columns, groups, outputs // groups), np.float32)
    for i, j in np.ndindex(*window.kernel):
        top, left = i * window.dilation[0], j * window.dilation[1]
        bottom = top + (rows - 1) * window.stride[0] + 1
        right = left + (columns - 1) * window.stride[1] + 1
        taps = padded[:, top : bottom : window.stride[0], left : right : window.stride[1]]
        kernels = weight[:, i, j].reshape(groups, outputs // groups, depth)
        if depth == 1:
            y += taps[..., np.newaxis] * kernels[..., 0]
            continue
        for group in range(groups):
            part = taps[..., group * depth : (group + 1) * depth]
            y[..., group, :] += part @ kernels[group].T
    return _with_bias(layer, y.reshape(*y.shape[:3], outputs))


@computes(ConvTranspose2D)
@_channels_last
def _conv_transpose2d(layer: FloatLayer[ConvTranspose2D], x: FloatArray) -> Data:
    """Every input pixel adds its kernel into the output, of which the rim is cut off."""
    weight, (step_h, step_w) = _kernels(layer), layer.op.window.stride
    top, left, bottom, right = layer.op.window.padding
    (n, height, width), (outputs, kernel_h, kernel_w, _) = x.shape[:3], weight.shape
    # Padding at the end may be negative: room behind the last kernel.
    rows = (height - 1) * step_h + kernel_h + max(-bottom, 0)
    columns = (width - 1) * step_w + kernel_w + max(-right, 0)
    full = np.zeros((n, rows, columns, outputs), np.float32)
    for i, j in np.ndindex(kernel_h, kernel_w):
        last_row, last_column = i + (height - 1) * step_h + 1, j + (width - 1) * step_w + 1
        full[:, i:last_row:step_h, j:last_column:step_w] += x @ weight[:, i, j].T
    inside = full[:, top : rows - max(bottom, 0), left : columns - max(right, 0)]
    return _with_bias(layer, inside)


@computes(BatchNorm)
def _batch_norm(layer: FloatLayer[BatchNorm], x: FloatArray) -> Data:
    image = not layer.channels_last and x.ndim == 4
    broadcast = (-1, 1, 1) if image else (-1,)
    return x * layer.weight.reshape(broadcast) + layer.bias.reshape(broadcast)


# --- Windows --------------------------------------------------------------------------------------


def _padded(x: Data, window: Window, fill: float) -> Data:
    """The image with the window's padding around it."""
    top, left, bottom, right = window.padding
    if not any(window.padding):
        return x
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def windows(x: Data, window: Window, fill: float) -> Data:
    """A view [n, out_h, out_w, c, kernel_h, kernel_w]; ``fill`` stands outside the input."""
    padded = _padded(x, window, fill)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True))
    view: Data = sliding_window_view(padded, spans, axis=(1, 2))
    (step_h, step_w), (gap_h, gap_w) = window.stride, window.dilation
    return view[:, ::step_h, ::step_w, :, ::gap_h, ::gap_w]


@computes(MaxPool2D)
@_channels_last
def _max_pool(layer: FloatLayer[MaxPool2D], x: FloatArray) -> Data:
    return np.asarray(windows(x, layer.op.window, -math.inf).max(axis=(4, 5)))


@computes(AveragePool2D)
@_channels_last
def _average_pool(layer: FloatLayer[AveragePool2D], x: FloatArray) -> Data:
    inside = np.ones((1, *x.shape[1:3], 1), np.float32)
    count = windows(inside, layer.op.window, 0.0).sum(axis=(4, 5))
    return np.asarray(windows(x, layer.op.window, 0.0).sum(axis=(4, 5)) / count)


@computes(Mean)
def _mean(layer: FloatLayer[Mean], x: FloatArray) -> Data:
    axes = tuple(1 + axis for axis in layer.op.axes)
    return np.asarray(x.mean(axis=axes, keepdims=layer.op.keep_dims, dtype=np.float64))


@computes(Reduce)
def _reduce(layer: FloatLayer[Reduce], x: FloatArray) -> Data:
    axes = tuple(1 + axis for axis in layer.op.axes)
    reduction = getattr(np, layer.op.function)
    return np.asarray(reduction(x.astype(np.float64), axis=axes, keepdims=layer.op.keep_dims))


@computes(MatMul)
def _matmul(layer: FloatLayer[MatMul], a: FloatArray, b: FloatArray) -> Data:
    a = np.swapaxes(a, -1, -2) if layer.op.adj_x else a
    b = np.swapaxes(b, -1, -2) if layer.op.adj_y else b
    return np.asarray(np.matmul(a, b))


@computes(LayerNorm)
def _layer_norm(layer: FloatLayer[LayerNorm], x: FloatArray) -> Data:
    wide = x.astype(np.float64)
    if layer.op.centered:
        wide = wide - wide.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((wide**2).mean(axis=-1, keepdims=True) + layer.op.epsilon)
    return _with_bias(layer, wide / deviation * layer.weight)


@computes(GroupNorm)
@_channels_last
def _group_norm(layer: FloatLayer[GroupNorm], x: FloatArray) -> Data:
    width = x.shape[3] // layer.op.groups
    groups = x.astype(np.float64).reshape(len(x), -1, layer.op.groups, width)
    groups -= groups.mean(axis=(1, 3), keepdims=True)
    groups /= np.sqrt((groups**2).mean(axis=(1, 3), keepdims=True) + layer.op.epsilon)
    return _with_bias(layer, groups.reshape(x.shape) * layer.weight)


# --- Element by element ---------------------------------------------------------------------------


@computes(Unary)
def _unary(layer: FloatLayer[Unary], x: FloatArray) -> Data:
    return unary.definition(layer.op.function).real(x.astype(np.float64))


@computes(Function)
def _function(layer: FloatLayer[Function], x: FloatArray) -> Data:
    return layer.op.real(x.astype(np.float64))


@computes(Table)
def _table(layer: FloatLayer[Table], x: FloatArray) -> Data:
    raise NotImplementedError(f"{layer.name}: a table is of int8")


@computes(Clamp)
def _clamp(layer: FloatLayer[Clamp], x: FloatArray) -> Data:
    return np.clip(x, layer.op.low, layer.op.high)


_BINARY: dict[str, Callable[[Data, Data], Data]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "squared_difference": lambda a, b: np.square(a - b),
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}


@computes(Binary)
def _binary(layer: FloatLayer[Binary], a: FloatArray, b: FloatArray) -> Data:
    return _BINARY[layer.op.function](*aligned(a, b))


@computes(PRelu)
def _prelu(layer: FloatLayer[PRelu], x: FloatArray, slopes: FloatArray) -> Data:
    x, slopes = aligned(x, slopes)
    return np.where(x > 0, x, slopes * x)


@computes(Quantize)
def _quantize(layer: FloatLayer[Quantize], x: FloatArray) -> Data:
    return x


# --- Along an axis --------------------------------------------------------------------------------


def _shifted(x: Data) -> Data:
    return np.asarray(x - x.max(axis=-1, keepdims=True))


@computes(Softmax)
def _softmax(layer: FloatLayer[Softmax], x: FloatArray) -> Data:
    powers = np.exp(_shifted(layer.op.beta * x.astype(np.float64)))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@computes(LogSoftmax)
def _log_softmax(layer: FloatLayer[LogSoftmax], x: FloatArray) -> Data:
    shifted = _shifted(x.astype(np.float64))
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@computes(ArgMax)
def _argmax(layer: FloatLayer[ArgMax], x: FloatArray) -> Data:
    return np.asarray(x.argmax(axis=1 + layer.op.axis))


@computes(CumSum)
def _cumsum(layer: FloatLayer[CumSum], x: FloatArray) -> Data:
    op, axis = layer.op, 1 + layer.op.axis
    ordered = np.flip(x, axis) if op.reverse else x
    sums = ordered.cumsum(axis, dtype=np.float64) - (ordered if op.exclusive else 0)
    return np.asarray(np.flip(sums, axis) if op.reverse else sums)


# --- What packages bring --------------------------------------------------------------------------


@computes(Custom)
def _custom(layer: FloatLayer[Custom], *inputs: FloatArray) -> Data:
    """Its real(); of images it sees the order that it asks for."""
    known = custom.definition(layer.op.function)
    turns = known.order == "channels_last" and not layer.channels_last
    given = [_last(x) if turns else x for x in inputs]
    result = np.asarray(known.real(layer.op, *given))
    return result.transpose(0, 3, 1, 2) if turns and result.ndim == 4 else result


def _last(x: FloatArray) -> Data:
    """An image's channels; another tensor as it is."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


# --- Along a sequence -----------------------------------------------------------------------------


@dataclass
class _Sequence:
    """A layer with gates, on its way through x."""

    layer: FloatLayer[Any]
    x: FloatArray
    hidden: Data  # [n, units]
    outputs: list[Data] = field(default_factory=list)
    history: list[Data] = field(default_factory=list)  # what it remembers beside h, step by step

    def __post_init__(self) -> None:
        weight, features = self.layer.weight, self.x.shape[2]
        self.rows = weight.transpose(2, 1, 0)  # term, gate, unit
        self.of_x = np.tensordot(self.x, self.rows[:features], 1)  # n, step, gate, unit
        biases = facts(self.layer.op).biases
        bias = self.layer.node.bias
        self.bias = np.zeros((biases, len(weight)), np.float32) if bias is None else bias.T
        self.of_x = self.of_x + self.bias[: self.rows.shape[1]]
        self.hidden = np.broadcast_to(self.hidden, (len(self.x), len(weight)))
        steps = range(self.x.shape[1])
        self.order = steps[::-1] if self.layer.op.reverse else steps

    def of_h(self) -> Data:
        """The sums over h, [n, gate, unit]."""
        return np.asarray(np.tensordot(self.hidden, self.rows[self.x.shape[2] :], 1))

    def results(self) -> tuple[Data, Data]:
        """(h after each step, [n, steps, units], in the order of x; what is remembered beside it,
        in the order of time)."""
        outputs = self.outputs[::-1] if self.layer.op.reverse else self.outputs
        return np.stack(outputs, axis=1), np.stack(self.history, axis=1)


def _sigmoid(x: Data) -> Data:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


@computes(Lstm)
def lstm_steps(
    layer: FloatLayer[Lstm], x: FloatArray, h: FloatArray, c: FloatArray
) -> tuple[Data, Data]:
    """(h after each step [n, steps, units], c likewise, in the order of time)."""
    sequence = _Sequence(layer, x, h)
    cell: Data = np.broadcast_to(c, sequence.hidden.shape)
    for step in sequence.order:
        arguments = sequence.of_x[:, step] + sequence.of_h()
        i, f, o = (_sigmoid(arguments[:, k]) for k in (0, 1, 3))
        cell = f * cell + i * np.tanh(arguments[:, 2])
        if layer.op.cell_clip > 0:
            cell = np.clip(cell, -layer.op.cell_clip, layer.op.cell_clip)
        sequence.hidden = o * np.tanh(cell)
        sequence.outputs.append(sequence.hidden)
        sequence.history.append(cell)
    return sequence.results()


@computes(Gru)
def gru_steps(layer: FloatLayer[Gru], x: FloatArray, h: FloatArray) -> tuple[Data, Data]:
    """(h after each step [n, steps, units], the same in the order of time)."""
    sequence = _Sequence(layer, x, h)
    for step in sequence.order:
        of_x, of_h = sequence.of_x[:, step], sequence.of_h()
        r, z = (_sigmoid(of_x[:, k] + of_h[:, k]) for k in (0, 1))
        n = np.tanh(of_x[:, 2] + r * (of_h[:, 2] + sequence.bias[3]))
        sequence.hidden = n + z * (sequence.hidden - n)
        sequence.outputs.append(sequence.hidden)
    sequence.history = sequence.outputs
    return sequence.results()


@computes(Rnn)
def rnn_steps(layer: FloatLayer[Rnn], x: FloatArray, h: FloatArray) -> Data:
    """h after each step [n, steps, units]."""
    sequence = _Sequence(layer, x, h)
    function = np.tanh if layer.op.function == "tanh" else (lambda a: np.maximum(a, 0))
    for step in sequence.order:
        sequence.hidden = function(sequence.of_x[:, step, 0] + sequence.of_h()[:, 0])
        sequence.outputs.append(sequence.hidden)
    sequence.history = sequence.outputs
    return sequence.results()[0]


def svdf_step(
    layer: FloatLayer[Svdf], x: FloatArray, memory: FloatArray, time: FloatArray
) -> tuple[Data, Data]:
    """(outputs [n, units], the next memory [n, ...])."""
    past = np.broadcast_to(memory, (len(x), *memory.shape[1:]))
    past = past.reshape(len(x), *time.shape[1:])
    newest = (x @ layer.weight.T)[..., np.newaxis]
    following = np.concatenate([past[..., 1:], newest], axis=2)
    totals = (following * time).sum(axis=2).reshape(len(x), -1, layer.op.rank).sum(axis=2)
    return _with_bias(layer, totals), following.reshape(len(x), *memory.shape[1:])


@computes(Svdf)
def _svdf(layer: FloatLayer[Svdf], x: FloatArray, memory: FloatArray, time: FloatArray) -> Data:
    return svdf_step(layer, x, memory, time)[0]


# --- Elements go elsewhere ------------------------------------------------------------------------


@computes(Reshape)
def _reshape(layer: FloatLayer[Reshape], x: FloatArray) -> Data:
    return x.reshape(len(x), *layer.shape)


@computes(Transpose)
def _transpose(layer: FloatLayer[Transpose], x: FloatArray) -> Data:
    return np.transpose(x, (0, *(1 + axis for axis in layer.op.permutation)))


@computes(Concat)
def _concat(layer: FloatLayer[Concat], *inputs: FloatArray) -> Data:
    n = max(len(x) for x in inputs)
    whole = [np.broadcast_to(x, (n, *x.shape[1:])) for x in inputs]
    return np.concatenate(whole, axis=1 + layer.op.axis)


@computes(Slice)
def _slice(layer: FloatLayer[Slice], x: FloatArray) -> Data:
    index = [slice(None)]
    for begin, stride, count in zip(layer.op.begin, layer.op.stride, layer.shape, strict=True):
        index.append(slice(begin, begin + (count - 1) * stride + 1, stride))
    part: Data = x[tuple(index)]
    return part


@computes(Gather)
def _gather(layer: FloatLayer[Gather], x: FloatArray) -> Data:
    return x.take(np.asarray(layer.op.indices), axis=1 + layer.op.axis)


@computes(Pad)
def _pad(layer: FloatLayer[Pad], x: FloatArray, *value: FloatArray) -> Data:
    widths = ((0, 0), *zip(layer.op.before, layer.op.after, strict=True))
    fill = float(value[0].item()) if value else 0.0
    return np.asarray(np.pad(x, widths, constant_values=fill))


@computes(Resize)
def _resize(layer: FloatLayer[Resize], x: FloatArray) -> Data:
    first = 0 if layer.channels_last else 1  # the height's axis, without the batch
    for axis in (first, first + 1):
        x = _resize_axis(layer.op, x, 1 + axis, layer.shape[axis])
    return x


def _resize_axis(op: Resize, x: Data, axis: int, output: int) -> Data:
    size = x.shape[axis]
    if op.method == "nearest":
        flags = (op.align_corners, op.half_pixel_centers)
        return x.take(numerics.nearest_positions(size, output, *flags), axis=axis)
    scale = (size - 1) / (output - 1) if op.align_corners and output > 1 else size / output
    offset = 0.5 if op.half_pixel_centers else 0.0
    position = np.clip((np.arange(output) + offset) * scale - offset, 0, size - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, size - 1)
    weight = (position - lower).astype(np.float32)
    weight = weight.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return np.asarray(x.take(lower, axis=axis) * (1 - weight) + x.take(upper, axis=axis) * weight)


computes.complete()
