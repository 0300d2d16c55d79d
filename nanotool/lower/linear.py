"""Sums of products: dense layers and convolutions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import (
    Array,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Int8Array,
    Struct,
)
from nanotool.lower.layer import NOTHING, Call, IndexArray, Layer, lowers, overlap
from nanotool.lower.window import window_needs, window_struct


@lowers(Conv2D)
def _conv2d(op: Conv2D, layer: Layer) -> Call:
    """A convolution: an output needs its window, of its group's channels only."""
    params = conv2d_struct(op, layer)
    needs = overlap(conv2d_needs(op, layer))
    macs = layer.output.size * _weight(layer)[0][0].size
    return Call(params.ctype.removesuffix("_params"), params, (needs,), macs=macs)


def is_depthwise(op: Conv2D, layer: Layer) -> bool:
    """Whether the kernel for one input channel a group takes it."""
    return op.groups == layer.input.shape[2] > 1


def conv2d_needs(op: Conv2D, layer: Layer) -> IndexArray:
    """For each output byte the first input byte that it needs, or NOTHING."""
    in_c, out_c = layer.input.shape[2], layer.output.shape[2]
    first_channel = np.arange(out_c) // (out_c // op.groups) * (in_c // op.groups)
    return window_needs(op.window, layer, first_channel)


def conv2d_struct(op: Conv2D, layer: Layer) -> Struct:
    """nano_conv2d_params or nano_depthwise_conv2d_params."""
    depthwise = is_depthwise(op, layer)
    axes = "[kernel_h][kernel_w][out_c]" if depthwise else "[out_c][kernel_h][kernel_w][in_c / g]"
    weight, scale = _weight(layer)
    order = (1, 2, 0, 3) if depthwise else (0, 1, 2, 3)
    fields = (
        ("weights", layer.array("weights", weight.transpose(order), f"weights {axes}")),
        ("bias", _bias_array(layer)),
        ("requant", _requant(layer, scale)),
        ("window", window_struct(op.window, layer)),
        *(() if depthwise else (("groups", layer.uint16("the number of groups", op.groups)),)),
        ("in_zero_point", layer.input.zero_point),
    )
    return Struct(f"nano_{'depthwise_' if depthwise else ''}conv2d_params", fields)


@lowers(ConvTranspose2D)
def _conv_transpose2d(op: ConvTranspose2D, layer: Layer) -> Call:
    """A transposed convolution; its zero point stays unfolded, as outputs differ in their number of
    terms."""
    weight, scale = _weight(layer)
    bias = np.zeros(len(weight), np.int32) if layer.op.bias is None else layer.op.bias
    fields = (
        ("weights", layer.array("weights", weight, "weights [out_c][kernel_h][kernel_w][in_c]")),
        ("bias", layer.array("bias", bias, "bias at scale(in) * scale(weights)")),
        ("requant", _requant(layer, scale)),
        ("window", window_struct(op.window, layer)),
        ("in_zero_point", layer.input.zero_point),
    )
    reach = [_reach(op, layer, axis) for axis in range(2)]
    pairs = math.prod(
        sum(last - first + 1 for first, last in axis if last >= first) for axis in reach
    )
    return Call(
        "nano_conv_transpose2d",
        Struct("nano_conv_transpose2d_params", fields),
        (overlap(_transpose_needs(layer, reach)),),
        macs=pairs * layer.input.shape[2] * layer.output.shape[2],
    )


def _reach(op: ConvTranspose2D, layer: Layer, axis: int) -> list[tuple[int, int]]:
    """Along one axis: the first and the last input index that reaches each output position."""
    size, count = layer.input.shape[axis], layer.output.shape[axis]
    stride, kernel = op.window.stride[axis], op.window.kernel[axis]
    places = range(op.window.padding[axis], op.window.padding[axis] + count)
    return [(max(0, -((kernel - 1 - at) // stride)), min(at // stride, size - 1)) for at in places]


def _transpose_needs(layer: Layer, reach: list[list[tuple[int, int]]]) -> IndexArray:
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
def _dense(_op: Dense, layer: Layer) -> Call:
    """A dense layer over the last axis: an output needs its whole row."""
    in_features, out_features = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // in_features
    weight, scale = _weight(layer)
    fields = (
        ("weights", layer.array("weights", weight, "weights [out_features][in_features]")),
        ("bias", _bias_array(layer)),
        ("requant", _requant(layer, scale)),
        ("rows", layer.uint16("the number of rows", rows)),
        ("in_features", in_features),
        ("out_features", layer.uint16("the number of outputs", out_features)),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * in_features, out_features)
    return Call(
        "nano_dense",
        Struct("nano_dense_params", fields),
        (overlap(needs),),
        macs=layer.output.size * in_features,
    )


# --- Weights --------------------------------------------------------------------------------------


def _weight(layer: Layer) -> tuple[Int8Array, FloatArray]:
    """The canonical weights and their scales; validated before."""
    assert layer.op.weight is not None
    assert layer.op.weight_scale is not None
    return layer.op.weight, layer.op.weight_scale


def folded_bias(layer: Layer) -> NDArray[np.int64]:
    """bias - zero_point(in) * sum(weights)."""
    weight, _ = _weight(layer)
    bias = -layer.input.zero_point * weight.reshape(len(weight), -1).sum(axis=1, dtype=np.int64)
    if layer.op.bias is not None:
        bias += layer.op.bias
    return np.asarray(bias, np.int64)


def _bias_array(layer: Layer) -> Array:
    note = "bias at scale(in) * scale(weights), the input's zero point folded in"
    return layer.array("bias", folded_bias(layer).astype(np.int32), note)


def _requant(layer: Layer, scale: FloatArray) -> Struct:
    """nano_requant."""
    multipliers = (
        numerics.dense_multipliers if isinstance(layer.op.op, Dense) else numerics.conv_multipliers
    )
    multiplier: NDArray[np.int32]
    multiplier, shift = multipliers(layer.input.scale, scale, layer.output.scale)
    low, high = layer.op.clamp
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
