"""The float form of every operator, in NumPy, on batches: what PyTorch computes.

One short function an operator, (graph, node, *inputs) -> output, the node's clamp aside. Inputs
are [n, *shape]; constants have an n of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    BatchNorm,
    Binary,
    Clamp,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Graph,
    LogSoftmax,
    MaxPool2D,
    Mean,
    Node,
    Pad,
    PRelu,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Window,
)

Data: TypeAlias = NDArray[Any]
Function: TypeAlias = Callable[..., Data]  # (graph, node, *inputs) -> output

FUNCTIONS: dict[type, Function] = {}


def computes(*operators: type) -> Callable[[Function], Function]:
    """Register the function below as the float form of ``operators``."""

    def register(function: Function) -> Function:
        FUNCTIONS.update(dict.fromkeys(operators, function))
        return function

    return register


def compute(graph: Graph, node: Node, *inputs: FloatArray) -> Data:
    """The output of ``node`` [n, *shape], its clamp aside."""
    function = FUNCTIONS.get(type(node.op))
    if function is None:
        raise InvalidModel(f"{node.name}: there is no float form of {node.op}.")
    return function(graph, node, *inputs)


def aligned(*inputs: Data) -> list[Data]:
    """The inputs [n, *shape] with as many axes each: new ones of 1 stand behind n."""
    axes = max(x.ndim for x in inputs)
    return [x.reshape(len(x), *(1,) * (axes - x.ndim), *x.shape[1:]) for x in inputs]


def _channels_last(function: Function) -> Function:
    """``function`` of an image H, W, C, also for graphs that have it C, H, W."""

    def either(graph: Graph, node: Node, x: FloatArray) -> Data:
        if graph.channels_last:
            return function(graph, node, x)
        y: Data = function(graph, node, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return y

    return either


def _kernels(graph: Graph, node: Node) -> FloatArray:
    """Convolution weights as O, KH, KW, C/groups."""
    assert node.weight is not None
    return node.weight if graph.channels_last else node.weight.transpose(0, 2, 3, 1)


def _with_bias(node: Node, y: Data) -> Data:
    return y if node.bias is None else y + node.bias


# --- Sums of products -----------------------------------------------------------------------------


@computes(Dense)
def _dense(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert node.weight is not None
    return _with_bias(node, x @ node.weight.T)


@computes(Conv2D)
@_channels_last
def _conv2d(graph: Graph, node: Node, x: FloatArray) -> Data:
    """Tap by tap: a matrix product each, or with one channel a group, a product."""
    assert isinstance(node.op, Conv2D)
    weight, groups, window = _kernels(graph, node), node.op.groups, node.op.window
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
    return _with_bias(node, y.reshape(*y.shape[:3], outputs))


@computes(ConvTranspose2D)
@_channels_last
def _conv_transpose2d(graph: Graph, node: Node, x: FloatArray) -> Data:
    """Every input pixel adds its kernel into the output, of which the rim is cut off."""
    assert isinstance(node.op, ConvTranspose2D)
    weight, (step_h, step_w) = _kernels(graph, node), node.op.window.stride
    top, left, bottom, right = node.op.window.padding
    (n, height, width), (outputs, kernel_h, kernel_w, _) = x.shape[:3], weight.shape
    # Padding at the end may be negative: room behind the last kernel.
    rows = (height - 1) * step_h + kernel_h + max(-bottom, 0)
    columns = (width - 1) * step_w + kernel_w + max(-right, 0)
    full = np.zeros((n, rows, columns, outputs), np.float32)
    for i, j in np.ndindex(kernel_h, kernel_w):
        last_row, last_column = i + (height - 1) * step_h + 1, j + (width - 1) * step_w + 1
        full[:, i:last_row:step_h, j:last_column:step_w] += x @ weight[:, i, j].T
    inside = full[:, top : rows - max(bottom, 0), left : columns - max(right, 0)]
    return _with_bias(node, inside)


@computes(BatchNorm)
def _batch_norm(graph: Graph, node: Node, x: FloatArray) -> Data:
    assert node.weight is not None
    assert node.bias is not None
    image = not graph.channels_last and x.ndim == 4
    broadcast = (-1, 1, 1) if image else (-1,)
    return x * node.weight.reshape(broadcast) + node.bias.reshape(broadcast)


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
def _max_pool(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, MaxPool2D)
    return np.asarray(windows(x, node.op.window, -math.inf).max(axis=(4, 5)))


@computes(AveragePool2D)
@_channels_last
def _average_pool(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, AveragePool2D)
    inside = np.ones((1, *x.shape[1:3], 1), np.float32)
    count = windows(inside, node.op.window, 0.0).sum(axis=(4, 5))
    return np.asarray(windows(x, node.op.window, 0.0).sum(axis=(4, 5)) / count)


@computes(Mean)
def _mean(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Mean)
    axes = tuple(1 + axis for axis in node.op.axes)
    return np.asarray(x.mean(axis=axes, keepdims=node.op.keep_dims, dtype=np.float64))


# --- Element by element ---------------------------------------------------------------------------


@computes(Unary)
def _unary(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Unary)
    return unary.definition(node.op.function).real(x.astype(np.float64))


@computes(Clamp)
def _clamp(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Clamp)
    return np.clip(x, node.op.low, node.op.high)


_BINARY: dict[str, Callable[[Data, Data], Data]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@computes(Binary)
def _binary(_graph: Graph, node: Node, a: FloatArray, b: FloatArray) -> Data:
    assert isinstance(node.op, Binary)
    return _BINARY[node.op.function](*aligned(a, b))


@computes(PRelu)
def _prelu(_graph: Graph, _node: Node, x: FloatArray, slopes: FloatArray) -> Data:
    x, slopes = aligned(x, slopes)
    return np.where(x > 0, x, slopes * x)


@computes(Quantize)
def _quantize(_graph: Graph, _node: Node, x: FloatArray) -> Data:
    return x


# --- Along an axis --------------------------------------------------------------------------------


def _shifted(x: Data) -> Data:
    return np.asarray(x - x.max(axis=-1, keepdims=True))


@computes(Softmax)
def _softmax(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Softmax)
    powers = np.exp(_shifted(node.op.beta * x.astype(np.float64)))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@computes(LogSoftmax)
def _log_softmax(_graph: Graph, _node: Node, x: FloatArray) -> Data:
    shifted = _shifted(x.astype(np.float64))
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@computes(ArgMax)
def _argmax(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, ArgMax)
    return np.asarray(x.argmax(axis=1 + node.op.axis))


# --- Elements go elsewhere ------------------------------------------------------------------------


@computes(Reshape)
def _reshape(_graph: Graph, node: Node, x: FloatArray) -> Data:
    return x.reshape(len(x), *node.shape)


@computes(Transpose)
def _transpose(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Transpose)
    return np.transpose(x, (0, *(1 + axis for axis in node.op.permutation)))


@computes(Concat)
def _concat(_graph: Graph, node: Node, *inputs: FloatArray) -> Data:
    assert isinstance(node.op, Concat)
    n = max(len(x) for x in inputs)
    whole = [np.broadcast_to(x, (n, *x.shape[1:])) for x in inputs]
    return np.concatenate(whole, axis=1 + node.op.axis)


@computes(Slice)
def _slice(_graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Slice)
    index = [slice(None)]
    for begin, stride, count in zip(node.op.begin, node.op.stride, node.shape, strict=True):
        index.append(slice(begin, begin + (count - 1) * stride + 1, stride))
    part: Data = x[tuple(index)]
    return part


@computes(Pad)
def _pad(_graph: Graph, node: Node, x: FloatArray, *value: FloatArray) -> Data:
    assert isinstance(node.op, Pad)
    widths = ((0, 0), *zip(node.op.before, node.op.after, strict=True))
    fill = float(value[0].item()) if value else 0.0
    return np.asarray(np.pad(x, widths, constant_values=fill))


@computes(Resize)
def _resize(graph: Graph, node: Node, x: FloatArray) -> Data:
    assert isinstance(node.op, Resize)
    first = 0 if graph.channels_last else 1  # the height's axis, without the batch
    for axis in (first, first + 1):
        x = _resize_axis(node.op, x, 1 + axis, node.shape[axis])
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
