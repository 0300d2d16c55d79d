"""Convolutions, dense layers, batch norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, image_sizes
from nanotool.frontends.torch.walk import Value, Walk, handles
from nanotool.ir import BatchNorm, Conv2D, ConvTranspose2D, Dense, FloatArray, Shape, Window


def _image_shape(shape: Shape) -> Shape:
    """C, L as C, 1, L."""
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])


def _weight(walk: Walk, args: Arguments) -> tuple[FloatArray, int]:
    """The weight of a layer over images, and how many axes the images had: 1 for a signal."""
    weight = walk.constant(args["weight"], "weight")
    assert weight is not None
    axes = weight.ndim - 2
    return weight.reshape(*weight.shape[:2], *(1,) * (2 - axes), *weight.shape[2:]), axes


def _padding(padding: Any, axes: int, window: Window) -> tuple[int, int, int, int]:
    """top, left, bottom, right. 'same' puts the odd element behind, as PyTorch does."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        steps = zip(window.dilation, window.kernel, strict=True)
        down, across = (step * (size - 1) for step, size in steps)
        return down // 2, across // 2, down - down // 2, across - across // 2
    top, left = image_sizes(padding, axes, 0)
    return top, left, top, left


@handles("conv1d", "conv2d", makes=Conv2D)
def _convolution(walk: Walk, args: Arguments, node: fx.Node) -> str:
    weight, axes = _weight(walk, args)
    source = walk.source(args["input"])
    image = walk.image(source, f"Conv{axes}d")
    kernel = (weight.shape[2], weight.shape[3])
    stride = image_sizes(args["stride"], axes, 1)
    plain = Window(kernel, stride, dilation=image_sizes(args["dilation"], axes, 1))
    padding = _padding(args["padding"], axes, plain)
    window = Window(kernel, stride, padding, plain.dilation)
    bias = walk.constant(args["bias"], "bias")
    shape = _image_shape(walk.batchless(node))
    op = Conv2D(window, int(args["groups"]))
    result = walk.emit(op, (image,), shape, weight=weight, bias=bias)
    return walk.from_image(result, axes + 1)


@handles("conv_transpose1d", "conv_transpose2d", makes=ConvTranspose2D)
def _transposed_convolution(walk: Walk, args: Arguments, node: fx.Node) -> str:
    weight, axes = _weight(walk, args)  # C, O, KH, KW
    weight = _ungrouped(
        _undilated(weight, image_sizes(args["dilation"], axes, 1)), int(args["groups"])
    )
    image = walk.image(walk.source(args["input"]), f"ConvTranspose{axes}d")
    top, left = image_sizes(args["padding"], axes, 0)
    more_rows, more_columns = image_sizes(args["output_padding"], axes, 0)
    kernel, stride = (weight.shape[2], weight.shape[3]), image_sizes(args["stride"], axes, 1)
    window = Window(kernel, stride, (top, left, top - more_rows, left - more_columns))
    turned = np.ascontiguousarray(weight.transpose(1, 0, 2, 3))
    turned.setflags(write=False)
    bias = walk.constant(args["bias"], "bias")
    shape = _image_shape(walk.batchless(node))
    result = walk.emit(ConvTranspose2D(window), (image,), shape, weight=turned, bias=bias)
    return walk.from_image(result, axes + 1)


def _undilated(weight: FloatArray, dilation: tuple[int, int]) -> FloatArray:
    """Kernels with zeros between their taps."""
    height, width = (
        (size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True)
    )
    wide = np.zeros((*weight.shape[:2], height, width), np.float32)
    wide[:, :, :: dilation[0], :: dilation[1]] = weight
    return wide


def _ungrouped(weight: FloatArray, groups: int) -> FloatArray:
    """Kernels C, O over all channels; zeros for those of other groups."""
    inputs, outputs = weight.shape[:2]
    whole = np.zeros((inputs, outputs * groups, *weight.shape[2:]), np.float32)
    for group in range(groups):
        rows = slice(group * inputs // groups, (group + 1) * inputs // groups)
        whole[rows, group * outputs : (group + 1) * outputs] = weight[rows]
    return whole


@handles("convolution", makes=(Conv2D, ConvTranspose2D))
def _any_convolution(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    """What decompositions leave of all of them."""
    return (_transposed_convolution if args["transposed"] else _convolution)(walk, args, node)


@handles("linear", makes=Dense, anywhere=True)
def _linear(walk: Walk, args: Arguments, node: fx.Node) -> str:
    weight, bias = walk.constant(args["weight"], "weight"), walk.constant(args["bias"], "bias")
    source = walk.source(args["input"])
    return walk.emit(Dense(), (source,), walk.batchless(node), weight=weight, bias=bias)


@handles("batch_norm", makes=BatchNorm)
def _batch_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    source = walk.source(args["input"])
    shape = walk.shapes[source]
    mean = walk.constant(args["running_mean"], "running mean")
    variance = walk.constant(args["running_var"], "running variance")
    if mean is None or variance is None or args.get("training"):
        walk.refuse("BatchNorm that normalizes by the batch", "Leave track_running_stats at True.")
    gain, offset = walk.constant(args["weight"], "weight"), walk.constant(args["bias"], "bias")
    # In float64, so that folding loses nothing: y = (x - mean) / sqrt(var + eps) * gain + offset
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + float(args["eps"]))
    if gain is not None:
        scale = scale * gain
    shift = (0.0 if offset is None else offset) - mean.astype(np.float64) * scale
    weight, bias = scale.astype(np.float32), shift.astype(np.float32)
    if len(shape) == 1:
        return walk.emit(BatchNorm(), (source,), shape, weight=weight, bias=bias)
    if len(shape) <= 3:
        image = walk.image(source, "BatchNorm")
        result = walk.emit(BatchNorm(), (image,), walk.shapes[image], weight=weight, bias=bias)
        return walk.from_image(result, len(shape))
    flat = (shape[0], 1, math.prod(shape[1:]))
    image = walk.reshaped(source, flat, suffix="image")
    result = walk.emit(BatchNorm(), (image,), flat, weight=weight, bias=bias)
    return walk.reshaped(result, shape)


@handles("_native_batch_norm_legit_no_training", makes=BatchNorm)
def _native_batch_norm(walk: Walk, args: Arguments, node: fx.Node) -> Value:
    return [_batch_norm(walk, args, node), None, None]
