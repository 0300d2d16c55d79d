"""Elements go elsewhere: transpose, slice, concat, pad, resize."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nanotool import numerics
from nanotool.ir import Array, Concat, Gather, Op, Pad, Resize, Slice, Struct, Transpose
from nanotool.lower.layer import (
    NOTHING,
    UINT16_MAX,
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    four,
    lowers,
    merge_axes,
    overlap,
    positions,
    row_major,
    wide,
)


@lowers(Transpose)
def _transpose(layer: TargetLayer[Transpose]) -> Call:
    """A transpose: an element needs the one that it is a copy of."""
    needs = positions(layer.input).transpose(layer.op.permutation).reshape(-1)
    return Call("nano_transpose", transpose_struct(layer), (overlap(needs),))


def transpose_struct(layer: TargetLayer[Transpose]) -> Struct:
    """nano_transpose_params."""
    op = layer.op
    strides = row_major(layer.input.shape)
    shape, (stride,) = merge_axes(
        layer.output.shape, [strides[axis] for axis in op.permutation], largest=UINT16_MAX
    )
    fields = (
        ("shape", four([layer.uint16("an axis", size) for size in shape], 1)),
        ("stride", four(stride, 0)),
    )
    return Struct("nano_transpose_params", fields)


@lowers(Slice)
def _slice(layer: TargetLayer[Slice]) -> Call:
    """A slice: an element needs the one that it is a copy of."""
    offset, strides, needs = slice_places(layer)
    target = row_major(layer.output.shape)
    params = copy_struct(layer.output.shape, (offset, strides), (0, target))
    return Call("nano_copy", params, (overlap(needs),))


def slice_places(layer: TargetLayer[Slice]) -> tuple[int, list[int], IndexArray]:
    """(first element, strides) in the input, and the element that each one is a copy of."""
    op = layer.op
    steps = row_major(layer.input.shape)
    offset = sum(begin * step for begin, step in zip(op.begin, steps, strict=True))
    strides = [stride * step for stride, step in zip(op.stride, steps, strict=True)]
    needs = np.zeros(layer.output.shape, np.int64)
    for axis, (size, stride) in enumerate(zip(layer.output.shape, strides, strict=True)):
        along = (size, *(1,) * (len(strides) - axis - 1))
        needs += (np.arange(size) * stride).reshape(along)
    return offset, strides, offset + needs.reshape(-1)


@lowers(Gather)
def _gather(layer: TargetLayer[Gather]) -> Call:
    """A gather: an element needs the one that it is a copy of."""
    op, shape = layer.op, layer.input.shape
    indices = np.asarray(op.indices)
    layer.uint16("an index", int(indices.max()))
    fields: Fields = (
        ("indices", layer.array("indices", indices.astype(np.uint16), "places along the axis")),
        ("outer", math.prod(shape[: op.axis])),
        ("in_count", shape[op.axis]),
        ("count", len(indices)),
        ("inner", math.prod(shape[op.axis + 1 :])),
    )
    needs = positions(layer.input).take(indices, axis=op.axis).reshape(-1)
    return Call("nano_gather", Struct("nano_gather_params", fields), (overlap(needs),))


def copy_struct(
    shape: tuple[int, ...],
    source: tuple[int, list[int]],
    target: tuple[int, list[int]],
    constant: Array | None = None,
) -> Struct:
    """nano_copy_params; ``source`` and ``target`` are offset and strides."""
    sizes, (in_stride, out_stride) = merge_axes(shape, source[1], target[1])
    fields: Fields = (
        ("constant", constant),
        ("shape", four(sizes, 1)),
        ("in_offset", source[0]),
        ("out_offset", target[0]),
        ("in_stride", four(in_stride, 0)),
        ("out_stride", four(out_stride, 0)),
    )
    return Struct("nano_copy_params", fields)


@lowers(Concat)
def _concat(layer: TargetLayer[Concat]) -> list[Call]:
    """One copy an input. An input may wait for its turn under the output where the copies before
    it do not write, and where it is read before it is written over: often in its very place."""
    strides = row_major(layer.output.shape)
    calls: list[Call] = []
    written = 0  # bytes up to which the output may hold something
    for number, (begin, targets) in enumerate(concat_targets(layer)):
        tensor, data = layer.inputs[number], layer.constants[number]
        constant = None if data is None else layer.array("constant", data, "constant", number)
        source, target = (0, row_major(tensor.shape)), (begin * strides[layer.op.axis], strides)
        gap = max(written, scattered_overlap(targets))
        reads = (number,) if data is None else ()
        overlaps = (gap if gap < layer.output.size else None,) * len(reads)
        params = copy_struct(tensor.shape, source, target, constant)
        calls.append(Call("nano_copy", params, overlaps, reads))
        written = max(written, int(targets[-1]) + 1)
    return calls


def concat_targets(layer: TargetLayer[Concat]) -> Iterator[tuple[int, IndexArray]]:
    """Of each input where it begins along the axis, and to where in the output its elements go."""
    axis, places, begin = layer.op.axis, positions(layer.output), 0
    for tensor in layer.inputs:
        end = begin + tensor.shape[axis]
        yield begin, places.take(range(begin, end), axis=axis).reshape(-1)
        begin = end


def scattered_overlap(targets: IndexArray) -> int:
    """`overlap` of a copy that reads byte after byte and writes byte k to ``targets[k]``, rising:
    when it writes it, the bytes behind k must still be there."""
    return int((targets[:-1] - np.arange(targets.size - 1)).max(initial=0))


@lowers(Pad)
def _pad(layer: TargetLayer[Pad]) -> Call:
    """A pad: an element inside needs the one that it is a copy of, the rim needs none."""
    op = layer.op
    value = layer.input.zero_point if op.value is None else op.value
    missing = 4 - len(layer.input.shape)
    fields: Fields = (
        ("shape", (*(1,) * missing, *layer.input.shape)),
        ("before", (*(0,) * missing, *op.before)),
        ("after", (*(0,) * missing, *op.after)),
        ("value", value),
    )
    around = list(zip(op.before, op.after, strict=True))
    needs = np.pad(positions(layer.input), around, constant_values=NOTHING)
    return Call("nano_pad", Struct("nano_pad_params", fields), (overlap(needs.reshape(-1)),))


# --- Resize ---------------------------------------------------------------------------------------


@lowers(Resize)
def _resize(layer: TargetLayer[Resize]) -> Call:
    """A resize: an element needs its pixel, or the pixels around it."""
    return nearest_call(layer) if layer.op.method == "nearest" else _bilinear(layer)


def nearest_call(layer: TargetLayer[Resize], width: int = 1) -> Call:
    """By the nearest pixel; elements of ``width`` bytes count as so many channels."""
    op = layer.op
    (in_h, in_w, channels), (out_h, out_w, _) = layer.input.shape, layer.output.shape
    flags = (op.align_corners, op.half_pixel_centers)
    rows = numerics.nearest_positions(in_h, out_h, *flags)
    columns = numerics.nearest_positions(in_w, out_w, *flags)
    fields: Fields = (
        ("rows", layer.array("rows", rows.astype(np.uint16), "input row of each output row")),
        ("columns", layer.array("columns", columns.astype(np.uint16), "input column, likewise")),
        *_sizes(layer, in_w=in_w, out_h=out_h, out_w=out_w, channels=width * channels),
    )
    needs = overlap(wide(_pixel_needs(layer, rows, columns) * width, width))
    return Call("nano_resize_nearest", Struct("nano_resize_nearest_params", fields), (needs,))


def _bilinear(layer: TargetLayer[Resize]) -> Call:
    op = layer.op
    (in_h, in_w, channels), (out_h, out_w, _) = layer.input.shape, layer.output.shape
    flags = (op.align_corners, op.half_pixel_centers)
    steps = [
        numerics.bilinear_scale(size, output, op.align_corners)
        for size, output in ((in_h, out_h), (in_w, out_w))
    ]
    half = 1 << (numerics.BILINEAR_BITS - 1)
    starts = [step // 2 - half if op.half_pixel_centers else 0 for step in steps]
    fields = (
        *_sizes(layer, in_h=in_h, in_w=in_w, out_h=out_h, out_w=out_w, channels=channels),
        *(("step_h", steps[0]), ("step_w", steps[1])),
        *(("start_h", starts[0]), ("start_w", starts[1])),
    )
    rows = numerics.bilinear_positions(in_h, out_h, *flags).lower
    columns = numerics.bilinear_positions(in_w, out_w, *flags).lower
    needs = overlap(_pixel_needs(layer, rows, columns))
    return Call("nano_resize_bilinear", Struct("nano_resize_bilinear_params", fields), (needs,))


def _sizes(layer: TargetLayer[Op], **sizes: int) -> tuple[tuple[str, int], ...]:
    return tuple((name, layer.uint16(name, size)) for name, size in sizes.items())


def _pixel_needs(layer: TargetLayer[Op], rows: IndexArray, columns: IndexArray) -> IndexArray:
    """For each output byte its input byte in row and column ``rows[y]``, ``columns[x]``."""
    _, in_w, channels = layer.input.shape
    pixels = rows[:, None] * in_w + columns[None, :]
    return (pixels[:, :, None] * channels + np.arange(channels)).reshape(-1)
