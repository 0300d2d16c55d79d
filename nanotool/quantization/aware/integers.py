"""The int8 graph in PyTorch: the integers of `nanotool.simulate`, faster, and on any torch device.

Activations are float32 tensors [n, *shape] that hold the integers. Sums of products are exact in
the float type that is chosen for them, requantization is done in int64. What has no function here
is computed by the simulator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everybody names it)

from nanotool import numerics
from nanotool.ir import (
    DTYPES,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Mean,
    Op,
    QGraph,
    QOp,
    Reshape,
    Slice,
    Table,
    Transpose,
    Unary,
)
from nanotool.ops import Layer, Registry, layer_of
from nanotool.ops.shape import averaged, entries_of
from nanotool.quantization.aware.forms import Learned, Tensor, forms, padded, view
from nanotool.simulate import run_layer

EXACT = 2**24  # integers up to here are exact in float32
Kernel: TypeAlias = Callable[..., Tensor]  # (layer, *inputs) -> output, integers in float32


def _simulated(layer: Layer[Op], *inputs: Tensor) -> Tensor:
    """By way of the simulator, on the CPU."""
    arrays = [
        x.detach().cpu().numpy().astype(DTYPES[tensor.dtype])
        for x, tensor in zip(inputs, layer.inputs, strict=True)
    ]
    result = run_layer(layer, *arrays)
    return torch.tensor(result.astype(np.float32), device=inputs[0].device)


kernels = Registry[Kernel]("quantization/aware/integers.py", default=_simulated)


# --- Scaling --------------------------------------------------------------------------------------


def _wrapped(x: Tensor) -> Tensor:
    """``x`` modulo 2^32, as an int32 is."""
    return ((x + 2**31) & (2**32 - 1)) - 2**31


def scaled(x: Tensor, multiplier: Any, shift: Any) -> Tensor:
    """numerics.multiply_by_quantized_multiplier of int64 ``x``."""
    m = torch.tensor(np.asarray(multiplier, np.int64), device=x.device)
    places = torch.tensor(np.asarray(shift, np.int64), device=x.device)
    right = (-places).clamp(min=0)
    if np.max(shift) > 0:
        x = _wrapped(x << places.clamp(min=0))
    high = (x * m + 2**30) >> 31
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def requantized(acc: Tensor, multiplier: Any, shift: Any, layer: Layer[Any]) -> Tensor:
    """An int64 accumulator, within int32, as the layer's output."""
    y = scaled(acc, multiplier, shift) + layer.output.zero_point
    if np.max(shift) >= 0:  # else half of int32 is free
        y = _wrapped(y)
    return y.clamp(*layer.clamp).to(torch.float32)


def _requantized_wide(acc: Tensor, layer: Layer[Any]) -> Tensor:
    """numerics.requantize_wide of int64 sums, as the layer's output."""
    multiplier, shift = layer.wide_multipliers()
    m = torch.tensor(multiplier.astype(np.int64), device=acc.device)
    right = 15 - torch.tensor(shift.astype(np.int64), device=acc.device)
    one = torch.ones_like(right)
    y = _wrapped((acc * m + (one << (right - 1))) >> right)
    return y.clamp(*layer.clamp).to(torch.float32)


# --- Sums of products -----------------------------------------------------------------------------


def accumulator(layer: Layer[Any], x: Tensor) -> Tensor:
    """The int64 sums of a dense layer or a convolution, without the bias."""
    most = (2**15 if layer.is_wide else 256) * int(
        np.abs(layer.weight.astype(np.int64)).reshape(len(layer.weight), -1).sum(1).max()
    )
    real = torch.float32 if most < EXACT else torch.float64
    centered = x.to(real) - layer.input.zero_point
    weight = torch.tensor(layer.weight, device=x.device).to(real)
    return sums.of(layer.op)(layer, centered, weight).to(torch.int64)


sums = Registry[Kernel](
    "quantization/aware/integers.py", operators=(Dense, Conv2D, ConvTranspose2D)
)


@sums(Dense)
def _dense(_layer: Layer[Dense], x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x, weight)


@sums(Conv2D)
def _conv2d(layer: Layer[Conv2D], x: Tensor, weight: Tensor) -> Tensor:
    window, image = layer.op.window, padded(x.permute(0, 3, 1, 2), layer.op.window)
    y = F.conv2d(
        image,
        weight.permute(0, 3, 1, 2),
        None,
        window.stride,
        0,
        window.dilation,
        layer.op.groups,
    )
    return y.permute(0, 2, 3, 1)


@sums(ConvTranspose2D)
def _conv_transpose2d(layer: Layer[ConvTranspose2D], x: Tensor, weight: Tensor) -> Tensor:
    full = F.conv_transpose2d(
        x.permute(0, 3, 1, 2), weight.permute(3, 0, 1, 2), None, layer.op.window.stride
    )
    top, left, bottom, right = layer.op.window.padding
    return F.pad(full, (-left, -right, -top, -bottom)).permute(0, 2, 3, 1)


def finished(layer: Layer[Any], acc: Tensor) -> Tensor:
    """The output of a layer with weights from its sums: bias, scale, clamp."""
    bias = torch.tensor(layer.bias, device=acc.device)
    if layer.is_wide:
        return _requantized_wide(acc + bias, layer)
    return requantized(acc + bias, *layer.multipliers(), layer)


@kernels(Dense, Conv2D, ConvTranspose2D)
def _weighted(layer: Layer[Any], x: Tensor) -> Tensor:
    return finished(layer, accumulator(layer, x))


# --- Element by element ---------------------------------------------------------------------------


@kernels(Unary, Table)
def _table(layer: Layer[Unary | Table], x: Tensor) -> Tensor:
    if layer.is_wide:
        return _simulated(layer, x)
    table = torch.tensor(entries_of(layer).astype(np.float32), device=x.device)
    return table[x.to(torch.int64) + 128]


@kernels(Binary)
def _binary(layer: Layer[Binary], a: Tensor, b: Tensor) -> Tensor:
    axes = max(a.ndim, b.ndim)
    pair = [x.reshape(len(x), *(1,) * (axes - x.ndim), *x.shape[1:]) for x in (a, b)]
    function = layer.op.function
    if function in {"maximum", "minimum"}:
        chosen = torch.maximum(*pair) if function == "maximum" else torch.minimum(*pair)
        return chosen.clamp(*layer.clamp)
    if layer.is_wide and function != "mul":
        return _simulated(layer, a, b)
    x, y = (
        one.to(torch.int64) - tensor.zero_point
        for one, tensor in zip(pair, layer.inputs, strict=True)
    )
    scales = (layer.inputs[0].scale, layer.inputs[1].scale, layer.output.scale)
    if function == "mul":
        return requantized(x * y, *numerics.mul_multiplier(*scales), layer)
    if function not in {"add", "sub"}:
        return _simulated(layer, a, b)
    parameters = numerics.add_parameters(*scales)
    first = scaled(x << numerics.ADD_LEFT_SHIFT, *parameters.input1)
    second = scaled(y << numerics.ADD_LEFT_SHIFT, *parameters.input2)
    total = first - second if function == "sub" else first + second
    return requantized(total, *parameters.output, layer)


# --- Choosing, and the mean -----------------------------------------------------------------------


@kernels(Reshape, Transpose, Slice, Concat, MaxPool2D)
def _chosen(layer: Layer[Any], *inputs: Tensor) -> Tensor:
    """Outputs are inputs: the float form does with integers what it does with real numbers."""
    return forms.of(layer.op)(view(layer), Learned(), *inputs).clamp(*layer.clamp)


@kernels(Mean)
def _mean(layer: Layer[Mean], x: Tensor) -> Tensor:
    axes = [1 + axis for axis in layer.op.axes]
    if layer.is_wide:
        return _simulated(layer, x)
    count = averaged(layer)
    total = x.to(torch.int64).sum(dim=axes, keepdim=layer.op.keep_dims)
    multiplier = numerics.mean_multiplier(layer.input.scale, layer.output.scale, count)
    return requantized(total - count * layer.input.zero_point, *multiplier, layer)


# --- Graphs ---------------------------------------------------------------------------------------


def compute(graph: QGraph, op: QOp, tensors: Mapping[str, Tensor]) -> Tensor:
    """The output of ``op`` from its inputs among ``tensors``."""
    layer = layer_of(graph, op)
    return kernels.of(op.op)(layer, *(tensors[name] for name in op.inputs))


def constants(graph: QGraph, count: int, device: Any = None) -> dict[str, Tensor]:
    """The constants of ``graph``, [count, *shape] each."""
    return {
        name: torch.tensor(data.astype(np.float32), device=device).expand(count, *data.shape)
        for name, data in graph.constants.items()
    }
