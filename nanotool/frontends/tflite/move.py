"""Elements go elsewhere: reshape, transpose, concat, slice, pad, resize."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.axis import only
from nanotool.frontends.tflite.builder import Call, without_batch
from nanotool.frontends.tflite.importers import MANY, imports
from nanotool.ir import Concat, Pad, Reshape, Resize, Shape, Slice, Transpose


@imports("EXPAND_DIMS", Reshape, 2, 2, unread=frozenset({1}))
@imports("RESHAPE", Reshape, 1, 2, unread=frozenset({1}))
@imports("SQUEEZE", Reshape)
def _reshape(call: Call) -> None:
    """Also SQUEEZE and EXPAND_DIMS: the file says what comes out."""
    shape = call.target().shape
    if call.given(0).size != call.result().size:
        call.invalid(f"{call.given(0).shape} cannot become {call.result().shape}")
    call.emit(Reshape(shape), [call.source(0)], shape)


@imports("TRANSPOSE", Transpose, 2, 2)
def _transpose(call: Call) -> None:
    order = call.integers(1, "axes")
    shape = call.given(0).shape
    if sorted(order) != list(range(len(shape))):
        call.invalid(f"{order[:8]} is no order of the axes of {shape}")
    batch = len(shape) - len(call.shape(0))
    kept = tuple(axis - batch for axis in order if axis >= batch)
    inner = call.shape(0)
    call.emit(Transpose(kept), [call.source(0)], tuple(inner[axis] for axis in kept))


@imports("CONCATENATION", Concat, 1, MANY)
def _concatenation(call: Call) -> None:
    options = call.options(schema.ConcatenationOptions)
    if options.fused_activation != "NONE":
        call.unsupported("CONCATENATION with a fused activation", "Use it as a layer of its own.")
    shapes = [call.given(i).shape for i in range(len(call.operator.inputs))]
    _concat(call, shapes, call.axis(options.axis, len(shapes[0])))


@imports("PACK", Concat, 1, MANY)
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


@imports("SLICE", Slice, 3, 3)
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


@imports("STRIDED_SLICE", Slice, 4, 4)
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


@imports("SPLIT", Slice, 2, 2, several=True)
def _split(call: Call) -> None:
    """Inputs: axis, data."""
    call.options(schema.SplitOptions)
    shape, pieces = call.given(1).shape, len(call.operator.outputs)
    axis = call.axis(only(call, call.integers(0, "axis")), len(shape))
    _pieces(call, 1, axis, [shape[axis] // pieces] * pieces)


@imports("SPLIT_V", Slice, 3, 3, several=True)
def _split_v(call: Call) -> None:
    """Inputs: data, sizes of which one may be -1, axis."""
    call.options(schema.SplitVOptions)
    shape = call.given(0).shape
    axis = call.axis(only(call, call.integers(2, "axis")), len(shape))
    sizes = list(call.integers(1, "sizes"))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    _pieces(call, 0, axis, sizes)


@imports("UNPACK", Slice, several=True)
def _unpack(call: Call) -> None:
    """Every index along an axis, which goes."""
    options = call.options(schema.UnpackOptions)
    shape = call.given(0).shape
    axis = call.axis(options.axis, len(shape))
    _pieces(call, 0, axis, [1] * len(call.operator.outputs))


@imports("PAD", Pad, 2, 2)
@imports("PADV2", Pad, 3, 3)
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


@imports("RESIZE_NEAREST_NEIGHBOR", Resize, 2, 2)
def _resize_nearest_neighbor(call: Call) -> None:
    _resize(call, "nearest", call.options(schema.ResizeNearestNeighborOptions))


@imports("RESIZE_BILINEAR", Resize, 2, 2)
def _resize_bilinear(call: Call) -> None:
    _resize(call, "bilinear", call.options(schema.ResizeBilinearOptions))
