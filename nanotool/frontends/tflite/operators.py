"""How each operator of a .tflite file becomes operators of a QGraph.

An importer takes a `Call` and adds to its graph. It computes the shapes by itself: what the file
says is compared with that, never trusted. Axes are those of the file, batch included, until
they are written; where an operator touches the batch axis, its tensors are seen with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nanotool import unary
from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call, without_batch
from nanotool.frontends.tflite.file import FULL_INTEGER
from nanotool.ir import (
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

# --- Windows --------------------------------------------------------------------------------------


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding (before, after) of TensorFlow's SAME along one axis: ceil(size / stride) outputs."""
    span = dilation * (kernel - 1) + 1
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    return total // 2, total - total // 2


def _window(
    call: Call,
    padding: str,
    size: tuple[int, int],
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Window:
    """The window over an image of ``size``, SAME or VALID made explicit."""
    if min(*kernel, *stride, *dilation) < 1:
        call.invalid(f"kernel {kernel}, stride {stride}, dilation {dilation}: one is below 1")
    window = Window(kernel, stride, (0, 0, 0, 0), dilation)
    if padding == "SAME":
        (top, bottom), (left, right) = (
            _same(*axis) for axis in zip(size, kernel, stride, dilation, strict=True)
        )
        window = Window(kernel, stride, (top, left, bottom, right), dilation)
    if min(window.output_size(*size)) < 1:
        call.invalid(f"its window {kernel} is larger than its input {size}")
    return window


# --- Sums of products -----------------------------------------------------------------------------


def _conv2d(call: Call) -> None:
    options = call.options(schema.Conv2DOptions)
    height, width, channels = call.image(0)
    weight, scale = call.weights(1, rank=4, channel_axis=0)
    outputs, rows, columns, depth = weight.shape
    if channels % depth or outputs % (channels // depth):
        call.invalid(f"its weights {weight.shape} do not fit {channels} input channels")
    window = _window(
        call,
        options.padding,
        (height, width),
        kernel=(rows, columns),
        stride=(options.stride_h, options.stride_w),
        dilation=(options.dilation_h, options.dilation_w),
    )
    call.emit(
        Conv2D(window, channels // depth),
        [call.source(0)],
        (*window.output_size(height, width), outputs),
        clamp=call.clamp(options.fused_activation),
        weight=weight,
        weight_scale=scale,
        bias=call.bias(2, outputs),
    )


def _depthwise_conv2d(call: Call) -> None:
    """Weights 1, KH, KW, C · multiplier in the file; here a convolution with C groups."""
    options = call.options(schema.DepthwiseConv2DOptions)
    height, width, channels = call.image(0)
    weight, scale = call.weights(1, rank=4, channel_axis=3)
    first, rows, columns, outputs = weight.shape
    if first != 1 or outputs % channels:
        call.invalid(f"its weights {weight.shape} do not fit {channels} input channels")
    window = _window(
        call,
        options.padding,
        (height, width),
        kernel=(rows, columns),
        stride=(options.stride_h, options.stride_w),
        dilation=(options.dilation_h, options.dilation_w),
    )
    call.emit(
        Conv2D(window, channels),
        [call.source(0)],
        (*window.output_size(height, width), outputs),
        clamp=call.clamp(options.fused_activation),
        weight=np.ascontiguousarray(weight.transpose(3, 1, 2, 0)),
        weight_scale=scale,
        bias=call.bias(2, outputs),
    )


def _transpose_conv(call: Call) -> None:
    """Inputs: output shape, weights O, KH, KW, C, data, bias. The output's shape is the file's.

    SAME and VALID say how the forward convolution, from output to input, would be padded; what it
    would not reach gets the bias alone, which a padding below 0 expresses.
    """
    options = call.options(schema.TransposeConvOptions)
    height, width, channels = call.image(2)
    weight, scale = call.weights(1, rank=4, channel_axis=0)
    outputs, rows, columns, depth = weight.shape
    shape = call.result().shape
    if depth != channels or len(shape) != 4 or shape[0] != 1 or shape[3] != outputs:
        call.invalid(f"its weights {weight.shape} do not fit {channels} channels and {shape}")
    size = (shape[1], shape[2])
    stride = (options.stride_h, options.stride_w)
    forward = _window(call, options.padding, size, kernel=(rows, columns), stride=stride)
    if forward.output_size(*size) != (height, width):
        call.invalid(f"its input {(height, width)} cannot become {size} with stride {stride}")
    top, left = forward.padding[:2]
    bottom = (height - 1) * stride[0] + rows - top - size[0]
    right = (width - 1) * stride[1] + columns - left - size[1]
    call.emit(
        ConvTranspose2D(Window((rows, columns), stride, (top, left, bottom, right))),
        [call.source(2)],
        (*size, outputs),
        clamp=call.clamp(options.fused_activation),
        weight=weight,
        weight_scale=scale,
        bias=call.bias(3, outputs),
    )


def _fully_connected(call: Call) -> None:
    """The input is seen as rows as long as those of the weights."""
    options = call.options(schema.FullyConnectedOptions)
    if options.weights_format != "DEFAULT":
        call.unsupported(f"weights in the format {options.weights_format}", "Convert it anew.")
    weight, scale = call.weights(1, rank=2, channel_axis=0)
    outputs, depth = weight.shape
    shape = call.shape(0)
    if math.prod(shape) % depth:
        call.invalid(f"its weights {weight.shape} do not fit its input {shape}")
    if not shape or shape[-1] != depth:
        rows = math.prod(shape) // depth
        shape = (depth,) if rows == 1 else (rows, depth)
    call.emit(
        Dense(),
        [call.source(0, shape)],
        (*shape[:-1], outputs),
        clamp=call.clamp(options.fused_activation),
        weight=weight,
        weight_scale=scale,
        bias=call.bias(2, outputs),
    )


# --- Pools, means ---------------------------------------------------------------------------------


def _pool(op: type[MaxPool2D] | type[AveragePool2D]) -> Importer:
    def importer(call: Call) -> None:
        options = call.options(schema.Pool2DOptions)
        height, width, channels = call.image(0)
        kernel = (options.filter_height, options.filter_width)
        stride = (options.stride_h, options.stride_w)
        window = _window(call, options.padding, (height, width), kernel=kernel, stride=stride)
        call.emit(
            op(window),
            [call.source(0)],
            (*window.output_size(height, width), channels),
            clamp=call.clamp(options.fused_activation),
        )

    return importer


def _mean(call: Call) -> None:
    options = call.options(schema.ReducerOptions)
    shape = call.given(0).shape
    batch = len(shape) - len(call.shape(0))
    axes = {call.axis(a, len(shape)) - batch for a in call.integers(1, "axes")} - {-1}
    inner = call.shape(0)
    kept = tuple(size for axis, size in enumerate(inner) if axis not in axes)
    if options.keep_dims:
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(inner))
    if not axes:  # over the batch alone
        call.emit(Quantize(), [call.source(0)], inner)
    else:
        call.emit(Mean(tuple(sorted(axes)), options.keep_dims), [call.source(0)], kept)


def _arg_max(call: Call) -> None:
    call.options(schema.ArgMaxOptions)
    shape = call.given(0).shape
    axis = call.axis(_only(call, call.integers(1, "axis")), len(shape))
    axis -= len(shape) - len(call.shape(0))
    if axis < 0:
        call.unsupported("ARG_MAX over the batch", "Search along another axis.")
    if call.result().type != "INT32":
        call.unsupported(
            f"ARG_MAX with a result in {call.result().type}", "Use output_type=tf.int32."
        )
    inner = call.shape(0)
    call.emit(ArgMax(axis), [call.source(0)], inner[:axis] + inner[axis + 1 :])


# --- Element by element ---------------------------------------------------------------------------


def _operand_shape(call: Call, i: int) -> Shape:
    """A constant operand loses all leading axes of 1, others the batch alone."""
    shape = call.shape(i)
    if call.given(i).data is not None:
        while shape and shape[0] == 1:
            shape = shape[1:]
    return shape


def _elementwise(call: Call, op: Binary | PRelu, activation: str = "NONE") -> None:
    shapes = [_operand_shape(call, i) for i in range(2)]
    try:
        together = np.broadcast_shapes(*shapes)
    except ValueError:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} do not fit together")
    inputs = [call.source(i, shape) for i, shape in enumerate(shapes)]
    call.emit(op, inputs, tuple(together), clamp=call.clamp(activation))


def _add(call: Call) -> None:
    _elementwise(call, Binary("add"), call.options(schema.AddOptions).fused_activation)


def _sub(call: Call) -> None:
    _elementwise(call, Binary("sub"), call.options(schema.SubOptions).fused_activation)


def _mul(call: Call) -> None:
    _elementwise(call, Binary("mul"), call.options(schema.MulOptions).fused_activation)


def _maximum(call: Call) -> None:
    _elementwise(call, Binary("maximum"))


def _minimum(call: Call) -> None:
    _elementwise(call, Binary("minimum"))


def _prelu(call: Call) -> None:
    if call.given(1).data is None:
        call.unsupported("PRELU with slopes that the model computes", "Use constant slopes.")
    _elementwise(call, PRelu())


def _unary(function: str) -> Importer:
    def importer(call: Call) -> None:
        call.emit(Unary(function), [call.source(0)], call.shape(0))

    return importer


def _leaky_relu(call: Call) -> None:
    slope = call.options(schema.LeakyReluOptions).alpha
    _unary(unary.named("leaky_relu", slope))(call)


def _gelu(call: Call) -> None:
    _unary("gelu_tanh" if call.options(schema.GeluOptions).approximate else "gelu")(call)


def _quantize(call: Call) -> None:
    """Also DEQUANTIZE: the types of its tensors tell."""
    types = call.given(0).type, call.result().type
    if "INT8" not in types:
        call.unsupported(f"{call.code} from {types[0]} to {types[1]}", FULL_INTEGER)
    call.emit(Quantize(), [call.source(0)], call.shape(0))


def _softmax(call: Call) -> None:
    beta = call.options(schema.SoftmaxOptions).beta
    call.emit(Softmax(beta), [call.source(0)], call.shape(0))


def _log_softmax(call: Call) -> None:
    call.emit(LogSoftmax(), [call.source(0)], call.shape(0))


# --- Elements go elsewhere ------------------------------------------------------------------------


def _reshape(call: Call) -> None:
    """Also SQUEEZE and EXPAND_DIMS: the file says what comes out."""
    shape = call.target().shape
    if call.given(0).size != call.result().size:
        call.invalid(f"{call.given(0).shape} cannot become {call.result().shape}")
    call.emit(Reshape(shape), [call.source(0)], shape)


def _transpose(call: Call) -> None:
    order = call.integers(1, "axes")
    shape = call.given(0).shape
    if sorted(order) != list(range(len(shape))):
        call.invalid(f"{order[:8]} is no order of the axes of {shape}")
    batch = len(shape) - len(call.shape(0))
    kept = tuple(axis - batch for axis in order if axis >= batch)
    inner = call.shape(0)
    call.emit(Transpose(kept), [call.source(0)], tuple(inner[axis] for axis in kept))


def _concatenation(call: Call) -> None:
    options = call.options(schema.ConcatenationOptions)
    if options.fused_activation != "NONE":
        call.unsupported("CONCATENATION with a fused activation", "Use it as a layer of its own.")
    shapes = [call.given(i).shape for i in range(len(call.operator.inputs))]
    _concat(call, shapes, call.axis(options.axis, len(shapes[0])))


def _pack(call: Call) -> None:
    """Join along a new axis."""
    options = call.options(schema.PackOptions)
    shapes = [call.given(i).shape for i in range(len(call.operator.inputs))]
    axis = call.axis(options.axis, len(shapes[0]) + 1)
    _concat(call, [(*shape[:axis], 1, *shape[axis:]) for shape in shapes], axis)


def _concat(call: Call, shapes: Sequence[Shape], axis: int) -> None:
    """The operands, seen as ``shapes``, one behind the other along ``axis``."""
    rest = [(*shape[:axis], *shape[axis + 1 :]) for shape in shapes]
    if any(len(shape) != len(shapes[0]) for shape in shapes) or len(set(rest)) != 1:
        call.invalid(f"its inputs {', '.join(map(str, shapes[:4]))} do not fit together")
    if axis > 0:
        inner = [without_batch(shape) for shape in shapes]
        axis -= len(shapes[0]) - len(inner[0])
    else:
        inner = list(shapes)
    length = sum(shape[axis] for shape in inner)
    inputs = [call.source(i, shape) for i, shape in enumerate(inner)]
    call.emit(Concat(axis), inputs, (*inner[0][:axis], length, *inner[0][axis + 1 :]))


@dataclass(frozen=True)
class _Part:
    """``count[i]`` elements of axis ``i`` from ``begin[i]`` on, ``stride[i]`` apart."""

    begin: Sequence[int]
    count: Sequence[int]
    stride: Sequence[int]


def _cut(call: Call, operand: int, part: _Part, output: int = 0) -> None:
    """A part of an operand as output ``output``."""
    shape = call.given(operand).shape
    for size, first, count, step in zip(shape, part.begin, part.count, part.stride, strict=True):
        if first < 0 or count < 1 or first + (count - 1) * step >= size:
            call.invalid(f"it takes {count} elements from {first} on, {step} apart, of {size}")
    batch = len(shape) - len(call.shape(operand))
    taken = Slice(tuple(part.begin[batch:]), tuple(part.stride[batch:]))
    call.emit(taken, [call.source(operand)], tuple(part.count[batch:]), output=output)


def _slice(call: Call) -> None:
    shape = call.given(0).shape
    begin, sizes = call.integers(1, "begins"), call.integers(2, "sizes")
    if not len(begin) == len(sizes) == len(shape):
        call.invalid(f"its begins and sizes do not fit its input {shape}")
    count = [
        size - first if wanted == -1 else wanted
        for size, first, wanted in zip(shape, begin, sizes, strict=True)
    ]
    _cut(call, 0, _Part(begin, count, [1] * len(shape)))


def _strided_slice(call: Call) -> None:
    """As in NumPy; an axis in the shrink mask is indexed, and goes."""
    options = call.options(schema.StridedSliceOptions)
    if options.ellipsis_mask or options.new_axis_mask:
        call.unsupported("STRIDED_SLICE with an ellipsis or a new axis", "Name every axis.")
    shape = call.given(0).shape
    begin, end, stride = (
        call.integers(i, what) for i, what in enumerate(("begins", "ends", "strides"), start=1)
    )
    if not len(begin) == len(end) == len(stride) <= len(shape):
        call.invalid(f"its begins, ends and strides do not fit its input {shape}")
    ranges = [range(size) for size in shape]
    for axis, size in enumerate(shape[: len(begin)]):
        bit, first, stop = 1 << axis, begin[axis], end[axis]
        if stride[axis] < 1:
            call.unsupported(f"STRIDED_SLICE with stride {stride[axis]}", "Use strides above 0.")
        stop = size if options.end_mask & bit else first + stop if options.offset else stop
        first = 0 if options.begin_mask & bit else first + size if first < 0 else first
        if options.shrink_axis_mask & bit:
            ranges[axis] = range(first, first + 1)
        else:
            ranges[axis] = range(*slice(max(first, 0), stop, stride[axis]).indices(size))
    part = _Part(
        [places.start for places in ranges],
        [len(places) for places in ranges],
        [places.step for places in ranges],
    )
    _cut(call, 0, part)


def _pieces(call: Call, operand: int, axis: int, sizes: Sequence[int]) -> None:
    """One output for each of ``sizes``, side by side along ``axis``."""
    shape = call.given(operand).shape
    if len(sizes) != len(call.operator.outputs) or sum(sizes) != shape[axis]:
        call.invalid(f"its input {shape} does not become {len(call.operator.outputs)} pieces")
    first = 0
    for output, size in enumerate(sizes):
        begin, count = [0] * len(shape), list(shape)
        begin[axis], count[axis] = first, size
        if call.operator.outputs[output] in call.live:
            _cut(call, operand, _Part(begin, count, [1] * len(shape)), output)
        first += size


def _split(call: Call) -> None:
    """Inputs: axis, data."""
    call.options(schema.SplitOptions)
    shape, pieces = call.given(1).shape, len(call.operator.outputs)
    axis = call.axis(_only(call, call.integers(0, "axis")), len(shape))
    _pieces(call, 1, axis, [shape[axis] // pieces] * pieces)


def _split_v(call: Call) -> None:
    """Inputs: data, sizes of which one may be -1, axis."""
    call.options(schema.SplitVOptions)
    shape = call.given(0).shape
    axis = call.axis(_only(call, call.integers(2, "axis")), len(shape))
    sizes = list(call.integers(1, "sizes"))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    _pieces(call, 0, axis, sizes)


def _unpack(call: Call) -> None:
    """Every index along an axis, which goes."""
    options = call.options(schema.UnpackOptions)
    shape = call.given(0).shape
    axis = call.axis(options.axis, len(shape))
    _pieces(call, 0, axis, [1] * len(call.operator.outputs))


def _only(call: Call, values: Sequence[int]) -> int:
    if len(values) != 1:
        call.invalid(f"it has {len(values)} axes, not 1")
    return values[0]


def _pad(call: Call) -> None:
    """Also PADV2, whose third input is the value."""
    shape = call.given(0).shape
    amounts = call.integers(1, "paddings")
    if len(amounts) != 2 * len(shape) or min(amounts, default=0) < 0:
        call.invalid(f"its paddings do not fit its input {shape}")
    before, after = amounts[::2], amounts[1::2]
    value = None
    if call.has(2):
        fill = call.given(2)
        if fill.type != "INT8" or fill.data is None or fill.size != 1:
            call.unsupported("PADV2 with a value that is no INT8 constant", FULL_VALUE)
        value = int(fill.array().reshape(-1)[0])
    batch = 0 if before[:1] + after[:1] != (0, 0) else len(shape) - len(call.shape(0))
    before, after, inner = before[batch:], after[batch:], shape[batch:]
    padded = tuple(sum(sizes) for sizes in zip(before, inner, after, strict=True))
    call.emit(Pad(before, after, value), [call.source(0, inner)], padded)


FULL_VALUE = "Pad with a constant, quantized like the input."


def _resize(
    call: Call,
    method: str,
    options: schema.ResizeNearestNeighborOptions | schema.ResizeBilinearOptions,
) -> None:
    size = call.integers(1, "size")
    _, _, channels = call.image(0)
    if len(size) != 2 or min(size) < 1:
        call.invalid(f"it cannot resize to {size[:8]}")
    if options.align_corners and options.half_pixel_centers:
        call.invalid("it has both align_corners and half_pixel_centers")
    op = Resize(method, options.align_corners, options.half_pixel_centers)
    call.emit(op, [call.source(0)], (*size, channels))


def _resize_nearest_neighbor(call: Call) -> None:
    _resize(call, "nearest", call.options(schema.ResizeNearestNeighborOptions))


def _resize_bilinear(call: Call) -> None:
    _resize(call, "bilinear", call.options(schema.ResizeBilinearOptions))


# --- The list -------------------------------------------------------------------------------------

Importer = Callable[[Call], None]


@dataclass(frozen=True)
class Rule:
    """How an operator is imported, and how many inputs it has."""

    importer: Importer
    least: int = 1
    most: int = 1
    several: bool = False  # more than one output
    unread: frozenset[int] = frozenset()  # inputs that say what the output's shape says too
    border: bool = False  # its tensors may be other than INT8


MANY = 4096  # inputs of a concatenation

RULES: dict[str, Rule] = {
    "ABS": Rule(_unary("abs")),
    "ADD": Rule(_add, 2, 2),
    "ARG_MAX": Rule(_arg_max, 2, 2, border=True),
    "AVERAGE_POOL_2D": Rule(_pool(AveragePool2D)),
    "CONCATENATION": Rule(_concatenation, 1, MANY),
    "CONV_2D": Rule(_conv2d, 2, 3),
    "DEPTHWISE_CONV_2D": Rule(_depthwise_conv2d, 2, 3),
    "DEQUANTIZE": Rule(_quantize, border=True),
    "ELU": Rule(_unary("elu")),
    "EXP": Rule(_unary("exp")),
    "EXPAND_DIMS": Rule(_reshape, 2, 2, unread=frozenset({1})),
    "FULLY_CONNECTED": Rule(_fully_connected, 2, 3),
    "GELU": Rule(_gelu),
    "HARD_SWISH": Rule(_unary("hard_swish")),
    "LEAKY_RELU": Rule(_leaky_relu),
    "LOG": Rule(_unary("log")),
    "LOGISTIC": Rule(_unary("sigmoid")),
    "LOG_SOFTMAX": Rule(_log_softmax),
    "MAXIMUM": Rule(_maximum, 2, 2),
    "MAX_POOL_2D": Rule(_pool(MaxPool2D)),
    "MEAN": Rule(_mean, 2, 2),
    "MINIMUM": Rule(_minimum, 2, 2),
    "MUL": Rule(_mul, 2, 2),
    "NEG": Rule(_unary("neg")),
    "PACK": Rule(_pack, 1, MANY),
    "PAD": Rule(_pad, 2, 2),
    "PADV2": Rule(_pad, 3, 3),
    "PRELU": Rule(_prelu, 2, 2),
    "QUANTIZE": Rule(_quantize, border=True),
    "RELU": Rule(_unary("relu")),
    "RELU6": Rule(_unary("relu6")),
    "RELU_N1_TO_1": Rule(_unary("relu_n1_to_1")),
    "RESHAPE": Rule(_reshape, 1, 2, unread=frozenset({1})),
    "RESIZE_BILINEAR": Rule(_resize_bilinear, 2, 2),
    "RESIZE_NEAREST_NEIGHBOR": Rule(_resize_nearest_neighbor, 2, 2),
    "RSQRT": Rule(_unary("rsqrt")),
    "SLICE": Rule(_slice, 3, 3),
    "SOFTMAX": Rule(_softmax),
    "SPLIT": Rule(_split, 2, 2, several=True),
    "SPLIT_V": Rule(_split_v, 3, 3, several=True),
    "SQRT": Rule(_unary("sqrt")),
    "SQUARE": Rule(_unary("square")),
    "SQUEEZE": Rule(_reshape),
    "STRIDED_SLICE": Rule(_strided_slice, 4, 4),
    "SUB": Rule(_sub, 2, 2),
    "TANH": Rule(_unary("tanh")),
    "TRANSPOSE": Rule(_transpose, 2, 2),
    "TRANSPOSE_CONV": Rule(_transpose_conv, 3, 4, unread=frozenset({0})),
    "UNPACK": Rule(_unpack, several=True),
}
