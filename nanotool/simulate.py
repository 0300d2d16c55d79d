"""Run a QGraph in NumPy: the oracle for everything that runs elsewhere.

One short function per operator, the executable twin of docs/numerics.md. They work on batches:
the first axis of every array is the sample, the others are the tensor's H, W, C. Results are
exact to the byte; accumulators wrap at 32 bits as a register does (graphs in which one could
are refused by `nanotool.validate`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    INT8_MIN,
    AveragePool2D,
    Conv2D,
    Dense,
    FloatArray,
    Int8Array,
    Int32Array,
    MaxPool2D,
    QGraph,
    QOp,
    Reshape,
    Softmax,
    Transpose,
    Unary,
    Window,
)

Kernel: TypeAlias = Callable[..., Int8Array]  # (graph, op, *inputs) -> output
Multipliers: TypeAlias = Callable[[float, FloatArray, float], tuple[Int32Array, Int8Array]]
KERNELS: dict[type, Kernel] = {}

_CHUNK_BYTES = 32 * 2**20  # about what one operator's widened inputs may take


def kernel(op: type) -> Callable[[Kernel], Kernel]:
    """Register the function below as the meaning of the operator ``op``."""

    def register(function: Kernel) -> Kernel:
        KERNELS[op] = function
        return function

    return register


# --- Helpers --------------------------------------------------------------------------------------


def _exact_float(terms: int) -> type[np.floating[Any]]:
    """The float type in which a sum of ``terms`` products (int9 x int8) is exact in any order, so
    that BLAS can compute it."""
    return np.float32 if terms * 255 * 128 < 2**24 else np.float64


def _windows(x: NDArray[Any], window: Window, fill: float) -> NDArray[Any]:
    """A view [n, out_h, out_w, c, kernel_h, kernel_w] of n, H, W, C; outside stands ``fill``."""
    top, left, bottom, right = window.padding
    padded = np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=cast(Any, fill)
    )
    spans = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    views = sliding_window_view(padded, spans, axis=(1, 2))
    strided: NDArray[Any] = views[
        :, :: window.stride[0], :: window.stride[1], :, :: window.dilation[0], :: window.dilation[1]
    ]
    return strided


def _requantize(graph: QGraph, op: QOp, sums: NDArray[Any], multipliers: Multipliers) -> Int8Array:
    """Add the bias to a convolution's or dense layer's sums and bring them to the output."""
    assert op.weight_scale is not None
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    multiplier, shift = multipliers(source.scale, op.weight_scale, target.scale)
    acc = numerics.wrap_int32(sums if op.bias is None else sums + op.bias)
    return numerics.requantize(acc, multiplier, shift, target.zero_point, *op.clamp)


# --- Operators ------------------------------------------------------------------------------------


@kernel(Dense)
def dense(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[.., o] = requantize(bias[o] + sum_i (in[.., i] - zero point) * w[o, i])."""
    assert op.weight is not None
    real = _exact_float(op.weight.shape[1])
    centered = x.astype(real) - real(graph.tensors[op.inputs[0]].zero_point)
    sums = (centered @ op.weight.astype(real).T).astype(np.int64)
    return _requantize(graph, op, sums, numerics.dense_multipliers)


@kernel(Conv2D)
def conv2d(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, o] = requantize(bias[o] + sum_{i,j,c} (in[y*sh + i*dh - pt, x*sw + j*dw - pl, c]
    - zero point) * w[o, i, j, c]), c over the channels of o's group; nothing outside the input.
    """
    assert isinstance(op.op, Conv2D)
    assert op.weight is not None
    groups = op.op.groups
    outputs, kernel_h, kernel_w, depth = op.weight.shape
    terms = kernel_h * kernel_w * depth
    real = _exact_float(terms)
    centered = x.astype(real) - real(graph.tensors[op.inputs[0]].zero_point)
    patches = _windows(centered, op.op.window, fill=0)  # n, y, x, c, i, j
    n, out_h, out_w = patches.shape[:3]
    sums = np.empty((n, out_h, out_w, outputs), np.int64)
    per_group = outputs // groups
    weight = op.weight.transpose(0, 3, 1, 2).reshape(outputs, terms).astype(real)  # o, (c, i, j)
    for group in range(groups):
        rows = patches[:, :, :, group * depth : (group + 1) * depth].reshape(-1, terms)
        chosen = slice(group * per_group, (group + 1) * per_group)
        sums[..., chosen] = (rows @ weight[chosen].T).reshape(n, out_h, out_w, per_group)
    return _requantize(graph, op, sums, numerics.conv_multipliers)


@kernel(MaxPool2D)
def max_pool(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, c] = clamp(max over the window); padding never wins."""
    assert isinstance(op.op, MaxPool2D)
    most = _windows(x, op.op.window, fill=INT8_MIN).max(axis=(4, 5))
    clipped: Int8Array = np.clip(most, *op.clamp).astype(np.int8)
    return clipped


@kernel(AveragePool2D)
def average_pool(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[y, x, c] = clamp(sum / count), halves away from zero; padding is not counted."""
    assert isinstance(op.op, AveragePool2D)
    total = _windows(x, op.op.window, fill=0).sum(axis=(4, 5), dtype=np.int64)
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    count = _windows(inside, op.op.window, fill=0).sum(axis=(4, 5))
    if not count.all():
        raise InvalidModel(
            f"{op.name}: an average pool window lies wholly in the padding.",
            "Pad by less than the kernel.",
        )
    nudged = total + np.where(total > 0, count // 2, -(count // 2))
    return np.clip(numerics.divide_toward_zero(nudged, count), *op.clamp).astype(np.int8)


@kernel(Unary)
def table(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """out[i] = table[in[i] + 128]."""
    assert isinstance(op.op, Unary)
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    entries = unary.table(op.op.function, source, target, op.clamp)
    return np.take(entries, x.astype(np.int64) + 128)


@kernel(Softmax)
def softmax(graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """exp(beta x) / sum exp(beta x) over the last axis, in fixed point."""
    assert isinstance(op.op, Softmax)
    source = graph.tensors[op.inputs[0]]
    return numerics.softmax(x, *numerics.softmax_parameters(op.op.beta, source.scale))


@kernel(Reshape)
def reshape(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """The same bytes in the same order."""
    assert isinstance(op.op, Reshape)
    return x.reshape(len(x), *op.op.shape)


@kernel(Transpose)
def transpose(_graph: QGraph, op: QOp, x: Int8Array) -> Int8Array:
    """Axis i of the output is axis permutation[i] of the input."""
    assert isinstance(op.op, Transpose)
    return np.ascontiguousarray(x.transpose(0, *(1 + axis for axis in op.op.permutation)))


# --- The whole graph ------------------------------------------------------------------------------


def run_op(graph: QGraph, op: QOp, *inputs: Int8Array) -> Int8Array:
    """The output [n, *shape] of one ``op`` of ``graph`` on its ``inputs`` [n, *shape] each."""
    try:
        function = KERNELS[type(op.op)]
    except KeyError:
        raise InvalidModel(f"{op.name}: {type(op.op).__name__} has no int8 form.") from None
    y = function(graph, op, *inputs)
    expected = graph.tensors[op.name].shape
    if y.shape[1:] != expected:
        raise InvalidModel(f"{op.name} computes shape {y.shape[1:]}, its tensor has {expected}.")
    return y


def _check_input(graph: QGraph, x: Int8Array) -> None:
    expected = graph.input_tensor.shape
    if x.dtype != np.int8 or x.shape[1:] != expected or x.ndim == 0:
        raise InvalidModel(
            f"The input has type {x.dtype} and shape {x.shape}; needed is int8 of shape (n, "
            f"{', '.join(map(str, expected))}).",
            "nanotool.inputs.to_device turns user data into it.",
        )


def _work_bytes(graph: QGraph) -> int:
    """Roughly the most bytes that one operator's widened arrays take for one sample."""
    most = 1
    for op in graph.ops:
        taps = math.prod(op.op.window.kernel) if hasattr(op.op, "window") else 1
        source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
        positions = math.prod(target.shape[:2]) if hasattr(op.op, "window") else 1
        depth = source.shape[-1] if source.shape else 1
        most = max(most, 8 * target.size, 8 * source.size, 4 * taps * positions * depth)
    return most


def _run(graph: QGraph, x: Int8Array) -> dict[str, Int8Array]:
    tensors = {graph.input: x}
    for op in graph.ops:
        tensors[op.name] = run_op(graph, op, *(tensors[name] for name in op.inputs))
    return tensors


def simulate_all(graph: QGraph, x: Int8Array) -> dict[str, Int8Array]:
    """Every tensor of ``graph`` by name, each [n, *shape], for the inputs ``x`` [n, *shape]."""
    _check_input(graph, x)
    return _run(graph, x)


def simulate(graph: QGraph, x: Int8Array) -> Int8Array:
    """The outputs int8 [n, *output shape] of ``graph`` for the inputs ``x`` int8 [n, *shape].

    Raises InvalidModel for an input of another type or shape. Works in chunks of samples, so
    that any n fits into memory.
    """
    _check_input(graph, x)
    step = max(1, _CHUNK_BYTES // _work_bytes(graph))
    y = np.empty((len(x), *graph.output_tensor.shape), np.int8)
    for start in range(0, len(x), step):
        y[start : start + step] = _run(graph, x[start : start + step])[graph.output]
    return y
