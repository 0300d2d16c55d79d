"""Sums of products: dense layers and convolutions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import (
    Array,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Op,
    Struct,
)
from nanotool.lower.layer import NOTHING, Call, IndexArray, TargetLayer, lowers, overlap
from nanotool.lower.pooling import window_needs, window_struct
from nanotool.ops import Layer


@lowers(Conv2D)
def _conv2d(layer: TargetLayer[Conv2D]) -> Call:
    """A convolution: an output needs its window, of its group's channels only."""
    params = conv2d_struct(layer)
    needs = overlap(conv2d_needs(layer))
    return Call(params.ctype.removesuffix("_params"), params, (needs,))


def is_depthwise(layer: TargetLayer[Conv2D]) -> bool:
    """Whether the kernel for one input channel a group takes it."""
    return layer.op.groups == layer.input.shape[2] > 1


def conv2d_needs(layer: TargetLayer[Conv2D]) -> IndexArray:
    """For each output byte the first input byte that it needs, or NOTHING."""
    op = layer.op
    in_c, out_c = layer.input.shape[2], layer.output.shape[2]
    first_channel = np.arange(out_c) // (out_c // op.groups) * (in_c // op.groups)
    return window_needs(op.window, layer, first_channel)


def conv2d_struct(layer: TargetLayer[Conv2D]) -> Struct:
    """nano_conv2d_params or nano_depthwise_conv2d_params."""
    op = layer.op
    depthwise = is_depthwise(layer)
    axes = "[kernel_h][kernel_w][out_c]" if depthwise else "[out_c][kernel_h][kernel_w][in_c / g]"
    order = (1, 2, 0, 3) if depthwise else (0, 1, 2, 3)
    fields = (
        ("weights", layer.array("weights", layer.weight.transpose(order), f"weights {axes}")),
        ("bias", _bias_array(layer)),
        ("requant", _requant(layer)),
        ("window", window_struct(op.window, layer)),
        *(() if depthwise else (("groups", layer.uint16("the number of groups", op.groups)),)),
        ("in_zero_point", layer.input.zero_point),
    )
    return Struct(f"nano_{'depthwise_' if depthwise else ''}conv2d_params", fields)


@lowers(ConvTranspose2D)
def _conv_transpose2d(layer: TargetLayer[ConvTranspose2D]) -> Call:
    """A transposed convolution; its zero point stays unfolded, as outputs differ in their number of
    terms."""
    bias = layer.bias.astype(np.int32)
    fields = (
        (
            "weights",
            layer.array("weights", layer.weight, "weights [out_c][kernel_h][kernel_w][in_c]"),
        ),
        ("bias", layer.array("bias", bias, "bias at scale(in) * scale(weights)")),
        ("requant", _requant(layer)),
        ("window", window_struct(layer.op.window, layer)),
        ("in_zero_point", layer.input.zero_point),
    )
    reach = [_reach(layer, axis) for axis in range(2)]
    return Call(
        "nano_conv_transpose2d",
        Struct("nano_conv_transpose2d_params", fields),
        (overlap(_transpose_needs(layer, reach)),),
    )


def _reach(layer: TargetLayer[ConvTranspose2D], axis: int) -> list[tuple[int, int]]:
    """Along one axis: the first and the last input index that reaches each output position."""
    op = layer.op
    size, count = layer.input.shape[axis], layer.output.shape[axis]
    stride, kernel = op.window.stride[axis], op.window.kernel[axis]
    places = range(op.window.padding[axis], op.window.padding[axis] + count)
    return [(max(0, -((kernel - 1 - at) // stride)), min(at // stride, size - 1)) for at in places]


def _transpose_needs(layer: TargetLayer[Op], reach: list[list[tuple[int, int]]]) -> IndexArray:
    """For each output byte the first input byte that it needs, or NOTHING."""
    in_h, in_w, in_c = layer.input.shape
    rows, columns = (
        np.array([first if first <= last else size for first, last in axis], np.int64)
        for axis, size in zip(reach, (in_h, in_w), strict=True)
    )
    pixels = (rows[:, None] * in_w + columns[None, :]) * in_c
    outside = (rows[:, None] == in_h) | (columns[None, :] == in_w)
    return np.repeat(np.where(outside, NOTHING, pixels).reshape(-1), layer.output.shape[2])


@lowers(Dense)
def _dense(layer: TargetLayer[Dense]) -> Call:
    """A dense layer over the last axis: an output needs its whole row."""
    in_features, out_features = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // in_features
    fields = (
        ("weights", layer.array("weights", layer.weight, "weights [out_features][in_features]")),
        ("bias", _bias_array(layer)),
        ("requant", _requant(layer)),
        ("rows", layer.uint16("the number of rows", rows)),
        ("in_features", in_features),
        ("out_features", layer.uint16("the number of outputs", out_features)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * in_features, out_features)
    return Call(
        "nano_dense",
        Struct("nano_dense_params", fields),
        (overlap(needs),),
    )


# --- Weights --------------------------------------------------------------------------------------


def folded_bias(layer: Layer[Op]) -> NDArray[np.int64]:
    """bias - zero_point(in) * sum(weights)."""
    sums = layer.weight.reshape(len(layer.weight), -1).sum(axis=1, dtype=np.int64)
    return np.asarray(layer.bias - layer.input.zero_point * sums, np.int64)


def _bias_array(layer: TargetLayer[Op]) -> Array:
    note = "bias at scale(in) * scale(weights), the input's zero point folded in"
    return layer.array("bias", folded_bias(layer).astype(np.int32), note)


def _requant(layer: TargetLayer[Op]) -> Struct:
    """nano_requant."""
    multiplier: NDArray[np.int32]
    multiplier, shift = layer.multipliers()
    low, high = layer.clamp
    return Struct(
        "nano_requant",
        (
            ("multiplier", layer.array("multiplier", multiplier, "multiplier, Q31")),
            ("shift", layer.array("shift", shift, "shift, positive: left")),
            ("per_channel", int(multiplier.size > 1)),
            ("zero_point", layer.output.zero_point),
            ("min", low),
            ("max", high),
        ),
    )
