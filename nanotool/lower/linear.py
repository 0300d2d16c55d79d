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
    GroupNorm,
    LayerNorm,
    MatMul,
    Op,
    Struct,
)
from nanotool.lower.layer import (
    NOTHING,
    Call,
    Fields,
    IndexArray,
    TargetLayer,
    factor,
    lowers,
    overlap,
    positions,
    row_major,
    store,
)
from nanotool.lower.pooling import window_needs, window_struct
from nanotool.ops import Layer
from nanotool.ops.shape import matmul_multiplier, normalized_elements


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
    return Call(
        "nano_conv_transpose2d",
        Struct("nano_conv_transpose2d_params", fields),
        (overlap(transpose_needs(layer)),),
    )


def _reach(layer: TargetLayer[ConvTranspose2D], axis: int) -> list[tuple[int, int]]:
    """Along one axis: the first and the last input index that reaches each output position."""
    op = layer.op
    size, count = layer.input.shape[axis], layer.output.shape[axis]
    stride, kernel = op.window.stride[axis], op.window.kernel[axis]
    places = range(op.window.padding[axis], op.window.padding[axis] + count)
    return [(max(0, -((kernel - 1 - at) // stride)), min(at // stride, size - 1)) for at in places]


def transpose_needs(layer: TargetLayer[ConvTranspose2D]) -> IndexArray:
    """For each output element the first input element that it needs, or NOTHING."""
    reach = [_reach(layer, axis) for axis in range(2)]
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


# --- Two activations ------------------------------------------------------------------------------


@lowers(MatMul)
def _matmul(layer: TargetLayer[MatMul]) -> Call:
    """An output needs its row of the first operand and its column of the second."""
    op = layer.op
    places = [positions(tensor) for tensor in layer.inputs]
    steps = [row_major(tensor.shape) for tensor in layer.inputs]
    turned = (op.adj_x, op.adj_y)
    for i in range(2):
        if turned[i]:
            places[i] = np.swapaxes(places[i], -1, -2)
            steps[i] = [*steps[i][:-2], steps[i][-1], steps[i][-2]]
    shape = layer.output.shape
    missing = 4 - len(shape)
    batch = (*(1,) * missing, *shape[:-2])
    strides = [
        (
            *(0,) * missing,
            *(0 if tensor.shape[k] == 1 else step[k] for k in range(len(shape) - 2)),
        )
        for tensor, step in zip(layer.inputs, steps, strict=True)
    ]
    data = [
        None if one is None else layer.array("constant", one, "constant operand")
        for one in layer.constants
    ]
    fields: Fields = (
        ("a", data[0]),
        ("b", data[1]),
        ("batch", batch),
        ("a_batch", strides[0]),
        ("b_batch", strides[1]),
        ("rows", shape[-2]),
        ("columns", shape[-1]),
        ("depth", places[0].shape[-1]),
        ("a_row", steps[0][-2]),
        ("a_step", steps[0][-1]),
        ("b_column", steps[1][-1]),
        ("b_step", steps[1][-2]),
        ("a_zero_point", layer.inputs[0].zero_point),
        ("b_zero_point", layer.inputs[1].zero_point),
        ("factor", factor(matmul_multiplier(layer))),
        ("store", store(layer)),
    )
    needs = (places[0].min(axis=-1)[..., :, None], places[1].min(axis=-2)[..., None, :])
    reads = tuple(i for i in range(2) if data[i] is None)
    overlaps = tuple(overlap(np.broadcast_to(needs[i], shape).reshape(-1)) for i in reads)
    macs = layer.output.size * places[0].shape[-1]
    return Call("nano_matmul", Struct("nano_matmul_params", fields), overlaps, reads, macs=macs)


# --- Norms ----------------------------------------------------------------------------------------


@lowers(LayerNorm, GroupNorm)
def _norm(layer: TargetLayer[LayerNorm | GroupNorm]) -> Call:
    """All elements that share a mean are read before any of them is written: it works in place."""
    op, (*front, channels) = layer.op, layer.input.shape
    grouped = isinstance(op, GroupNorm)
    groups = op.groups if isinstance(op, GroupNorm) else 1
    count = normalized_elements(layer)
    epsilon = numerics.normalization_epsilon(op.epsilon, layer.input.scale, count)
    fields: Fields = (
        ("weights", layer.array("weights", layer.weight, "weights [channels]")),
        ("bias", layer.array("bias", layer.bias.astype(np.int32), "bias at 2^-12 * scale(w)")),
        ("requant", _requant(layer)),
        ("rows", 1 if grouped else math.prod(front)),
        ("positions", math.prod(front) if grouped else 1),
        ("channels", channels),
        ("groups", groups),
        ("epsilon_high", epsilon >> 32),
        ("epsilon_low", epsilon & 0xFFFFFFFF),
        ("centered", int(grouped or (isinstance(op, LayerNorm) and op.centered))),
        ("in_zero_point", layer.input.zero_point),
    )
    return Call("nano_norm", Struct("nano_norm_params", fields), (0,), scratch=12 * groups)
