"""Convolutions, dense layers, batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, image_sizes, sizes
from nanotool.frontends.torch.walk import Walk, handles
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
    if int(args["groups"]) != 1:
        walk.refuse(
            f"a transposed convolution of {args['groups']} groups",
            "Use groups=1, or an Upsample and a Conv2d with groups.",
        )
    if max(sizes(args["dilation"], axes)) > 1:
        walk.refuse("a transposed convolution with dilation", "Use dilation=1.")
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


@handles("linear", makes=Dense, anywhere=True)
def _linear(walk: Walk, args: Arguments, node: fx.Node) -> str:
    weight, bias = walk.constant(args["weight"], "weight"), walk.constant(args["bias"], "bias")
    source = walk.source(args["input"])
    return walk.emit(Dense(), (source,), walk.batchless(node), weight=weight, bias=bias)


@handles("matmul", "mm", makes=Dense)
def _matmul(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """x @ a constant matrix is a dense layer without bias."""
    second = args["mat2"] if "mat2" in args else args["other"]
    if walk.is_activation(second):
        walk.refuse(
            f"a product of two activations, {walk.shapes_of_inputs(node)}",
            "Multiply by a constant matrix (nn.Linear), or element by element.",
        )
    matrix = walk.constant(second, "matrix")
    assert matrix is not None
    if matrix.ndim != 2:
        walk.refuse(f"a product with a constant of shape {matrix.shape}", "Use an nn.Linear.")
    weight = np.ascontiguousarray(matrix.T)
    weight.setflags(write=False)
    source = walk.source(args["self"])
    return walk.emit(Dense(), (source,), walk.batchless(node), weight=weight)


@handles("batch_norm", makes=BatchNorm)
def _batch_norm(walk: Walk, args: Arguments, _node: fx.Node) -> str:
    source = walk.source(args["input"])
    shape = walk.shapes[source]
    if len(shape) not in (1, 2, 3):
        walk.refuse(f"BatchNorm on shape {shape}", "Use it on N x C, N x C x L or N x C x H x W.")
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
    image = walk.image(source, "BatchNorm")
    result = walk.emit(BatchNorm(), (image,), walk.shapes[image], weight=weight, bias=bias)
    return walk.from_image(result, len(shape))
