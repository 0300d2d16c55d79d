"""Is a QGraph one that can run? Everything that a later stage takes for granted is checked here.

Names, order, shapes, types, weights, quantization, and that no accumulator can leave int32.
Limits of one target's kernels (16-bit sizes and the like) are the lowering's business.
"""

from __future__ import annotations

import math
import re
from typing import NoReturn

import numpy as np

from nanotool import unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2D,
    Conv2D,
    Dense,
    MaxPool2D,
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
from nanotool.numerics import (
    SOFTMAX_MAX_DEPTH,
    SOFTMAX_SCALE,
    SOFTMAX_ZERO_POINT,
    conv_multipliers,
    dense_multipliers,
)

ACCUMULATOR_LIMIT = 2**31  # |Σ w (q - zero point) + bias| stays below
MAX_AXES = 4
MAX_ELEMENTS = 2**28  # of one tensor
MAX_NAME = 256  # characters


def validate(graph: QGraph) -> None:
    """Raise InvalidModel, with the name of the tensor or layer, unless ``graph`` is sound."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", graph.name):
        raise InvalidModel(
            f"The model's name {graph.name[:80]!r} is no C identifier.",
            "Letters, digits and underscores, at most 64, no digit first.",
        )
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    for name in (graph.input, graph.output):
        if name not in graph.tensors:
            raise InvalidModel(f"The graph's input or output {name[:80]!r} is no tensor of it.")
    _check_order(graph)
    for op in graph.ops:
        _check_op(graph, op)
    _check_border(graph)


def _check_tensor(key: str, tensor: QTensor) -> None:
    name = tensor.name
    if key != name or not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidModel(f"The tensor {key[:80]!r} is named {name[:80]!r}.")
    if len(tensor.shape) > MAX_AXES or not all(size >= 1 for size in tensor.shape):
        raise InvalidModel(
            f"Tensor {name}: shape {tensor.shape[:8]} is not of 0 to {MAX_AXES} sizes above 0."
        )
    if tensor.size > MAX_ELEMENTS:
        raise InvalidModel(f"Tensor {name}: {tensor.shape} is too large.")


def _check_order(graph: QGraph) -> None:
    """Each tensor is written once, before it is read; every tensor is written."""
    written = {graph.input}
    for op in graph.ops:
        if len(op.inputs) != 1:
            raise InvalidModel(f"{op.name}: it reads {len(op.inputs)} tensors, not 1.")
        for tensor in op.inputs:
            if tensor not in written:
                raise InvalidModel(f"{op.name}: it reads {tensor[:80]!r} before it is written.")
        if op.name in written or op.name not in graph.tensors:
            raise InvalidModel(f"{op.name[:80]!r} is written twice, or is no tensor of the graph.")
        written.add(op.name)
    unwritten = sorted(set(graph.tensors) - written)
    if unwritten:
        raise InvalidModel(f"Tensor {unwritten[0]} is written by nobody.")


def _check_border(graph: QGraph) -> None:
    """What belongs to the graph as a whole: permutation, labels, samples."""
    shape = graph.input_tensor.shape
    order = graph.input_permutation
    if order and sorted(order) != list(range(len(shape))):
        raise InvalidModel(f"The input permutation {order[:8]} does not fit the shape {shape}.")
    if graph.labels and len(graph.labels) != graph.output_tensor.size:
        raise InvalidModel(
            f"There are {len(graph.labels)} labels for {graph.output_tensor.size} outputs."
        )
    samples = graph.samples
    if samples is not None and (
        samples.size == 0
        or samples.dtype != np.int8
        or samples.ndim == 0
        or samples.shape[1:] != shape
    ):
        raise InvalidModel(
            f"The samples are {samples.dtype} {samples.shape}, not int8 n x {shape}."
        )
    for entry in graph.quality:
        known = entry.tensor in graph.tensors
        if not known or math.isnan(entry.sqnr_db) or not 0 <= entry.saturation <= 1:
            raise InvalidModel(f"The quality of {entry.tensor[:80]!r} is out of range.")


# --- Operators ------------------------------------------------------------------------------------


def _refuse(op: QOp, what: str, hint: str = "") -> NoReturn:
    raise InvalidModel(f"{op.name}: {what}.", hint)


def _check_op(graph: QGraph, op: QOp) -> None:
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    expected = _output_shape(op, source, target)
    if target.shape != expected:
        _refuse(op, f"it yields shape {expected}, its tensor has {target.shape}")
    low, high = op.clamp
    if not INT8_MIN <= low <= high <= INT8_MAX:
        _refuse(op, f"its clamp {op.clamp} is not within int8")
    weighted = isinstance(op.op, (Conv2D, Dense))
    if weighted:
        _check_weights(op, source, target)
    elif not (op.weight is None and op.weight_scale is None and op.bias is None):
        _refuse(op, f"{type(op.op).__name__} takes no weights")
    _check_numbers(op, source, target)


def _output_shape(op: QOp, source: QTensor, target: QTensor) -> Shape:
    """What ``op`` makes of ``source``; its attributes are checked on the way."""
    match op.op:
        case Conv2D(window, groups):
            height, width, channels = _windowed(op, window, source)
            outputs = target.shape[-1] if target.shape else 0
            if groups < 1 or channels % groups or outputs % groups:
                _refuse(op, f"{groups} groups do not divide {channels} and {outputs} channels")
            return height, width, outputs
        case MaxPool2D(window) | AveragePool2D(window):
            _check_windows_meet_input(op, window, source)
            return _windowed(op, window, source)
        case Dense():
            if not source.shape or not target.shape:
                _refuse(op, "a dense layer needs at least one axis")
            return (*source.shape[:-1], target.shape[-1])
        case Reshape(shape):
            if math.prod(shape) != source.size:
                _refuse(op, f"{source.shape} cannot become {shape[:8]}")
            return shape
        case Transpose(permutation):
            if sorted(permutation) != list(range(len(source.shape))):
                _refuse(op, f"{permutation[:8]} is no order of the axes of {source.shape}")
            return tuple(source.shape[axis] for axis in permutation)
        case Unary() | Softmax():
            return source.shape
        case _:
            _refuse(op, f"{type(op.op).__name__} has no int8 form")


def _windowed(op: QOp, window: Window, source: QTensor) -> tuple[int, int, int]:
    """Height, width and input channels of a window over ``source``."""
    if len(source.shape) != 3:
        _refuse(op, f"its input {source.shape} is not H, W, C")
    sizes = (len(window.kernel), len(window.stride), len(window.padding), len(window.dilation))
    if sizes != (2, 2, 4, 2):
        _refuse(op, "its window is not two-dimensional")
    steps = (*window.kernel, *window.stride, *window.dilation)
    if min(steps) < 1 or min(window.padding) < 0 or max(*steps, *window.padding) > 65535:
        _refuse(op, f"its window {window} is out of range")
    height, width = window.output_size(source.shape[0], source.shape[1])
    if height < 1 or width < 1:
        _refuse(op, f"its window is larger than its input {source.shape}")
    return height, width, source.shape[2]


def _check_windows_meet_input(op: QOp, window: Window, source: QTensor) -> None:
    """Every position of a pool's window holds at least one element of the input."""
    outputs = _windowed(op, window, source)
    for axis in range(2):
        size, gap = source.shape[axis], window.dilation[axis]
        start = np.arange(outputs[axis], dtype=np.int64) * window.stride[axis]
        start -= window.padding[axis]
        first = start + np.maximum(-(start // gap), 0) * gap  # the first tap at 0 or behind
        last = start + gap * (window.kernel[axis] - 1)
        if not ((first < size) & (first <= last)).all():
            _refuse(op, "a window lies in the padding alone", "Pad by less than the window's size.")


def _check_weights(op: QOp, source: QTensor, target: QTensor) -> None:
    outputs = target.shape[-1]
    if isinstance(op.op, Conv2D):
        expected: Shape = (outputs, *op.op.window.kernel, source.shape[2] // op.op.groups)
    else:
        expected = (outputs, source.shape[-1])
    weight, scale, bias = op.weight, op.weight_scale, op.bias
    if weight is None or weight.dtype != np.int8 or weight.shape != expected:
        _refuse(op, f"its weights are not int8 {expected}")
    if scale is None or scale.dtype != np.float32 or scale.shape not in ((1,), (outputs,)):
        _refuse(op, f"its weight scales are not float32 (1,) or ({outputs},)")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        _refuse(op, "a weight scale is not positive and finite")
    if bias is not None and (bias.dtype != np.int32 or bias.shape != (outputs,)):
        _refuse(op, f"its bias is not int32 ({outputs},)")
    multipliers = dense_multipliers if isinstance(op.op, Dense) else conv_multipliers
    with np.errstate(over="ignore", under="ignore"):
        multipliers(source.scale, scale, target.scale)
    _check_accumulator(op, source.zero_point)


def _check_accumulator(op: QOp, zero_point: int) -> None:
    """No partial sum of bias + Σ w (q - zero_point), zero point folded into the bias or not, in
    whatever order, leaves int32."""
    assert op.weight is not None
    rows = op.weight.reshape(len(op.weight), -1).astype(np.int64)
    bias = np.zeros(len(rows), np.int64) if op.bias is None else op.bias.astype(np.int64)
    size = np.abs(rows).sum(axis=1)
    farthest = max(INT8_MAX - zero_point, zero_point - INT8_MIN)
    plain = np.abs(bias) + farthest * size
    folded = np.abs(bias - zero_point * rows.sum(axis=1)) + -INT8_MIN * size
    worst = np.maximum(plain, folded)
    channel = int(worst.argmax()) if worst.size else 0
    if worst.size and worst[channel] >= ACCUMULATOR_LIMIT:
        _refuse(
            op,
            f"the sum for output channel {channel} can reach {int(worst[channel]):,}, beyond int32",
            "Its bias is far too large for its scales, or it sums too many products: calibrate it "
            "on real data, or split the layer.",
        )


def _check_numbers(op: QOp, source: QTensor, target: QTensor) -> None:
    """The scales that an operator prescribes, or cannot do."""
    match op.op:
        case MaxPool2D() | AveragePool2D() | Reshape() | Transpose():
            if (source.scale, source.zero_point) != (target.scale, target.zero_point):
                _refuse(op, f"{type(op.op).__name__} has to keep scale and zero point")
            if isinstance(op.op, (Reshape, Transpose)) and op.clamp != (INT8_MIN, INT8_MAX):
                _refuse(op, f"{type(op.op).__name__} takes no clamp")
        case Softmax(beta):
            if (target.scale, target.zero_point) != (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT):
                _refuse(op, "a softmax's output has scale 1/256 and zero point -128")
            if op.clamp != (INT8_MIN, INT8_MAX):
                _refuse(op, "a softmax takes no clamp")
            if not source.shape or source.shape[-1] > SOFTMAX_MAX_DEPTH:
                _refuse(op, f"a softmax takes 1 to {SOFTMAX_MAX_DEPTH:,} elements")
            if not (math.isfinite(beta) and beta > 0 and beta * source.scale * 2.0**26 > 1):
                _refuse(op, f"a softmax with beta {beta} on scale {source.scale} has no int form")
        case Unary(function):
            unary.table(function, source, target, op.clamp)
        case _:
            pass
