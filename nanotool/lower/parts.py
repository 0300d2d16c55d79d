"""Convolutions that are several plain ones: in groups, transposed, and those behind which a pool
stands (src/ops/conv2d/parts.h).

A target that has a kernel for plain convolutions computes these with it, part by part: here the
parts are made layers of their own, and what the kernel makes of those one call again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nanotool.ir import (
    Array,
    Conv2D,
    ConvTranspose2D,
    FloatArray,
    Int8Array,
    Int32Array,
    QOp,
    QTensor,
    Struct,
    Value,
    Window,
)
from nanotool.lower.cost import estimate
from nanotool.lower.layer import (
    NOTHING,
    Call,
    IndexArray,
    TargetLayer,
    faster_calls,
    in_chunks,
    overlap,
    portable_calls,
)
from nanotool.lower.linear import conv2d_needs
from nanotool.lower.pooling import pooled_needs
from nanotool.ops import Layer

_MULTIPLIER = 4  # outputs a channel, from which on groups of one channel pay
Plain = Callable[[TargetLayer[Conv2D]], "Call | None"]  # what a kernel makes of a convolution


def _rounded(size: int) -> int:
    """To whole pieces of scratch."""
    return -(-size // 16) * 16


# --- Groups ---------------------------------------------------------------------------------------


def group_layers(layer: TargetLayer[Conv2D]) -> list[TargetLayer[Conv2D]]:
    """Each group as a convolution of its own."""
    groups = layer.op.groups
    (height, width, inputs), (out_h, out_w, outputs) = layer.input.shape, layer.output.shape
    n, m = inputs // groups, outputs // groups
    source = replace(layer.input, shape=(height, width, n))
    target = replace(layer.output, shape=(out_h, out_w, m))
    parts = []
    for group in range(groups):
        rows = slice(group * m, (group + 1) * m)
        qop = replace(
            layer.qop,
            op=Conv2D(layer.op.window),
            weight=layer.weight[rows],
            weight_scale=_rows(layer.qop.weight_scale, rows),
            bias=None if layer.qop.bias is None else layer.qop.bias[rows],
        )
        parts.append(_part(layer, qop, source, target))
    return parts


def _rows(scale: FloatArray | None, rows: slice) -> FloatArray | None:
    return scale if scale is None or scale.size == 1 else scale[rows]


def _part(
    layer: TargetLayer[Any], qop: QOp, source: QTensor, target: QTensor
) -> TargetLayer[Conv2D]:
    return replace(layer, qop=qop, inputs=(source,), output=target)


def joined(structs: Sequence[Struct]) -> Struct:
    """``structs`` of parts that differ in their arrays alone, as one: the arrays of all, one behind
    the other."""
    first = structs[0]

    def together(number: int, value: Value) -> Value:
        if not isinstance(value, Array):
            return value
        data = [dict(one.fields)[first.fields[number][0]] for one in structs]
        flat = np.concatenate([array.data for array in data if isinstance(array, Array)])
        flat.setflags(write=False)
        return replace(value, data=flat, note=f"[groups]: {value.note}")

    fields = tuple((name, together(i, value)) for i, (name, value) in enumerate(first.fields))
    return replace(first, fields=fields)


def grouped(layer: TargetLayer[Conv2D], plain: Plain) -> Call | None:
    """The call for all groups, given what the kernel makes of each. All of them run on the kernel
    of the first one that is not the plainest, as all rows may."""
    count, channels = layer.op.groups, layer.output.shape[2]
    few = layer.input.shape[2] == count and channels < _MULTIPLIER * count
    if few or layer.refuses_memory:
        return None
    made: list[Call] = []
    for part in group_layers(layer):
        call = plain(part)
        if call is None:
            return None
        made.append(call)
    kernel = max((call.kernel for call in made), key=len)  # ..._long is longer
    params = joined([call.params for call in made])
    ctype = params.ctype.replace("conv2d_", "conv2d_grouped_")
    fields = (("conv", params), ("groups", layer.uint16("the number of groups", layer.op.groups)))
    inputs, outputs = layer.input.size, layer.output.size
    own = _rounded(inputs // layer.op.groups) + _rounded(outputs // layer.op.groups)
    return Call(
        kernel.replace("conv2d_", "conv2d_grouped_").replace("_relu", ""),
        Struct(ctype, fields),
        (None,),
        scratch=own + max(call.scratch for call in made),
    )


# --- Transposed -----------------------------------------------------------------------------------


def block_layer(layer: TargetLayer[ConvTranspose2D]) -> TargetLayer[Conv2D] | None:
    """The convolution whose pixels are blocks of outputs, [stride_h][stride_w][channels]; None
    where its first windows would begin inside the image, as so much is cut off."""
    window = layer.op.window
    size, count, taps, padding = [], [], [], []
    for axis in range(2):
        stride, kernel = window.stride[axis], window.kernel[axis]
        first = window.padding[axis] // stride  # the first block, counted in inputs
        last = (window.padding[axis] + layer.output.shape[axis] - 1) // stride
        taps.append(-(-kernel // stride))
        count.append(last - first + 1)
        padding.append(taps[axis] - 1 - first)
        size.append(layer.input.shape[axis])
    if min(padding) < 0:
        return None
    after = [c + t - 1 - p - n for c, t, p, n in zip(count, taps, padding, size, strict=True)]
    op = Conv2D(Window((taps[0], taps[1]), (1, 1), (*padding, *after)))  # type: ignore[arg-type]
    blocks = math.prod(window.stride)
    outputs = layer.output.shape[2] * blocks
    scale = layer.qop.weight_scale
    bias = layer.qop.bias
    tiled: Int32Array | None = None if bias is None else np.tile(bias, blocks)
    qop = replace(
        layer.qop,
        op=op,
        weight=_block_weights(layer, taps),
        weight_scale=scale if scale is None or scale.size == 1 else np.tile(scale, blocks),
        bias=tiled,
    )
    target = replace(layer.output, shape=(count[0], count[1], outputs))
    return _part(layer, qop, layer.input, target)


def _block_weights(layer: Layer[ConvTranspose2D], taps: Sequence[int]) -> Int8Array:
    """[stride_h * stride_w * out, taps, taps, in]: an output at (a, b) of its block has the taps
    (a + i * stride_h, b + j * stride_w), the last of which is of the first input."""
    (rows, columns), weight = layer.op.window.stride, layer.weight
    outputs, height, width, inputs = weight.shape
    room = ((0, 0), (0, taps[0] * rows - height), (0, taps[1] * columns - width), (0, 0))
    filled = np.pad(weight, room).reshape(outputs, taps[0], rows, taps[1], columns, inputs)
    turned = filled[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5)
    return np.ascontiguousarray(turned.reshape(-1, taps[0], taps[1], inputs))


def transposed(layer: TargetLayer[ConvTranspose2D], plain: Plain) -> Call | None:
    """The call for ``layer``, given what makes one of its `block_layer`."""
    blocks = block_layer(layer)
    layer.declines(blocks is None, "more of the border is cut off than a window reaches over it")
    call = None if blocks is None or layer.refuses_memory else plain(blocks)
    if blocks is None or call is None:
        return None
    window, shape = layer.op.window, layer.output.shape
    cut = [window.padding[axis] % window.stride[axis] for axis in range(2)]
    numbers = (*window.stride, *cut, *shape)
    names = ("stride_h", "stride_w", "cut_top", "cut_left", "out_h", "out_w", "channels")
    spread = Struct("nano_blocks", tuple(zip(names, numbers, strict=True)))
    ctype = call.params.ctype.replace("conv2d_", "conv_transpose2d_")
    row = math.prod(blocks.output.shape[1:])
    return Call(
        call.kernel.replace("conv2d_", "conv_transpose2d_").replace("_relu", ""),
        Struct(ctype, (("conv", call.params), ("blocks", spread))),
        (overlap(_row_needs(layer, blocks, cut[0])),),
        scratch=_rounded(row) + call.scratch,
    )


def _row_needs(
    layer: TargetLayer[ConvTranspose2D], blocks: TargetLayer[Conv2D], cut: int
) -> IndexArray:
    """A row of blocks needs its first input row before any of it is written."""
    rows, stride = layer.output.shape[0], layer.op.window.stride[0]
    row_bytes = math.prod(layer.input.shape[1:])
    line = math.prod(layer.output.shape[1:])
    needs = np.full((rows, line), NOTHING)
    for block in range(blocks.output.shape[0]):
        first = min(max(block - blocks.op.window.padding[0], 0), layer.input.shape[0] - 1)
        needs[max(block * stride - cut, 0), 0] = first * row_bytes
    return needs.reshape(-1)


# --- With the pool behind it ----------------------------------------------------------------------

_POOL_ROW, _POOL_CALL = 120, 200  # instructions to begin a row of a pool's, about; and the layer


def pooled(
    first: TargetLayer[Conv2D],
    second: TargetLayer[Any],
    plain: Plain,
    pools: Sequence[str],
) -> Call | None:
    """The call for a convolution and the pool behind it, given what the kernel makes of the first
    one, and the kernels of ``pools`` that go with it."""
    if first.op.groups != 1 or first.is_wide:
        return None
    pool = (faster_calls(second) or portable_calls(second))[-1]
    if pool.kernel not in pools or second.op.window.dilation != (1, 1):
        return None
    if not _rows_inside(first) or not _rows_inside(second):
        return None
    call = plain(first)
    if call is None:
        return None
    kind = "max_pool" if "max_pool" in pool.kernel else "average_pool"
    kernel = call.kernel if kind == "max_pool" else call.kernel.replace("_relu", "")
    ending = kernel.rsplit("_", 1)[1]
    rows = second.op.window.kernel[0]
    needs = pooled_needs(conv2d_needs(first), second.op.window, second)
    cost = call.cost or estimate(first.target, call.kernel, first)
    cost += estimate(second.target, pool.kernel, second)
    return Call(
        kernel.replace("nano_conv2d", f"nano_conv2d_{kind}"),
        Struct(f"nano_conv2d_pool_{ending}_params", (("conv", call.params), ("pool", pool.params))),
        (overlap(in_chunks(needs, math.prod(second.output.shape[1:]))),),
        scratch=_rounded(rows * math.prod(first.output.shape[1:])) + call.scratch,
        cost=cost + _POOL_CALL + _POOL_ROW * second.output.shape[0],
    )


def _rows_inside(layer: TargetLayer[Any]) -> bool:
    """Whether each window has a row inside the image."""
    window, height = layer.op.window, layer.input.shape[0]
    last = (layer.output.shape[0] - 1) * window.stride[0] - window.padding[0]
    taps = range(0, window.kernel[0] * window.dilation[0], window.dilation[0])
    begins = (at * window.stride[0] - window.padding[0] for at in range(layer.output.shape[0]))
    return last < height and all(any(0 <= b + tap < height for tap in taps) for b in begins)
