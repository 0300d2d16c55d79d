"""Elements go elsewhere: reshape, transpose, concat, slice, gather, pad, resize, blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.axis import only
from nanotool.frontends.tflite.builder import Call, without_batch
from nanotool.frontends.tflite.content import FULL_INTEGER
from nanotool.frontends.tflite.importers import MANY, imports
from nanotool.ir import (
    INT8_MIN,
    Concat,
    Gather,
    Op,
    Pad,
    Reshape,
    Resize,
    Shape,
    Slice,
    Table,
    Transpose,
)

MAX_PLACES = 65535  # of a gather


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
        kind = call.given(0).type
        if fill.type != kind or fill.data is None or fill.size != 1:
            call.unsupported(f"PADV2 with a value that is no {kind} constant", FULL_VALUE)
        value = int(fill.array().reshape(-1)[0])
    batch = 0 if before[:1] + after[:1] != (0, 0) else len(shape) - len(call.shape(0))
    before, after, inner = before[batch:], after[batch:], shape[batch:]
    padded = tuple(sum(sizes) for sizes in zip(before, inner, after, strict=True))
    call.emit(Pad(before, after, value), [call.source(0, inner)], padded)


# --- Some elements, in another order, or several times --------------------------------------------

Steps: TypeAlias = "list[tuple[Op, Shape]]"


def _seen(call: Call, i: int, axes: Sequence[int]) -> tuple[Shape, int]:
    """The shape as which operand ``i`` is moved along ``axes``: without its batch, unless that is
    one of them; and how many axes went."""
    full, inner = call.given(i).shape, call.shape(i)
    return (full, 0) if 0 in axes else (inner, len(full) - len(inner))


def _taken(shape: Shape, axis: int, places: Sequence[int]) -> tuple[Op, Shape]:
    """The elements ``places`` along an axis, and the shape that they have."""
    return Gather(axis, tuple(places)), (*shape[:axis], len(places), *shape[axis + 1 :])


def _places(call: Call, i: int, count: int) -> tuple[int, ...]:
    """Operand ``i``: constant numbers of elements, below ``count``."""
    given = call.given(i)
    if given.data is None:
        call.unsupported(
            f"{call.code} with places that the model computes",
            "Here only constant ones will do: convert the model so that they are folded.",
        )
    if given.type not in {"INT16", "INT32", "INT64"} or given.size > MAX_PLACES:
        call.invalid(f"its places are {given.type} {given.shape}")
    places = tuple(int(place) for place in given.array().reshape(-1))
    if min(places) < 0 or max(places) >= count:
        call.invalid(
            f"it takes element {max(places) if min(places) >= 0 else min(places)} of {count}"
        )
    return places


@imports("GATHER", (Gather, Table), 2, 2, border=True)
def _gather(call: Call) -> None:
    """At constant places of an activation; or of a constant, as a table, at an int8's places."""
    options = call.options(schema.GatherOptions)
    if call.index(1) in call.builder.counted:
        _look_up(call)
        return
    given, indices = call.given(0), call.given(1)
    if given.type != "INT8" or given.data is not None:
        call.unsupported(f"GATHER of {given.type} {given.shape} at {indices.type}", FULL_INTEGER)
    axis = call.axis(options.axis, len(given.shape))
    batches = options.batch_dims % max(1, len(indices.shape) + 1)
    if any(size > 1 for size in given.shape[:batches]):
        call.unsupported("GATHER with places of its own for each batch", "Use a batch of 1.")
    shape, gone = _seen(call, 0, [axis])
    axis -= gone
    op, taken = _taken(shape, axis, _places(call, 1, shape[axis]))
    wanted = (*shape[:axis], *indices.shape[batches:], *shape[axis + 1 :])
    call.moved(call.source(0, shape), [(op, taken), (Reshape(wanted), wanted)])


def _look_up(call: Call) -> None:
    """CAST, ADD of a number and GATHER: so a table is written."""
    source, offset = call.builder.counted[call.index(1)]
    given = call.given(0)
    if given.type != "INT8" or given.data is None or len(given.shape) != 1:
        call.unsupported(f"GATHER of {given.type} {given.shape} at computed places", FULL_INTEGER)
    entries = given.array()
    first = offset + INT8_MIN
    if first < 0 or first + 256 > len(entries):
        call.unsupported(
            f"GATHER in a table of {len(entries)} elements at an int8 plus {offset}",
            "A table has one for each of the 256 values.",
        )
    table = tuple(int(entry) for entry in entries[first : first + 256])
    tensor = call.builder.activation(source, f"tensor_{source}")
    call.emit(Table("table", table), [tensor.name], tensor.shape)


@imports("GATHER_ND", Gather, 2, 2)
def _gather_nd(call: Call) -> None:
    """The places' last axis counts along the first axes of the input."""
    shape, indices = call.given(0).shape, call.given(1).shape
    depth = indices[-1] if indices else 0
    if not 1 <= depth <= len(shape):
        call.invalid(f"its places {indices} do not fit its input {shape}")
    count = math.prod(shape[:depth])
    places = np.reshape(_places(call, 1, max(shape[:depth])), (-1, depth))
    if (places >= shape[:depth]).any():
        call.invalid(f"its places are not within {shape[:depth]}")
    flat = places @ [math.prod(shape[i + 1 : depth]) for i in range(depth)]
    rows = (count, *shape[depth:])
    wanted = (*indices[:-1], *shape[depth:])
    steps: Steps = [(Reshape(rows), rows), _taken(rows, 0, [int(place) for place in flat])]
    call.moved(call.source(0, shape), [*steps, (Reshape(wanted), wanted)])


@imports("REVERSE_V2", Gather, 2, 2)
def _reverse(call: Call) -> None:
    axes = [call.axis(axis, len(call.given(0).shape)) for axis in call.integers(1, "axes")]
    shape, gone = _seen(call, 0, axes)
    steps = [_taken(shape, at - gone, range(shape[at - gone] - 1, -1, -1)) for at in axes]
    call.moved(call.source(0, shape), steps)


@imports("MIRROR_PAD", Gather, 2, 2)
def _mirror_pad(call: Call) -> None:
    """REFLECT leaves the border out, SYMMETRIC repeats it."""
    options = call.options(schema.MirrorPadOptions)
    amounts = call.integers(1, "paddings")
    skipped = int(options.mode == "REFLECT")
    if len(amounts) != 2 * len(call.given(0).shape) or min(amounts, default=0) < 0:
        call.invalid(f"its paddings do not fit its input {call.given(0).shape}")
    shape, gone = _seen(call, 0, [0] if any(amounts[:2]) else [])
    amounts = amounts[2 * gone :]
    steps: Steps = []
    padded = shape
    for axis, size in enumerate(shape):
        before, after = amounts[2 * axis : 2 * axis + 2]
        if max(before, after) > size - skipped:
            call.invalid(f"its paddings {before} and {after} do not fit {size} elements")
        left = range(before - 1 + skipped, skipped - 1, -1)
        right = range(size - 1 - skipped, size - 1 - skipped - after, -1)
        if before or after:
            steps.append(_taken(padded, axis, (*left, *range(size), *right)))
            padded = steps[-1][1]
    call.moved(call.source(0, shape), steps)


def _repeated(shape: Shape, axis: int, count: int) -> Steps:
    """``count`` times the elements along an axis, one copy behind the other."""
    wanted = (*shape[:axis], shape[axis] * count, *shape[axis + 1 :])
    if count == 1 or shape[axis] != 1:
        return [(Concat(axis), wanted)] if count > 1 else []
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    return [
        (Reshape((outer, 1, inner)), (outer, 1, inner)),
        (Resize("nearest"), (outer, count, inner)),
        (Reshape(wanted), wanted),
    ]


@imports("TILE", (Concat, Resize), 2, 2)
def _tile(call: Call) -> None:
    counts = call.integers(1, "counts")
    shape = call.given(0).shape
    if len(counts) != len(shape) or min(counts, default=1) < 1:
        call.invalid(f"its counts {counts[:8]} do not fit its input {shape}")
    _spread(call, counts)


@imports("BROADCAST_TO", (Concat, Resize), 2, 2)
def _broadcast_to(call: Call) -> None:
    wanted = call.integers(1, "shape")
    shape = call.given(0).shape
    given = (*(1,) * (len(wanted) - len(shape)), *shape)
    if len(given) != len(wanted) or any(
        size not in {1, whole} or whole < 1 for size, whole in zip(given, wanted, strict=True)
    ):
        call.invalid(f"its input {shape} cannot become {wanted[:8]}")
    _spread(call, [whole // size for size, whole in zip(given, wanted, strict=True)])


def _spread(call: Call, counts: Sequence[int]) -> None:
    shape = (*(1,) * (len(counts) - len(call.given(0).shape)), *call.given(0).shape)
    if counts and (shape[0], counts[0]) == (1, 1):  # the batch
        shape, counts = shape[1:], counts[1:]
    source = call.source(0, shape)
    steps: Steps = []
    for axis, count in enumerate(counts):
        steps += _repeated(shape, axis, count)
        shape = (*shape[:axis], shape[axis] * count, *shape[axis + 1 :])
    call.moved(source, steps)


# --- Blocks of an image ---------------------------------------------------------------------------


@imports("SPACE_TO_DEPTH", Transpose)
def _space_to_depth(call: Call) -> None:
    """Each block of pixels becomes one pixel, its channels row by row."""
    block = call.options(schema.SpaceToDepthOptions).block_size
    height, width, channels = call.image(0)
    if block < 1 or height % block or width % block:
        call.invalid(f"its input {(height, width)} does not fall into blocks of {block}")
    rows, columns = height // block, width // block
    apart = (rows, block, columns, block * channels)
    wanted = (rows, columns, block * block * channels)
    call.moved(
        call.source(0),
        [
            (Reshape(apart), apart),
            (Transpose((0, 2, 1, 3)), (rows, columns, block, block * channels)),
            (Reshape(wanted), wanted),
        ],
    )


@imports("DEPTH_TO_SPACE", Transpose)
def _depth_to_space(call: Call) -> None:
    """The inverse of SPACE_TO_DEPTH."""
    block = call.options(schema.DepthToSpaceOptions).block_size
    rows, columns, depth = call.image(0)
    if block < 1 or depth % (block * block):
        call.invalid(f"its {depth} channels do not become blocks of {block}")
    apart = (rows, columns, block, depth // block)
    wanted = (rows * block, columns * block, depth // (block * block))
    call.moved(
        call.source(0),
        [
            (Reshape(apart), apart),
            (Transpose((0, 2, 1, 3)), (rows, block, columns, depth // block)),
            (Reshape(wanted), wanted),
        ],
    )


def _block(call: Call) -> tuple[tuple[int, int], tuple[int, ...]]:
    """(rows, columns) of a block of an image, and what is around the image or cut off from it: top,
    bottom, left, right. A signal is an image of one column."""
    block, around = call.integers(1, "block"), call.integers(2, "margins")
    if not 1 <= len(block) <= 2 or len(around) != 2 * len(block) or min((*block, 1)) < 1:
        call.invalid(f"its block {block[:4]} and margins {around[:8]} do not fit each other")
    if min(around) < 0:
        call.invalid(f"its margins {around} are below 0")
    return (block[0], (*block, 1)[1]), (*around, 0, 0)[:4]


@imports("SPACE_TO_BATCH_ND", Transpose, 3, 3)
def _space_to_batch(call: Call) -> None:
    """The pixels at each place of a block become an image of their own."""
    (down, across), (top, bottom, left, right) = _block(call)
    shape = call.given(0).shape
    if len(shape) < 3 or shape[0] != 1:
        call.unsupported(f"{call.code} on shape {shape}", "Convert the model for a batch of 1.")
    signal = len(call.integers(1, "block")) == 1
    height, width = shape[1], 1 if signal else shape[2]
    depth = math.prod(shape[2 if signal else 3 :])
    rows, columns = height + top + bottom, width + left + right
    if rows % down or columns % across:
        call.invalid(f"its input {(rows, columns)} does not fall into blocks of {(down, across)}")
    y, x = rows // down, columns // across
    steps: Steps = [
        (Pad((top, left, 0), (bottom, right, 0)), (rows, columns, depth)),
        (Reshape((rows, x, across, depth)), (rows, x, across, depth)),
        (Transpose((2, 0, 1, 3)), (across, rows, x, depth)),
        (Reshape((across, y, down, x * depth)), (across, y, down, x * depth)),
        (Transpose((2, 0, 1, 3)), (down, across, y, x * depth)),
    ]
    call.moved(call.source(0, (height, width, depth)), steps)


@imports("BATCH_TO_SPACE_ND", Transpose, 3, 3)
def _batch_to_space(call: Call) -> None:
    """The inverse of SPACE_TO_BATCH_ND; the image's margins are cut off."""
    (down, across), (top, bottom, left, right) = _block(call)
    shape = call.given(0).shape
    if len(shape) < 3 or shape[0] != down * across:
        call.unsupported(
            f"{call.code} on shape {shape}",
            "Convert the model for a batch of 1 that is fixed (an input of shape 1, ...).",
        )
    signal = len(call.integers(1, "block")) == 1
    y, x = shape[1], 1 if signal else shape[2]
    depth = math.prod(shape[2 if signal else 3 :])
    rows, columns = y * down, x * across
    kept = (rows - top - bottom, columns - left - right, depth)
    if min(kept) < 1:
        call.invalid("its margins leave nothing")
    steps: Steps = [
        (Transpose((1, 2, 0, 3)), (across, y, down, x * depth)),
        (Reshape((across, rows, x, depth)), (across, rows, x, depth)),
        (Transpose((1, 2, 0, 3)), (rows, x, across, depth)),
        (Reshape((rows, columns, depth)), (rows, columns, depth)),
        (Slice((top, left, 0), (1, 1, 1)), kept),
    ]
    call.moved(call.source(0, (down, across, y, x * depth)), steps)


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
