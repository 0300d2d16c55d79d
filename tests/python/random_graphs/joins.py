"""Layers that read several tensors, branches that come together, and borders of other types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    ZERO_POINTS,
    ArgMax,
    Binary,
    Concat,
    MatMul,
    PRelu,
    QTensor,
    Quantize,
    Reshape,
    Shape,
)
from random_graphs.builder import Builder

REAL: dict[str, Callable[..., NDArray[np.float64]]] = {
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


def _broadcast(one: Shape, two: Shape) -> Shape | None:
    try:
        return tuple(int(size) for size in np.broadcast_shapes(one, two))
    except ValueError:
        return None


def _aligned(b: Builder, name: str, axes: int) -> NDArray[np.float64]:
    real = b.real(name)
    return real.reshape(len(real), *(1,) * (axes - real.ndim + 1), *real.shape[1:])


def binary_of(b: Builder, one: str, two: str) -> bool:
    """Any binary function of two tensors that broadcast."""
    function = str(b.rng.choice(sorted(REAL)))
    wide = b.tensors[one].dtype == "int16"
    if b.tensors[one].dtype != b.tensors[two].dtype:
        return False
    if (function == "div" and (b.tflite or wide)) or (wide and function in numerics.COMPARISONS):
        return False  # a divisor of 0 has no result in TensorFlow Lite Micro
    shape = _broadcast(b.tensors[one].shape, b.tensors[two].shape)
    if shape is None:
        return False
    if function in ("maximum", "minimum"):
        other = b.requantized(two, b.tensors[one])
        if other is None or not b.room:
            return False
        two, like = other, b.tensors[one]
        target = replace(like, name=b.next_name(), shape=shape)
    elif function in numerics.COMPARISONS:
        if b.tflite and max(b.tensors[one].scale, b.tensors[two].scale) >= 1:
            return False  # TensorFlow Lite Micro ends there
        target = QTensor(b.next_name(), shape, 1.0, 0)
    else:
        operands = (_aligned(b, name, len(shape)) for name in (one, two))
        with np.errstate(all="ignore"):
            target = b.fitting(REAL[function](*operands), shape, b.tensors[one].dtype)
    inputs = (one, two) if b.chance(0.7) or function in ("maximum", "minimum") else (two, one)
    return b.plain(Binary(function), target, b.clamp(target), inputs)


def _operand(b: Builder) -> str:
    """Something to put beside the end: a constant of a shape that broadcasts, the end itself, or
    an earlier tensor that fits."""
    shape = b.tensor.shape
    earlier = [
        name
        for name, tensor in b.tensors.items()
        if tensor.dtype == b.tensor.dtype and _broadcast(tensor.shape, shape) is not None
    ]
    if b.chance(0.4):
        return str(b.rng.choice(sorted(earlier)))
    style = b.rng.choice(["same", "channel", "scalar", "any"])
    wanted: Shape = {"same": shape, "channel": shape[-1:], "scalar": ()}.get(str(style), shape)
    if style == "any":
        wanted = tuple(1 if b.chance(0.5) else size for size in shape)
        wanted = wanted[b.between(0, len(wanted)) :]
    near = b.tensor.scale * float(2.0 ** b.rng.uniform(-3, 3))
    scale = b.scale() if b.chance(0.2) else near
    alike = b.chance(0.3)
    quantization = (b.tensor.scale, b.tensor.zero_point) if alike else (scale, b.zero_point())
    return b.constant(wanted, *quantization, b.tensor.dtype)


def _undone_unless(b: Builder, make: Callable[[Builder], bool]) -> bool:
    """``make``; if it fails, nothing of it is left."""
    state = b.state()
    if make(b):
        return True
    b.restore(state)
    return False


def _binary(b: Builder) -> bool:
    return _undone_unless(b, lambda b: binary_of(b, b.end, _operand(b)))


def _prelu(b: Builder) -> bool:
    shape = b.tensor.shape
    if not shape:
        return False
    slopes = shape[-1:] if b.chance(0.6) else tuple(1 if b.chance(0.6) else n for n in shape)
    scale = float(10.0 ** b.rng.uniform(-4, -1))

    def make(b: Builder) -> bool:
        alpha = b.constant(slopes, scale, 0 if b.chance(0.6) else b.zero_point())
        x, slope = b.real(b.end), _aligned(b, alpha, len(shape))
        with np.errstate(all="ignore"):
            target = b.fitting(np.where(x > 0, x, x * slope), shape)
        return b.plain(
            PRelu(), target, b.clamp(target) if b.chance(0.3) else b.full, (b.end, alpha)
        )

    return _undone_unless(b, make)


def _matmul(b: Builder) -> bool:
    """The end times something, or something times the end: a constant, or a tensor that fits, which
    may be the end itself."""
    shape = b.tensor.shape
    if len(shape) < 2 or b.tensor.dtype != "int8":
        return False
    op, first = MatMul(b.chance(0.4), b.chance(0.4)), b.chance(0.5)
    turned, other = (op.adj_x, op.adj_y) if first else (op.adj_y, op.adj_x)
    ours = -2 if turned == first else -1  # the axis of the end that is summed over
    theirs = -1 if other == first else -2

    def fits(name: str) -> bool:
        one = b.tensors[name]
        return (
            (one.dtype, len(one.shape)) == ("int8", len(shape))
            and one.shape[theirs] == shape[ours]
            and _broadcast(one.shape[:-2], shape[:-2]) is not None
        )

    def make(b: Builder) -> bool:
        earlier = sorted(filter(fits, b.tensors))
        if earlier and b.chance(0.6):
            name = str(b.rng.choice(earlier))
        else:
            sizes = [*(1 if b.chance(0.3) else n for n in shape[:-2]), *[b.between(1, 8)] * 2]
            sizes[theirs] = shape[ours]
            name = b.constant(tuple(sizes), b.scale(), b.zero_point())
        inputs = (b.end, name) if first else (name, b.end)
        x, y = (b.real(one) for one in inputs)
        with np.errstate(all="ignore"):
            real = (x.swapaxes(-1, -2) if op.adj_x else x) @ (y.swapaxes(-1, -2) if op.adj_y else y)
        target = b.fitting(real, real.shape[1:])
        return b.plain(op, target, b.clamp(target), inputs)

    return _undone_unless(b, make)


def _concat_of(b: Builder, names: list[str], axis: int) -> bool:
    """The tensors one behind the other, brought to the quantization of the first."""
    like = b.tensors[names[0]]
    alike = []
    for name in names:
        same = b.requantized(name, like)
        if same is None:
            return False
        alike.append(same)
    if not b.room:
        return False
    shapes = [b.tensors[name].shape for name in alike]
    total = sum(shape[axis] for shape in shapes)
    shape = (*shapes[0][:axis], total, *shapes[0][axis + 1 :])
    target = replace(like, name=b.next_name(), shape=shape)
    return b.plain(Concat(axis), target, inputs=tuple(alike))


def _joinable(one: Shape, two: Shape, axis: int) -> bool:
    return len(one) == len(two) and all(
        a == c for i, (a, c) in enumerate(zip(one, two, strict=True)) if i != axis
    )


def _concat(b: Builder) -> bool:
    """The end with constants, itself, and earlier tensors."""
    shape = b.tensor.shape
    if not shape:
        return False
    axis = b.between(0, len(shape) - 1)

    def make(b: Builder) -> bool:
        names = [b.end]
        earlier = [
            name
            for name, t in b.tensors.items()
            if t.dtype == b.tensor.dtype and _joinable(t.shape, shape, axis)
        ]
        for _ in range(b.between(11, 14) if b.chance(0.05) else b.between(0, 3)):
            if b.chance(0.5):
                names.append(str(b.rng.choice(sorted(earlier))))
            else:
                more = (*shape[:axis], b.between(1, 3), *shape[axis + 1 :])
                alike = (b.tensor.scale, b.tensor.zero_point, b.tensor.dtype)
                names.append(b.constant(more, *alike))
        order = [names[i] for i in b.rng.permutation(len(names))]
        return _concat_of(b, order, axis)

    return _undone_unless(b, make)


def _flat(b: Builder, name: str) -> str | None:
    tensor = b.tensors[name]
    if len(tensor.shape) == 1:
        return name
    target = replace(tensor, name=b.next_name(), shape=(tensor.size,))
    if not b.room or not b.plain(Reshape((tensor.size,)), target, inputs=(name,)):
        return None
    return b.end


def _fork(b: Builder) -> bool:
    """Two paths from the end, one of them maybe empty (a residual), and what joins them."""
    start = b.end

    def make(b: Builder) -> bool:
        b.grow(b.between(1, max(1, min(3, b.room - 2))))
        one = b.end
        b.end = start
        if b.chance(0.5):
            b.grow(b.between(1, max(1, min(3, b.room - 2))))
        two = b.end
        if one == two:
            return False
        shapes = b.tensors[one].shape, b.tensors[two].shape
        if b.chance(0.6) and binary_of(b, one, two):
            return True
        axes = [axis for axis in range(len(shapes[0])) if _joinable(*shapes, axis)]
        if axes:
            return _concat_of(b, [one, two], int(b.rng.choice(axes)))
        flat = [_flat(b, one), _flat(b, two)]
        return None not in flat and _concat_of(b, [str(name) for name in flat], 0)

    return b.room >= 3 and _undone_unless(b, make)


JOINS: dict[str, Callable[[Builder], bool]] = {
    "binary": _binary,
    "prelu": _prelu,
    "concat": _concat,
    "matmul": _matmul,
    "fork": _fork,
}


# --- Borders --------------------------------------------------------------------------------------


def quantized_input(b: Builder) -> bool:
    """An int8 tensor from an input of another type."""
    source = b.tensor
    alike = source.dtype == "uint8" and b.chance(0.5)
    target = b.fitting(b.real(b.end), source.shape)
    if alike:
        target = QTensor(target.name, source.shape, source.scale, source.zero_point - 128)
    if source.dtype == "float32" and target.scale < 1e-6:
        return False  # TFLite Micro's conversion to an integer is undefined for huge quotients
    return b.plain(Quantize(), target)


def other_output(b: Builder) -> bool:
    """An output in another type: real numbers, uint8, or the index of the largest."""
    source = b.tensor
    kind = str(b.rng.choice(["float32", "uint8", "int32"]))
    if kind == "int32":
        if not source.shape:
            return False
        axis = b.between(0, len(source.shape) - 1)
        shape = (*source.shape[:axis], *source.shape[axis + 1 :])
        return b.plain(ArgMax(axis), QTensor(b.next_name(), shape, 1, 0, "int32"))
    if kind == "float32":
        return b.plain(Quantize(), QTensor(b.next_name(), source.shape, 1, 0, "float32"))
    low, high = ZERO_POINTS["uint8"]
    scale = source.scale * (1 if b.chance(0.5) else float(2.0 ** b.rng.uniform(-2, 2)))
    zero_point = source.zero_point + 128 if b.chance(0.5) else b.between(low, high)
    return b.plain(Quantize(), QTensor(b.next_name(), source.shape, scale, zero_point, "uint8"))
