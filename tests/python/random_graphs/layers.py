"""One generator a kind of layer that reads one tensor: True if it added one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nanotool import numerics, unary
from nanotool.ir import (
    AveragePool2D,
    BiasArray,
    Conv2D,
    ConvTranspose2D,
    CumSum,
    Dense,
    Gather,
    GroupNorm,
    Int8Array,
    Int32Array,
    LayerNorm,
    LogSoftmax,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    QOp,
    QTensor,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Shape,
    Slice,
    Softmax,
    Table,
    Transpose,
    Unary,
    Window,
)
from random_graphs.builder import FULL, MAX_TENSOR, MAX_WEIGHTS, Builder


def _weights(b: Builder, shape: Shape) -> Int8Array:
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


def _weighted(b: Builder, op: Op, weight: Int8Array, shape: Shape) -> bool:
    """Add a layer with weights: draw its bias, and scales that keep the accumulators in range."""
    outputs, terms = weight.shape[0], weight[0].size
    source = b.tensor
    spread = math.sqrt(terms) * max(
        float(np.std(weight)) * float(np.std(b.x) + abs(np.mean(b.x) - source.zero_point)), 1.0
    )
    wide = source.dtype == "int16"
    bias: BiasArray | None = None
    if b.chance(0.8):
        width = min(spread * b.rng.choice([0.1, 1.0, 3.0]), 2.0 ** (40 if wide else 28))
        numbers = b.rng.integers(-int(width) - 1, int(width) + 2, outputs)
        bias = np.asarray(numbers, np.int64) if wide else np.asarray(numbers, np.int32)
    farthest = 2**15 if wide else 255
    most = np.abs(weight.astype(np.int64)).reshape(outputs, terms).sum(axis=1) * farthest
    if bias is not None:
        most = most + np.abs(bias.astype(np.int64))
    per_channel = b.chance(0.7)
    channels = outputs if per_channel else 1
    steps = b.rng.uniform(20, 80) * (256 if wide else 1)
    factor = (steps / spread) * 2.0 ** b.rng.uniform(-1.5, 1.5, channels)
    if b.chance(0.1):
        factor = 2.0 ** b.rng.uniform(-36, 6, channels)
    limit = 2.0**29 / np.maximum(most if per_channel else most.max(), 1)
    factor = np.minimum(factor, limit)
    scale = b.scale()
    zero_point = 0 if wide else b.zero_point()
    target = QTensor(b.next_name(), shape, scale, zero_point, source.dtype)
    with np.errstate(over="ignore", under="ignore"):
        weight_scale = np.asarray(factor * target.scale / source.scale, np.float32)
    if not (np.all(weight_scale > 1e-36) and np.all(weight_scale < 1e36)):
        return False
    layer = QOp(target.name, op, (b.end,), weight, weight_scale, bias, b.clamp(target))
    return b.append(layer, target)


def _dense(b: Builder) -> bool:
    if not b.tensor.shape:
        return False
    inputs = b.tensor.shape[-1]
    rows = b.tensor.size // inputs
    most = min(20, MAX_WEIGHTS // inputs, MAX_TENSOR // rows)
    if most < 1:
        return False
    outputs = b.between(1, most)
    weight = _weights(b, (outputs, inputs))
    return _weighted(b, Dense(), weight, (*b.tensor.shape[:-1], outputs))


def _window(b: Builder, dilate: bool) -> Window:
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


def _conv2d(b: Builder) -> bool:
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


def _depthwise_conv2d(b: Builder) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    height, width, depth = b.tensor.shape
    window = _window(b, dilate=True)
    rows, columns = window.output_size(height, width)
    outputs = depth * b.between(1, 3 if b.chance(0.3) else 1)
    shape = (outputs, *window.kernel, 1)
    if rows < 1 or columns < 1 or rows * columns * outputs > MAX_TENSOR:
        return False
    return _weighted(b, Conv2D(window, depth), _weights(b, shape), (rows, columns, outputs))


def _conv_transpose2d(b: Builder) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    height, width, depth = b.tensor.shape
    kernel, stride = (b.between(1, 4), b.between(1, 4)), (b.between(1, 3), b.between(1, 3))
    top, left = (b.between(0, size - 1) if b.chance(0.6) else 0 for size in kernel)
    bottom, right = (
        b.between(1 - step, size - 1) if b.chance(0.6) else 0
        for size, step in zip(kernel, stride, strict=True)
    )
    rows = (height - 1) * stride[0] + kernel[0] - top - bottom
    columns = (width - 1) * stride[1] + kernel[1] - left - right
    outputs = b.between(1, 6)
    shape = (outputs, *kernel, depth)
    if rows < 1 or columns < 1 or rows * columns * outputs > MAX_TENSOR:
        return False
    window = Window(kernel, stride, (top, left, bottom, right))
    return _weighted(b, ConvTranspose2D(window), _weights(b, shape), (rows, columns, outputs))


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


def _pool(b: Builder, make: Callable[[Window], Op]) -> bool:
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


def _max_pool(b: Builder) -> bool:
    return _pool(b, MaxPool2D)


def _average_pool(b: Builder) -> bool:
    return _pool(b, AveragePool2D)


def _reduced(b: Builder) -> tuple[tuple[int, ...], bool, Shape]:
    """Some axes, whether they are kept as 1, and what is left."""
    shape = b.tensor.shape
    count = b.between(1, len(shape))
    axes = tuple(sorted(int(axis) for axis in b.rng.permutation(len(shape))[:count]))
    keep = b.chance(0.5)
    kept = (1 if axis in axes else n for axis, n in enumerate(shape) if keep or axis not in axes)
    return axes, keep, tuple(kept)


def _mean(b: Builder) -> bool:
    if not b.tensor.shape:
        return False
    axes, keep, shape = _reduced(b)
    target = b.fitting(b.real(b.end).mean(axis=tuple(1 + axis for axis in axes)), shape)
    return b.plain(Mean(axes, keep), target, b.clamp(target))


def _reduce(b: Builder) -> bool:
    if not b.tensor.shape:
        return False
    axes, keep, shape = _reduced(b)
    function = str(b.rng.choice(["sum", "max", "min"]))
    target = b.same_quantization(shape)
    if function == "sum":
        target = b.fitting(b.real(b.end).sum(axis=tuple(1 + axis for axis in axes)), shape)
    return b.plain(Reduce(function, axes, keep), target, b.clamp(target))


def _norm(b: Builder, op: LayerNorm | GroupNorm) -> bool:
    """Normalized elements are hardly ever above 3."""
    if b.tflite:
        return False
    channels = b.tensor.shape[-1]
    weight = _weights(b, (channels,))
    scales = b.rng.uniform(0.5, 2, channels if b.chance(0.7) else 1) * 10.0 ** b.rng.uniform(-4, -1)
    bias: Int32Array | None = None
    if b.chance(0.8):
        width = round(127 / numerics.NORMALIZED_SCALE)
        bias = b.rng.integers(-width, width + 1, channels).astype(np.int32)
    scale = 3 * float(scales.mean()) * 2.0 ** b.rng.uniform(-1, 1)
    target = QTensor(b.next_name(), b.tensor.shape, scale, b.zero_point())
    fields = (weight, scales.astype(np.float32), bias, b.clamp(target))
    return b.append(QOp(target.name, op, (b.end,), *fields), target)


def _epsilon(b: Builder) -> float:
    return float(b.rng.choice([0, 1e-5, 1e-5, 1.0]))


def _layer_norm(b: Builder) -> bool:
    return bool(b.tensor.shape) and _norm(b, LayerNorm(_epsilon(b), b.chance(0.7)))


def _group_norm(b: Builder) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    channels = b.tensor.shape[2]
    groups = int(b.rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    return _norm(b, GroupNorm(groups, _epsilon(b)))


def _unary(b: Builder) -> bool:
    """Any function; output scales that TFLite Micro has an answer for if it will be asked."""
    wide = b.tensor.dtype == "int16"
    known = [*sorted(unary.FUNCTIONS), *sorted(unary.FAMILIES)]
    function = str(b.rng.choice([*unary.IN_INT16, "leaky_relu"] if wide else known))
    if function in unary.FAMILIES and (function not in unary.FUNCTIONS or b.chance(0.3)):
        function = unary.named(function, float(b.rng.choice([0.01, 0.1, 0.3, 1.5, -0.2])))
    entry = unary.definition(function)
    source = b.tensor
    if wide and function in unary.UNIT_IN_INT16:
        if b.tflite and source.scale < 2.0**-44:
            return False  # TFLite Micro shifts by 31 bits what should be 0
        target = QTensor(b.next_name(), source.shape, *numerics.UNIT_OUTPUT, "int16")
        return b.plain(Unary(function), target)
    if entry.fixed_output is not None:
        target = QTensor(b.next_name(), source.shape, *entry.fixed_output)
        clamp = FULL
    elif function == "identity" and b.chance(0.5):
        ratio = float(2.0 ** (b.rng.uniform(-21, 36) if b.chance(0.2) else b.rng.uniform(-3, 3)))
        zero_point = 0 if wide else b.zero_point()
        scale = min(source.scale * ratio, 1e30)
        target = QTensor(b.next_name(), source.shape, scale, zero_point, source.dtype)
        clamp = b.clamp(target)
    else:
        same = b.chance(0.2)
        with np.errstate(all="ignore"):
            target = b.fitting(entry.real(b.real(b.end)), source.shape)
        target = b.same_quantization(source.shape) if same else target
        clamp = b.clamp(target) if b.chance(0.3) else b.full
    if b.tflite and not _defined(function, source.scale, target.scale):
        return False
    return b.plain(Unary(function), target, clamp)


def _table(b: Builder) -> bool:
    """A function without a name: any values, or a curve with a step."""
    entries = b.rng.integers(-128, 128, 256)
    if b.chance(0.5):
        entries = np.roll(np.sort(entries), b.between(0, 255))
    target = QTensor(b.next_name(), b.tensor.shape, b.scale(), b.zero_point())
    op = Table("own", tuple(int(entry) for entry in entries))
    return b.plain(op, target, b.clamp(target) if b.chance(0.3) else FULL)


def _defined(function: str, source: float, target: float) -> bool:
    """Whether TFLite Micro computes ``function`` without undefined behaviour (docs/numerics.md)."""
    match function:
        case "sigmoid" | "tanh":
            return 2.0**-28 <= source < 2.0**35
        case "elu":
            return 255 * source / target < 2.0**30
        case "hard_swish":
            return source < 2.0**24
        case "rsqrt":
            return math.sqrt(source) * target < 2.0**11
        case _:
            return True


def _softmax(b: Builder) -> bool:
    beta = float(np.float32(1.0 if b.chance(0.7) else 2.0 ** b.rng.uniform(-3, 3)))
    if not b.tensor.shape or beta * b.tensor.scale <= 2.0**-25:
        return False
    if b.tensor.dtype == "int16":
        target = QTensor(b.next_name(), b.tensor.shape, *numerics.UNIT_OUTPUT, "int16")
        return b.plain(Softmax(beta), target)
    if b.tflite and b.tensor.shape[-1] >= 512:
        return False  # TFLite Micro may abort the whole process (see docs/numerics.md)
    return b.plain(Softmax(beta), QTensor(b.next_name(), b.tensor.shape, 1 / 256, -128))


def _log_softmax(b: Builder) -> bool:
    return b.plain(LogSoftmax(), QTensor(b.next_name(), b.tensor.shape, 1 / 16, 127))


def _cumsum(b: Builder) -> bool:
    shape = b.tensor.shape
    if not shape:
        return False
    start = -b.tensor.zero_point if b.tflite else b.between(-128, 128)
    op = CumSum(b.between(0, len(shape) - 1), b.chance(0.3), b.chance(0.3), start)
    if b.tflite and shape[op.axis] > (31 if b.tensor.zero_point == 0 else 15):
        return False  # TensorFlow Lite Micro's sums leave int32
    target = b.fitting(b.real(b.end).cumsum(1 + op.axis), shape)
    return b.plain(op, target, b.clamp(target))


def _factors(b: Builder, size: int) -> Shape:
    """A random shape of 1 to 4 axes with ``size`` elements."""
    shape = []
    for _ in range(int(b.rng.choice([0, 1, 2, 2, 2, 3]))):
        axis = int(b.rng.choice([d for d in range(1, size + 1) if size % d == 0]))
        shape.append(axis)
        size //= axis
    return (*shape, size)


def _reshape(b: Builder) -> bool:
    shape = (b.tensor.size,) if b.chance(0.3) else _factors(b, b.tensor.size)
    return b.plain(Reshape(shape), b.same_quantization(shape))


def _transpose(b: Builder) -> bool:
    source = b.tensor
    permutation = tuple(int(axis) for axis in b.rng.permutation(len(source.shape)))
    shape = tuple(source.shape[axis] for axis in permutation)
    return b.plain(Transpose(permutation), b.same_quantization(shape))


def _slice(b: Builder) -> bool:
    shape = b.tensor.shape
    begin = tuple(b.between(0, size - 1) if b.chance(0.5) else 0 for size in shape)
    stride = tuple(b.between(2, 3) if b.chance(0.25) else 1 for _ in shape)
    most = [
        (size - 1 - first) // step + 1
        for size, first, step in zip(shape, begin, stride, strict=True)
    ]
    count = tuple(b.between(1, n) if b.chance(0.4) else n for n in most)
    return b.plain(Slice(begin, stride), b.same_quantization(count))


def _gather(b: Builder) -> bool:
    shape = b.tensor.shape
    if not shape:
        return False
    axis = b.between(0, len(shape) - 1)
    indices = tuple(int(i) for i in b.rng.integers(0, shape[axis], b.between(1, shape[axis] + 2)))
    taken = (*shape[:axis], len(indices), *shape[axis + 1 :])
    return b.plain(Gather(axis, indices), b.same_quantization(taken))


def _pad(b: Builder) -> bool:
    shape = b.tensor.shape
    before, after = (
        tuple(b.between(0, 2) if b.chance(0.5) else 0 for _ in shape) for _ in range(2)
    )
    value = b.between(*b.full) if b.chance(0.3) else None
    padded = tuple(sum(sizes) for sizes in zip(before, shape, after, strict=True))
    return b.plain(Pad(before, after, value), b.same_quantization(padded))


def _resize(b: Builder) -> bool:
    if len(b.tensor.shape) != 3:
        return False
    height, width, depth = b.tensor.shape
    method = str(b.rng.choice(["nearest", "bilinear"]))
    corners = b.chance(0.3)
    centers = not corners and b.chance(0.5)
    sizes = [b.between(1, 2 * size + 3) for size in (height, width)]
    if b.chance(0.4):
        factor = b.between(1, 3)
        sizes = [height * factor, width * factor]
    if b.tflite and method == "bilinear":
        for size, output in zip((height, width), sizes, strict=True):
            step = numerics.bilinear_scale(size, output, corners)
            last = (output - 1) * step + (step // 2 - 512 if centers else 0)
            if last >> numerics.BILINEAR_BITS >= size:
                return False  # TFLite Micro reads behind its input
    target = b.same_quantization((sizes[0], sizes[1], depth))
    return b.plain(Resize(method, corners, centers), target)


def _requantize(b: Builder) -> bool:
    target = b.fitting(b.real(b.end), b.tensor.shape)
    return b.plain(Quantize(), target)


def seam(b: Builder) -> bool:
    """From int8 to int16, or back."""
    other = "int8" if b.tensor.dtype == "int16" else "int16"
    return b.plain(Quantize(), b.fitting(b.real(b.end), b.tensor.shape, other))


PLAIN: dict[str, Callable[[Builder], bool]] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "unary": _unary,
    "softmax": _softmax,
    "reshape": _reshape,
    "transpose": _transpose,
    "depthwise_conv2d": _depthwise_conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "mean": _mean,
    "log_softmax": _log_softmax,
    "cumsum": _cumsum,
    "slice": _slice,
    "pad": _pad,
    "resize": _resize,
    "quantize": _requantize,
    "reduce": _reduce,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "table": _table,
    "gather": _gather,
}
