"""Dense layers and convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tflite

from nanotool.backends.tflite.clamp import clamped
from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import NO_TENSOR, Codes, File
from nanotool.backends.tflite.move import write_slice
from nanotool.backends.tflite.padding import padded
from nanotool.errors import UnsupportedOp
from nanotool.ir import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    GroupNorm,
    Int8Array,
    LayerNorm,
    MatMul,
    Window,
)
from nanotool.ops import Layer
from nanotool.ops.words import words


def _weights(
    file: File, layer: Layer[Any], weight: Int8Array, axis: int = 0, *, int4: bool = False
) -> tuple[int, int]:
    """The weight and bias tensors; the bias may be NO_TENSOR. Scales go along ``axis``. ``int4``:
    TensorFlow Lite Micro takes weights in INT4, beside activations in INT8."""
    op = layer.qop
    scales = np.asarray(layer.weight_scale, np.float32).reshape(-1)
    values = tuple(scales.tolist())
    write = file.narrow if int4 and not layer.is_wide else file.constant
    index = write(f"{op.name}/weight", weight, values, axis=axis if len(values) > 1 else 0)
    if op.bias is None:
        return index, NO_TENSOR
    bias_scales = (np.float32(file.source(op).scale) * scales).tolist()
    return index, file.constant(f"{op.name}/bias", op.bias, tuple(bias_scales))


@emits(Dense, writes=(Codes.FULLY_CONNECTED,))
def _dense(file: File, layer: Layer[Dense]) -> None:
    op = layer.qop
    one_scale = np.size(layer.weight_scale) == 1  # with more TensorFlow Lite Micro refuses INT4
    weight, bias = _weights(file, layer, layer.weight, int4=one_scale)
    inputs = (file.index[op.inputs[0]], weight, bias)
    keep = len(file.source(op).shape) > 1

    def write(output: int, activation: int) -> None:
        file.operator(
            Codes.FULLY_CONNECTED,
            inputs,
            output,
            "FullyConnectedOptions",
            FusedActivationFunction=activation,
            KeepNumDims=keep,
        )

    clamped(file, op, write)


@emits(Conv2D, writes=(Codes.CONV_2D, Codes.DEPTHWISE_CONV_2D))
def _conv2d(file: File, layer: Layer[Conv2D]) -> None:
    """CONV_2D, or DEPTHWISE_CONV_2D where every input channel is a group; its filter is
    1, KH, KW, O."""
    op = layer.qop
    window, channels = layer.op.window, file.source(op).shape[2]
    source, padding = padded(file, op, window, fill=file.source(op).zero_point)
    depthwise = layer.op.groups == channels > 1
    if depthwise:
        weight, bias = _weights(file, layer, layer.weight.transpose(3, 1, 2, 0), axis=3, int4=True)
    else:
        weight, bias = _weights(file, layer, layer.weight, int4=True)
    inputs = (source, weight) if bias == NO_TENSOR else (source, weight, bias)
    more = {"DepthMultiplier": len(layer.weight) // channels} if depthwise else {}

    def write(output: int, activation: int) -> None:
        file.operator(
            Codes.DEPTHWISE_CONV_2D if depthwise else Codes.CONV_2D,
            inputs,
            output,
            "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
            Padding=padding,
            StrideH=window.stride[0],
            StrideW=window.stride[1],
            DilationHFactor=window.dilation[0],
            DilationWFactor=window.dilation[1],
            FusedActivationFunction=activation,
            **more,
        )

    clamped(file, op, write)


# --- Transposed convolution -----------------------------------------------------------------------


def _fits(window: Window, sizes: tuple[int, int], outputs: tuple[int, int], padding: int) -> bool:
    """Whether TRANSPOSE_CONV with this padding cuts off what ``window`` does: a convolution with
    that padding would turn ``outputs`` into ``sizes``, padded as much in front."""
    for axis in range(2):
        kernel, stride, before = window.kernel[axis], window.stride[axis], window.padding[axis]
        same = padding == tflite.Padding.SAME
        span = outputs[axis] if same else outputs[axis] - kernel + 1
        total = (sizes[axis] - 1) * stride + kernel - outputs[axis]
        if -(-span // stride) != sizes[axis] or max(0, total) // 2 != before:
            return False
    return True


@emits(ConvTranspose2D, writes=(Codes.TRANSPOSE_CONV, Codes.SLICE))
def _conv_transpose2d(file: File, layer: Layer[ConvTranspose2D]) -> None:
    """TRANSPOSE_CONV; where neither SAME nor VALID cuts off as much, VALID and then a SLICE."""
    op = layer.qop
    window, (height, width, _) = layer.op.window, file.source(op).shape
    rows, columns, depth = file.target(op).shape
    for padding in (tflite.Padding.VALID, tflite.Padding.SAME):
        if _fits(window, (height, width), (rows, columns), padding):
            clamped(file, op, _transpose_conv(file, layer, padding))
            return
    top, left = window.padding[:2]
    whole = (
        max((height - 1) * window.stride[0] + window.kernel[0], top + rows),
        max((width - 1) * window.stride[1] + window.kernel[1], left + columns),
        depth,
    )
    uncut = file.activation(f"{op.name}/uncut", file.target(op), whole)
    clamped(file, op, _transpose_conv(file, layer, tflite.Padding.VALID), output=uncut)
    write_slice(file, op, (uncut, file.index[op.name]), (top, left, 0))


def _transpose_conv(file: File, layer: Layer[Any], padding: int) -> Callable[[int, int], None]:
    op = layer.qop
    stride = layer.op.window.stride
    weight, bias = _weights(file, layer, layer.weight)
    source = file.index[op.inputs[0]]

    def write(output: int, activation: int) -> None:
        shape = file.numbers(f"{op.name}/shape", *file.tensors[output].shape)
        inputs = (shape, weight, source) if bias == NO_TENSOR else (shape, weight, source, bias)
        file.operator(
            Codes.TRANSPOSE_CONV,
            inputs,
            output,
            "TransposeConvOptions",
            Padding=padding,
            StrideH=stride[0],
            StrideW=stride[1],
            FusedActivationFunction=activation,
        )

    return write


@emits(MatMul, writes=(Codes.BATCH_MATMUL,))
def _matmul(file: File, layer: Layer[MatMul]) -> None:
    op, turned = layer.qop, layer.op

    def write(output: int, _activation: int) -> None:
        options = {"AdjX": turned.adj_x, "AdjY": turned.adj_y}
        file.operator(Codes.BATCH_MATMUL, file.inputs(op), output, "BatchMatMulOptions", **options)

    clamped(file, op, write, fuses=False)


@emits(LayerNorm, GroupNorm)
def _norm(_file: File, layer: Layer[LayerNorm | GroupNorm]) -> None:
    raise UnsupportedOp(
        layer.name,
        f"a {words(layer.op)} in a .tflite file",
        "TensorFlow Lite has no int8 operator for it: export C source.",
    )
