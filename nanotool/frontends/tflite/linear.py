"""Dense layers, convolutions, matrix products."""

from __future__ import annotations

import math

import numpy as np

from nanotool.frontends.tflite import schema
from nanotool.frontends.tflite.builder import Call
from nanotool.frontends.tflite.importers import imports
from nanotool.frontends.tflite.windows import window_of
from nanotool.ir import Conv2D, ConvTranspose2D, Dense, MatMul, Shape, Window


def _image(call: Call) -> tuple[int, int, int]:
    """Height, width and channels of a convolution's input."""
    if call.operator.dilated is None:
        return call.image(0)
    _, height, width, channels = call.operator.dilated.shape
    return height, width, channels


def _window(
    call: Call,
    options: schema.Conv2DOptions | schema.DepthwiseConv2DOptions,
    size: tuple[int, int],
    kernel: tuple[int, int],
) -> Window:
    dilated = call.operator.dilated
    if dilated is not None:
        window = Window(kernel, (1, 1), dilated.padding, dilated.dilation)
        if min(window.output_size(*size)) < 1:
            call.invalid(f"its window {kernel} is larger than its input {size}")
        return window
    return window_of(
        call,
        options.padding,
        size,
        kernel=kernel,
        stride=(options.stride_h, options.stride_w),
        dilation=(options.dilation_h, options.dilation_w),
    )


@imports("CONV_2D", Conv2D, 2, 3)
def _conv2d(call: Call) -> None:
    options = call.options(schema.Conv2DOptions)
    height, width, channels = _image(call)
    weight, scale = call.weights(1, rank=4, channel_axis=0)
    outputs, rows, columns, depth = weight.shape
    if channels % depth or outputs % (channels // depth):
        call.invalid(f"its weights {weight.shape} do not fit {channels} input channels")
    window = _window(call, options, (height, width), (rows, columns))
    call.emit(
        Conv2D(window, channels // depth),
        [call.source(0, (height, width, channels))],
        (*window.output_size(height, width), outputs),
        clamp=call.clamp(options.fused_activation),
        weight=weight,
        weight_scale=scale,
        bias=call.bias(2, outputs, options.quantized_bias_type),
    )


@imports("DEPTHWISE_CONV_2D", Conv2D, 2, 3)
def _depthwise_conv2d(call: Call) -> None:
    """Weights 1, KH, KW, C · multiplier in the file; here a convolution with C groups."""
    options = call.options(schema.DepthwiseConv2DOptions)
    height, width, channels = _image(call)
    weight, scale = call.weights(1, rank=4, channel_axis=3)
    first, rows, columns, outputs = weight.shape
    if first != 1 or outputs % channels:
        call.invalid(f"its weights {weight.shape} do not fit {channels} input channels")
    window = _window(call, options, (height, width), (rows, columns))
    call.emit(
        Conv2D(window, channels),
        [call.source(0, (height, width, channels))],
        (*window.output_size(height, width), outputs),
        clamp=call.clamp(options.fused_activation),
        weight=np.ascontiguousarray(weight.transpose(3, 1, 2, 0)),
        weight_scale=scale,
        bias=call.bias(2, outputs),
    )


@imports("TRANSPOSE_CONV", ConvTranspose2D, 3, 4, unread=frozenset({0}))
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
    forward = window_of(call, options.padding, size, kernel=(rows, columns), stride=stride)
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


@imports("FULLY_CONNECTED", Dense, 2, 3)
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
        bias=call.bias(2, outputs, options.quantized_bias_type),
    )


@imports("BATCH_MATMUL", MatMul, 2, 2)
def _batch_matmul(call: Call) -> None:
    """The matrices are the last two axes; those in front broadcast."""
    options = call.options(schema.BatchMatMulOptions)
    shapes = [call.given(i).shape for i in range(2)]
    if min(map(len, shapes)) < 2:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} are no matrices")
    axes = max(2, *(len(_matrices(shape)) for shape in shapes))
    x, y = ((*(1,) * (axes - len(_matrices(shape))), *_matrices(shape)) for shape in shapes)
    rows, inner = x[-2:][:: -1 if options.adj_x else 1]
    depth, columns = y[-2:][:: -1 if options.adj_y else 1]
    try:
        outer = tuple(np.broadcast_shapes(x[:-2], y[:-2]))
    except ValueError:
        outer = None
    if inner != depth or outer is None:
        call.invalid(f"its inputs {shapes[0]} and {shapes[1]} do not fit together")
    inputs = [call.source(i, shape) for i, shape in enumerate((x, y))]
    call.emit(MatMul(options.adj_x, options.adj_y), inputs, (*outer, rows, columns))


def _matrices(shape: Shape) -> Shape:
    """The shape without the leading axes of 1 that are no matrix's."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape
