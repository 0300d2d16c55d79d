"""Windows: SAME, VALID, or a PAD in front."""

from __future__ import annotations

import numpy as np
import tflite

from nanotool.backends.tflite.file import Codes, File
from nanotool.ir import DTYPES, QOp, Shape, Window


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """(output size, elements before the input) of SAME along one axis."""
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return out, total // 2


def plain_padding(window: Window, shape: Shape) -> int | None:
    """SAME or VALID if one of them places ``window`` as it is; else None."""
    height, width = shape[0], shape[1]
    output = window.output_size(height, width)
    before = window.padding[:2]
    bare = Window(window.kernel, window.stride, dilation=window.dilation)
    if before == (0, 0) and output == bare.output_size(height, width):
        return int(tflite.Padding.VALID)
    rows, columns = (
        same_padding(*axis)
        for axis in zip((height, width), window.kernel, window.stride, window.dilation, strict=True)
    )
    if (output, before) == ((rows[0], columns[0]), (rows[1], columns[1])):
        return int(tflite.Padding.SAME)
    return None


def padded(file: File, op: QOp, window: Window, fill: int) -> tuple[int, int]:
    """(input tensor, SAME or VALID) for ``op``, with a PAD in front if neither fits."""
    source = file.source(op)
    input_index = file.index[op.inputs[0]]
    padding = plain_padding(window, source.shape)
    if padding is not None:
        return input_index, padding
    top, left, bottom, right = window.padding
    height, width, depth = source.shape
    shape = (height + top + bottom, width + left + right, depth)
    output = file.activation(f"{op.name}/padded", source, shape)
    before, after = (top, left, 0), (bottom, right, 0)
    write_pad(file, op, (input_index, output), (before, after), fill)
    return output, int(tflite.Padding.VALID)


def write_pad(
    file: File,
    op: QOp,
    tensors: tuple[int, int],
    amounts: tuple[Shape, Shape],
    fill: int,
) -> None:
    """A PAD from the first of ``tensors`` to the second, (before, after) each axis; PADV2 if
    ``fill`` is not the zero point of the input."""
    like = file.source(op)
    source, output = tensors
    rows = np.array([(0, 0), *zip(*amounts, strict=True)], np.int32)
    paddings = file.constant(f"{op.name}/paddings", rows)
    if fill == like.zero_point:
        file.operator(Codes.PAD, (source, paddings), output, "PadOptions")
    else:
        filler = np.array([fill], DTYPES[like.dtype])
        value = file.constant(f"{op.name}/fill", filler, (like.scale,), like.zero_point)
        file.operator(Codes.PADV2, (source, paddings, value), output, "PadV2Options")
