"""QGraph -> Lowered: each operator becomes one call of one kernel, with its params struct filled.

One small function an operator, found through a registry. Here the input's zero point is folded
into the bias, reshapes vanish into aliases and unary functions become tables. The graph is
validated, and then checked against what the kernels' parameters can hold: a model that lowers
cannot fail on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel, NanoError, UnsupportedOp
from nanotool.identifiers import layer_symbols
from nanotool.ir import (
    Array,
    AveragePool2D,
    Conv2D,
    Dense,
    FloatArray,
    Int8Array,
    Lowered,
    LoweredOp,
    MaxPool2D,
    Op,
    QGraph,
    QOp,
    QTensor,
    Reshape,
    Shape,
    Softmax,
    Struct,
    Transpose,
    Unary,
    Window,
)
from nanotool.targets import GOALS, find_target
from nanotool.validate import validate

ABI = 1  # the NANO_ABI whose structs are filled here
UINT16_MAX = 2**16 - 1
INT32_MAX = 2**31 - 1
CONV_WEIGHTS = "[out_c][kernel_h][kernel_w][in_c / groups]"
DENSE_WEIGHTS = "[out_features][in_features]"
MAX_AXES = 4  # of a transpose
MAX_TAPS = INT32_MAX // 256  # of a pool's window: their sum fits int32

# What may follow a layer's name in a C symbol, and the names that the model itself needs.
ARRAY_ENDINGS = ("weights", "bias", "multiplier", "shift", "table")
MODEL_SYMBOLS = (
    *("model", "ops", "op_names", "arena_size", "input_size", "output_size"),
    *("golden", "golden_count", "golden_input", "golden_output", "golden_input_crc"),
    *("golden_output_crc", "h", "weights", "weights_h", "golden_h"),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """What a lowering function sees of the graph: one op and its tensors."""

    op: QOp
    inputs: tuple[QTensor, ...]
    output: QTensor
    symbol: str  # begins the C symbols of its arrays

    @property
    def input(self) -> QTensor:
        """Its first input."""
        return self.inputs[0]

    def array(self, ending: str, data: NDArray[Any], note: str) -> Array:
        """``data`` as a flat array in flash, named after the layer."""
        flat = np.ascontiguousarray(data).reshape(-1)
        flat.setflags(write=False)
        return Array(f"{self.symbol}_{ending}", flat, note)

    def uint16(self, what: str, value: int) -> int:
        """``value``, a field of a kernel's parameters, if it fits there."""
        if value > UINT16_MAX:
            raise InvalidModel(
                f"{self.op.name}: {what} is {value:,}.",
                f"The kernel takes at most {UINT16_MAX:,}: make the layer smaller or split it.",
            )
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """What a lowering function answers: `LoweredOp` without the names."""

    kernel: str
    params: Struct
    overlap: int | None = None
    macs: int = 0
    scratch: int = 0


Lowering: TypeAlias = Callable[[Any, Layer], Call]
_Function = TypeVar("_Function", bound=Callable[..., Call])
_LOWERINGS: dict[type, Lowering] = {}


def lowers(operator: type) -> Callable[[_Function], _Function]:
    """Register the decorated function(op, layer) for ``operator``."""

    def register(function: _Function) -> _Function:
        _LOWERINGS[operator] = cast(Lowering, function)
        return function

    return register


def lower(graph: QGraph, target: str = "portable", optimize: str = "balanced") -> Lowered:
    """Make ``graph`` ready for ``target``, a key of `nanotool.targets.TARGETS`.

    ``optimize`` is one of `nanotool.targets.GOALS`. Raises InvalidModel with the layer's name where
    the graph contradicts itself or exceeds what a kernel's parameters can hold, UnsupportedOp for
    an operator that has no kernel.
    """
    find_target(target)
    if optimize not in GOALS:
        raise NanoError(f"There is no goal {optimize!r}.", f"Goals: {', '.join(GOALS)}.")
    validate(graph)
    _check_border(graph.input_tensor, "input")
    _check_border(graph.output_tensor, "output")
    names = [op.name for op in graph.ops]
    symbols = layer_symbols(names, ARRAY_ENDINGS, MODEL_SYMBOLS)
    buffer_of = {graph.input: graph.input}
    buffers = {graph.input: graph.input_tensor.size}
    ops: list[LoweredOp] = []
    for op, symbol in zip(graph.ops, symbols, strict=True):
        tensors = tuple(graph.tensors[name] for name in op.inputs)
        layer = Layer(op, tensors, graph.tensors[op.name], symbol)
        inputs = tuple(buffer_of[name] for name in op.inputs)
        if _keeps_bytes(layer):
            buffer_of[op.name] = inputs[0]
            continue
        call = _lowering(op)(op.op, layer)
        buffer_of[op.name] = op.name
        buffers[op.name] = layer.output.size
        ops.append(_lowered_op(op, call, inputs))
    if len(ops) > UINT16_MAX:
        raise InvalidModel(f"{len(ops)} layers are too many.", f"At most {UINT16_MAX} fit.")
    return Lowered(
        graph=graph,
        target=target,
        ops=tuple(ops),
        buffers=MappingProxyType(buffers),
        input=graph.input,
        output=buffer_of[graph.output],
        optimize=optimize,
    )


def layer_names(lowered: Lowered) -> list[str]:
    """The C suffix of each of ``lowered.ops``: the one that its arrays' names begin with."""
    names = [op.name for op in lowered.graph.ops]
    symbols = layer_symbols(names, ARRAY_ENDINGS, MODEL_SYMBOLS)
    by_name = dict(zip(names, symbols, strict=True))
    return [by_name[op.source[-1]] for op in lowered.ops]


def _lowered_op(op: QOp, call: Call, inputs: tuple[str, ...]) -> LoweredOp:
    return LoweredOp(
        name=op.name,
        source=(op.name,),
        kernel=call.kernel,
        params=call.params,
        inputs=inputs,
        output=op.name,
        scratch=call.scratch,
        overlap=call.overlap,
        macs=call.macs,
    )


def _lowering(op: QOp) -> Lowering:
    try:
        return _LOWERINGS[type(op.op)]
    except KeyError:
        known = ", ".join(sorted(operator.__name__ for operator in _LOWERINGS))
        raise UnsupportedOp(
            op.name, type(op.op).__name__, f"Kernels exist for {known} and Reshape."
        ) from None


def _check_border(tensor: QTensor, which: str) -> None:
    """nano_tensor holds uint16 sizes."""
    if any(n > UINT16_MAX for n in tensor.shape):
        raise InvalidModel(
            f"The model's {which} {tensor.name} has shape {tensor.shape}.",
            f"At most {UINT16_MAX:,} elements fit along an axis: give it another axis.",
        )


# --- Operators that move nothing ------------------------------------------------------------------


def _keeps_bytes(layer: Layer) -> bool:
    """Whether the output is the input's bytes in the input's order: then it shares the buffer."""
    operator = layer.op.op
    if isinstance(operator, Transpose):
        return len(_merged_axes(layer.input.shape, operator.permutation)[0]) <= 1
    return isinstance(operator, Reshape)


def _merged_axes(
    shape: Shape, permutation: tuple[int, ...], largest: int = INT32_MAX
) -> tuple[list[int], list[int]]:
    """(output sizes, input strides) of a transpose after axes of one element are dropped and axes
    that stay neighbours are merged, to at most ``largest`` elements; without that limit one
    axis or none means that the bytes stay as they are."""
    sizes: list[int] = []
    strides: list[int] = []
    for axis in permutation:
        size, stride = shape[axis], math.prod(shape[axis + 1 :])
        if size == 1:
            continue
        if strides and strides[-1] == size * stride and sizes[-1] * size <= largest:
            sizes[-1] *= size
            strides[-1] = stride
        else:
            sizes.append(size)
            strides.append(stride)
    return sizes, strides


@lowers(Transpose)
def _transpose(op: Transpose, layer: Layer) -> Call:
    """A transpose: an element needs the one that it is a copy of."""
    sizes, strides = _merged_axes(layer.input.shape, op.permutation, UINT16_MAX)
    missing = MAX_AXES - len(sizes)
    params = Struct(
        "nano_transpose_params",
        (
            ("shape", (*(1,) * missing, *(layer.uint16("an axis", size) for size in sizes))),
            ("stride", (*(0,) * missing, *strides)),
        ),
    )
    source = np.arange(layer.input.size, dtype=np.int64).reshape(layer.input.shape)
    return Call("nano_transpose", params, _overlap(source.transpose(op.permutation).reshape(-1)))


# --- Sums of products -----------------------------------------------------------------------------


@lowers(Conv2D)
def _conv2d(op: Conv2D, layer: Layer) -> Call:
    """A convolution: an output needs its window, of its group's channels only."""
    window = _window(op.window, layer)
    in_c, out_c = layer.input.shape[2], layer.output.shape[2]
    groups = layer.uint16("the number of groups", op.groups)
    weights, bias, scale = _weights(layer, CONV_WEIGHTS)
    multiplier, shift = numerics.conv_multipliers(layer.input.scale, scale, layer.output.scale)
    params = Struct(
        "nano_conv2d_params",
        (
            ("weights", weights),
            ("bias", bias),
            ("requant", _requant(layer, multiplier, shift)),
            ("window", window),
            ("groups", groups),
            ("in_zero_point", layer.input.zero_point),
        ),
    )
    macs = layer.output.size * math.prod(op.window.kernel) * (in_c // groups)
    first_channel = np.arange(out_c) // (out_c // groups) * (in_c // groups)
    needs = _window_needs(op.window, layer, first_channel)
    return Call("nano_conv2d", params, _overlap(needs), macs)


@lowers(Dense)
def _dense(_op: Dense, layer: Layer) -> Call:
    """A dense layer over the last axis: an output needs its whole row."""
    in_features, out_features = layer.input.shape[-1], layer.output.shape[-1]
    rows = layer.input.size // in_features
    weights, bias, scale = _weights(layer, DENSE_WEIGHTS)
    multiplier, shift = numerics.dense_multipliers(layer.input.scale, scale, layer.output.scale)
    params = Struct(
        "nano_dense_params",
        (
            ("weights", weights),
            ("bias", bias),
            ("requant", _requant(layer, multiplier, shift)),
            ("rows", layer.uint16("the number of rows", rows)),
            ("in_features", in_features),
            ("out_features", layer.uint16("the number of outputs", out_features)),
        ),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * in_features, out_features)
    return Call("nano_dense", params, _overlap(needs), needs.size * in_features)


def _weights(layer: Layer, axes: str) -> tuple[Array, Array, FloatArray]:
    """The canonical weights, the folded bias: bias - zero_point(in) * sum(weights), and the weight
    scales; validated before."""
    weight, scale = layer.op.weight, layer.op.weight_scale
    assert weight is not None
    assert scale is not None
    sums = weight.reshape(len(weight), -1).sum(axis=1, dtype=np.int64)
    bias = -layer.input.zero_point * sums
    if layer.op.bias is not None:
        bias += layer.op.bias
    sizes = "".join(f"[{size}]" for size in weight.shape)
    weights = layer.array("weights", weight, f"weights {sizes} = {axes}")
    note = "bias at scale(in) * scale(weights), the input's zero point folded in"
    return weights, layer.array("bias", bias.astype(np.int32), note), scale


def _requant(layer: Layer, multiplier: NDArray[np.int32], shift: Int8Array) -> Struct:
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


# --- Windows --------------------------------------------------------------------------------------


def _window(window: Window, layer: Layer) -> Struct:
    """nano_window; the padding below and to the right follows from the output's size."""
    in_h, in_w, in_c = layer.input.shape
    out_h, out_w, out_c = layer.output.shape
    fields = (
        *(("in_h", in_h), ("in_w", in_w), ("in_c", in_c)),
        *(("out_h", out_h), ("out_w", out_w), ("out_c", out_c)),
        *(("kernel_h", window.kernel[0]), ("kernel_w", window.kernel[1])),
        *(("stride_h", window.stride[0]), ("stride_w", window.stride[1])),
        *(("pad_top", window.padding[0]), ("pad_left", window.padding[1])),
        *(("dilation_h", window.dilation[0]), ("dilation_w", window.dilation[1])),
    )
    return Struct("nano_window", tuple((name, layer.uint16(name, n)) for name, n in fields))


def _first_taps(window: Window, layer: Layer, axis: int) -> NDArray[np.int64]:
    """Along one axis: for each output position the first input index that its window reads, or
    the input's size where it lies in the padding alone."""
    size, count = layer.input.shape[axis], layer.output.shape[axis]
    start = np.arange(count, dtype=np.int64) * window.stride[axis] - window.padding[axis]
    skipped = np.maximum(-(start // window.dilation[axis]), 0)  # taps before the input begins
    first = start + skipped * window.dilation[axis]
    return np.where((skipped < window.kernel[axis]) & (first < size), first, size)


def _window_needs(
    window: Window, layer: Layer, first_channel: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each output byte the first input byte that it needs, given the first input channel of
    each output channel; the input's size for a window in the padding alone."""
    in_h, in_w, in_c = layer.input.shape
    rows, columns = _first_taps(window, layer, 0)[:, None], _first_taps(window, layer, 1)[None, :]
    pixels = (rows * in_w + columns)[:, :, None] * in_c + first_channel
    outside = (rows == in_h) | (columns == in_w)
    return np.where(outside[:, :, None], layer.input.size, pixels).reshape(-1)


def _overlap(needs: NDArray[np.int64]) -> int | None:
    """`LoweredOp.overlap` of a kernel that writes its output byte by byte, in memory order (see
    nano/ops.h); output byte k needs no input byte before ``needs[k]``.

    When byte k is written, nothing from the first byte that a later one needs on may be
    overwritten: offset(in) - offset(out) >= k + 1 - min(needs[k+1:]) for every k.
    """
    later = np.minimum.accumulate(needs[:0:-1])[::-1]
    gap = int((np.arange(1, needs.size) - later).max(initial=0))
    return gap if gap < needs.size else None


@lowers(MaxPool2D)
def _max_pool(op: MaxPool2D, layer: Layer) -> Call:
    return _pool("nano_max_pool", op.window, layer)


@lowers(AveragePool2D)
def _average_pool(op: AveragePool2D, layer: Layer) -> Call:
    return _pool("nano_average_pool", op.window, layer)


def _pool(kernel: str, window: Window, layer: Layer) -> Call:
    """Pooling: an output needs its window, of its own channel only."""
    taps = math.prod(window.kernel)
    if taps > MAX_TAPS:
        raise InvalidModel(
            f"{layer.op.name}: a window of {taps:,} elements is too large.",
            "Their sum has to fit int32: pool in two steps.",
        )
    low, high = layer.op.clamp
    params = Struct(
        "nano_pool_params", (("window", _window(window, layer)), ("min", low), ("max", high))
    )
    needs = _window_needs(window, layer, np.arange(layer.input.shape[2]))
    return Call(kernel, params, _overlap(needs))


# --- Functions ------------------------------------------------------------------------------------


@lowers(Unary)
def _unary(op: Unary, layer: Layer) -> Call:
    """A table of 256 bytes; an element is read before it is written, so it works in place."""
    table = unary.table(op.function, layer.input, layer.output, layer.op.clamp)
    params = Struct(
        "nano_table_params",
        (
            ("table", layer.array("table", table, f"table of {op.function}, first entry for -128")),
            ("size", layer.output.size),
        ),
    )
    return Call("nano_table", params, overlap=0)


@lowers(Softmax)
def _softmax(op: Softmax, layer: Layer) -> Call:
    """Row by row; a row's last pass reads an element before it writes it: it works in place."""
    depth = layer.input.shape[-1]
    multiplier, left_shift, diff_min = numerics.softmax_parameters(op.beta, layer.input.scale)
    params = Struct(
        "nano_softmax_params",
        (
            ("rows", layer.input.size // depth),
            ("depth", depth),
            ("multiplier", multiplier),
            ("left_shift", left_shift),
            ("diff_min", diff_min),
        ),
    )
    return Call("nano_softmax", params, overlap=0)


def lowered_operators() -> tuple[type[Op], ...]:
    """The operators that have a kernel, Reshape aside."""
    return tuple(_LOWERINGS)
