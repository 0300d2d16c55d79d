"""The float form of every operator in PyTorch, with gradients: the twin of `float_ops`.

One short function an operator, (layer, inputs, weight, bias) -> output, the layer's clamp aside.
Tensors are [n, *shape], images H, W, C; constants have an n of 1. Weight and bias, where there are
some, are given beside the layer: they may be learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everybody names it)

from nanotool import numerics, unary
from nanotool.errors import UnsupportedOp
from nanotool.ir import (
    ArgMax,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    CumSum,
    Custom,
    Dense,
    Function,
    Gather,
    GroupNorm,
    Gru,
    LayerNorm,
    LogSoftmax,
    Lstm,
    MatMul,
    MaxPool2D,
    Mean,
    Node,
    Op,
    Pad,
    PRelu,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Rnn,
    Slice,
    Softmax,
    Svdf,
    Table,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import INT8_OPERATORS, FloatLayer, Layer, Registry, custom

Tensor: TypeAlias = torch.Tensor


@dataclass(frozen=True, slots=True)
class Learned:
    """The weights and the bias of a layer, in its operator's layout; None: it has none."""

    weight: Tensor | None = None
    bias: Tensor | None = None


Form: TypeAlias = Callable[..., Tensor]  # (layer, learned, *inputs) -> output, its clamp aside
# Recurrent layers have states, which no gradient crosses: they are refused before.
forms = Registry[Form](
    "quantization/aware/forms.py",
    operators=(*INT8_OPERATORS, Function),
    without=(Lstm, Gru, Rnn, Svdf, Table),
)


def _aligned(*inputs: Tensor) -> list[Tensor]:
    """The inputs [n, *shape] with as many axes each: new ones of 1 stand behind n."""
    axes = max(x.ndim for x in inputs)
    return [x.reshape(len(x), *(1,) * (axes - x.ndim), *x.shape[1:]) for x in inputs]


def _to_channels(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _from_channels(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def padded(x: Tensor, window: Window, fill: float = 0.0) -> Tensor:
    """An image n, C, H, W with the window's padding around it; a negative one cuts off."""
    top, left, bottom, right = window.padding
    return F.pad(x, (left, right, top, bottom), value=fill) if any(window.padding) else x


# --- Sums of products -----------------------------------------------------------------------------


@forms(Dense)
def _dense(_layer: FloatLayer[Dense], learned: Learned, x: Tensor) -> Tensor:
    assert learned.weight is not None
    return F.linear(x, learned.weight, learned.bias)


@forms(Conv2D)
def _conv2d(layer: FloatLayer[Conv2D], learned: Learned, x: Tensor) -> Tensor:
    assert learned.weight is not None
    window, image = layer.op.window, padded(_to_channels(x), layer.op.window)
    kernels = _to_channels(learned.weight)
    y = F.conv2d(image, kernels, learned.bias, window.stride, 0, window.dilation, layer.op.groups)
    return _from_channels(y)


@forms(ConvTranspose2D)
def _conv_transpose2d(layer: FloatLayer[ConvTranspose2D], learned: Learned, x: Tensor) -> Tensor:
    assert learned.weight is not None
    kernels = learned.weight.permute(3, 0, 1, 2)  # C, O, KH, KW
    full = F.conv_transpose2d(_to_channels(x), kernels, None, layer.op.window.stride)
    top, left, bottom, right = layer.op.window.padding
    inside = _from_channels(F.pad(full, (-left, -right, -top, -bottom)))
    return inside if learned.bias is None else inside + learned.bias


# --- Windows --------------------------------------------------------------------------------------


@forms(MaxPool2D)
def _max_pool(layer: FloatLayer[MaxPool2D], _: Learned, x: Tensor) -> Tensor:
    window = layer.op.window
    image = padded(_to_channels(x), window, -math.inf)
    y = F.max_pool2d(image, window.kernel, window.stride, 0, window.dilation)
    return _from_channels(y)


@forms(AveragePool2D)
def _average_pool(layer: FloatLayer[AveragePool2D], _: Learned, x: Tensor) -> Tensor:
    window, image = layer.op.window, _to_channels(x)
    taps = torch.ones(1, 1, *window.kernel, dtype=x.dtype, device=x.device)

    def sums(values: Tensor) -> Tensor:
        channels = values.shape[1]
        kernel = taps.expand(channels, 1, *window.kernel)
        return F.conv2d(
            padded(values, window), kernel, None, window.stride, 0, window.dilation, channels
        )

    return _from_channels(sums(image) / sums(torch.ones_like(image[:1, :1])))


@forms(Mean)
def _mean(layer: FloatLayer[Mean], _: Learned, x: Tensor) -> Tensor:
    return x.mean(dim=[1 + axis for axis in layer.op.axes], keepdim=layer.op.keep_dims)


@forms(Reduce)
def _reduce(layer: FloatLayer[Reduce], _: Learned, x: Tensor) -> Tensor:
    axes = [1 + axis for axis in layer.op.axes]
    function = getattr(torch, {"sum": "sum", "max": "amax", "min": "amin"}[layer.op.function])
    result: Tensor = function(x, dim=axes, keepdim=layer.op.keep_dims)
    return result


@forms(MatMul)
def _matmul(layer: FloatLayer[MatMul], _: Learned, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a.mT if layer.op.adj_x else a, b.mT if layer.op.adj_y else b)


@forms(LayerNorm)
def _layer_norm(layer: FloatLayer[LayerNorm], learned: Learned, x: Tensor) -> Tensor:
    assert learned.weight is not None
    if layer.op.centered:
        return F.layer_norm(x, x.shape[-1:], learned.weight, learned.bias, layer.op.epsilon)
    y = x * torch.rsqrt((x * x).mean(-1, keepdim=True) + layer.op.epsilon) * learned.weight
    return y if learned.bias is None else y + learned.bias


@forms(GroupNorm)
def _group_norm(layer: FloatLayer[GroupNorm], learned: Learned, x: Tensor) -> Tensor:
    op = layer.op
    y = F.group_norm(_to_channels(x), op.groups, learned.weight, learned.bias, op.epsilon)
    return _from_channels(y)


# --- Element by element ---------------------------------------------------------------------------


class _Function(torch.autograd.Function):
    """An element-wise function as nanotool.unary has it, its slope by central difference."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, real: unary.RealFunction) -> Tensor:
        """The function's values."""
        data = x.detach().cpu().numpy().astype(np.float64)
        step = 1e-4 * np.maximum(1.0, np.abs(data))
        with np.errstate(all="ignore"):
            slope = (real(data + step) - real(data - step)) / (2 * step)
        slope[~np.isfinite(slope)] = 0.0
        ctx.save_for_backward(torch.as_tensor(slope, dtype=x.dtype, device=x.device))
        return torch.as_tensor(real(data), dtype=x.dtype, device=x.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The chain rule."""
        return gradients[0] * ctx.saved_tensors[0], None


@forms(Unary)
def _unary(layer: FloatLayer[Unary], _: Learned, x: Tensor) -> Tensor:
    return _applied(unary.definition(layer.op.function).real, x)


@forms(Function)
def _function(layer: FloatLayer[Function], _: Learned, x: Tensor) -> Tensor:
    return _applied(layer.op.real, x)


def _applied(real: unary.RealFunction, x: Tensor) -> Tensor:
    y: Tensor = _Function.apply(x, real)  # type: ignore[no-untyped-call]
    return y


_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "squared_difference": lambda a, b: (a - b) ** 2,
    "equal": lambda a, b: (a == b).to(a.dtype),
    "not_equal": lambda a, b: (a != b).to(a.dtype),
    "greater": lambda a, b: (a > b).to(a.dtype),
    "greater_equal": lambda a, b: (a >= b).to(a.dtype),
}


@forms(Binary)
def _binary(layer: FloatLayer[Binary], _: Learned, a: Tensor, b: Tensor) -> Tensor:
    return _BINARY[layer.op.function](*_aligned(a, b))


@forms(PRelu)
def _prelu(_layer: FloatLayer[PRelu], _: Learned, x: Tensor, slopes: Tensor) -> Tensor:
    x, slopes = _aligned(x, slopes)
    return torch.where(x > 0, x, slopes * x)


@forms(Quantize)
def _quantize(_layer: FloatLayer[Quantize], _: Learned, x: Tensor) -> Tensor:
    return x


# --- Along an axis --------------------------------------------------------------------------------


@forms(Softmax)
def _softmax(layer: FloatLayer[Softmax], _: Learned, x: Tensor) -> Tensor:
    return torch.softmax(layer.op.beta * x, dim=-1)


@forms(LogSoftmax)
def _log_softmax(_layer: FloatLayer[LogSoftmax], _: Learned, x: Tensor) -> Tensor:
    return torch.log_softmax(x, dim=-1)


@forms(ArgMax)
def _argmax(layer: FloatLayer[ArgMax], _: Learned, x: Tensor) -> Tensor:
    return x.argmax(dim=1 + layer.op.axis).to(x.dtype)


@forms(CumSum)
def _cumsum(layer: FloatLayer[CumSum], _: Learned, x: Tensor) -> Tensor:
    op, axis = layer.op, 1 + layer.op.axis
    ordered = x.flip(axis) if op.reverse else x
    sums = ordered.cumsum(axis)
    if op.exclusive:
        sums = sums - ordered
    return sums.flip(axis) if op.reverse else sums


# --- What packages bring --------------------------------------------------------------------------


@forms(Custom)
def _custom(layer: FloatLayer[Custom], _: Learned, *inputs: Tensor) -> Tensor:
    """Its torch(), or PyTorch's operator of that name; of images in the order that it asks for."""
    op = layer.op
    known = custom.definition(op.function)
    if known.torch is not None:
        return torch.as_tensor(known.torch(op, *inputs))
    space, name = op.function.split("::")
    registered = getattr(getattr(torch.ops, space), name, None)
    if registered is None:
        raise UnsupportedOp(
            layer.name,
            f"{op.function} in PyTorch",
            "Import the package that registers it with torch.library.",
        )
    turns = known.order == "channels_last"
    given = [x.permute(0, 3, 1, 2) if turns and x.ndim == 4 else x for x in inputs]
    result = torch.as_tensor(registered(*given, *op.numbers))
    return result.permute(0, 2, 3, 1) if turns and result.ndim == 4 else result


# --- Elements go elsewhere ------------------------------------------------------------------------


@forms(Reshape)
def _reshape(layer: FloatLayer[Reshape], _: Learned, x: Tensor) -> Tensor:
    return x.reshape(len(x), *layer.shape)


@forms(Transpose)
def _transpose(layer: FloatLayer[Transpose], _: Learned, x: Tensor) -> Tensor:
    return x.permute(0, *(1 + axis for axis in layer.op.permutation))


@forms(Concat)
def _concat(layer: FloatLayer[Concat], _: Learned, *inputs: Tensor) -> Tensor:
    n = max(len(x) for x in inputs)
    return torch.cat([x.expand(n, *x.shape[1:]) for x in inputs], dim=1 + layer.op.axis)


@forms(Slice)
def _slice(layer: FloatLayer[Slice], _: Learned, x: Tensor) -> Tensor:
    for axis, (begin, stride, count) in enumerate(
        zip(layer.op.begin, layer.op.stride, layer.shape, strict=True)
    ):
        places = begin + stride * torch.arange(count, device=x.device)
        x = x.index_select(1 + axis, places)
    return x


@forms(Gather)
def _gather(layer: FloatLayer[Gather], _: Learned, x: Tensor) -> Tensor:
    places = torch.as_tensor(layer.op.indices, dtype=torch.int64, device=x.device)
    return x.index_select(1 + layer.op.axis, places)


@forms(Pad)
def _pad(layer: FloatLayer[Pad], _: Learned, x: Tensor, *value: Tensor) -> Tensor:
    widths: list[int] = []
    for before, after in reversed(list(zip(layer.op.before, layer.op.after, strict=True))):
        widths += [before, after]
    return F.pad(x, widths, value=float(value[0].item()) if value else 0.0)


@forms(Resize)
def _resize(layer: FloatLayer[Resize], _: Learned, x: Tensor) -> Tensor:
    for axis in (0, 1):
        x = _resize_axis(layer.op, x, 1 + axis, layer.shape[axis])
    return x


def _resize_axis(op: Resize, x: Tensor, axis: int, output: int) -> Tensor:
    size = x.shape[axis]
    if op.method == "nearest":
        flags = (op.align_corners, op.half_pixel_centers)
        places = numerics.nearest_positions(size, output, *flags)
        return x.index_select(axis, torch.as_tensor(places, dtype=torch.int64, device=x.device))
    scale = (size - 1) / (output - 1) if op.align_corners and output > 1 else size / output
    offset = 0.5 if op.half_pixel_centers else 0.0
    position = ((torch.arange(output, device=x.device) + offset) * scale - offset).clamp(
        0, size - 1
    )
    lower = position.floor().to(torch.int64)
    upper = (lower + 1).clamp(max=size - 1)
    weight = (position - lower).to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return x.index_select(axis, lower) * (1 - weight) + x.index_select(axis, upper) * weight


forms.complete()


def view(layer: Layer[Any], op: Op | None = None) -> FloatLayer[Any]:
    """The float layer of an int8 graph's op (or of another ``op`` in its place), without its
    weights and its clamp."""
    node = Node(layer.name, op or layer.op, layer.qop.inputs, layer.output.shape)
    return FloatLayer(node, tuple(tensor.shape for tensor in layer.inputs), True)


def compute(layer: FloatLayer[Op], learned: Learned, inputs: Sequence[Tensor]) -> Tensor:
    """The output of ``layer`` [n, *shape], within its clamp."""
    y = forms.of(layer.op)(layer, learned, *inputs)
    return y.clamp(*layer.node.clamp)
