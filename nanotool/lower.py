"""QGraph -> Lowered: each operator becomes one call of one kernel, with its params struct filled.

One small function an operator, found through a registry. Here the input's zero point is folded
into the bias, reshapes vanish into aliases, unary functions become tables, and everything that a
kernel relies on is checked: a model that lowers cannot fail on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import InvalidModel, NanoError, UnsupportedOp
from nanotool.identifiers import layer_symbols
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    Array,
    AveragePool2D,
    Conv2D,
    Dense,
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

UINT16_MAX = 2**16 - 1
INT32_MAX = 2**31 - 1
CONV_WEIGHTS = "[out_c][kernel_h][kernel_w][in_c / groups]"
DENSE_WEIGHTS = "[out_features][in_features]"
MAX_AXES = 4  # of the model's input and output, and of a transpose

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

    def refuse(self, problem: str, hint: str = "") -> NoReturn:
        """The graph contradicts itself or does not fit the kernel."""
        raise InvalidModel(f"Layer {self.op.name}: {problem}.", hint)

    def check(self, condition: bool, problem: str, hint: str = "") -> None:
        """`refuse` unless ``condition`` holds."""
        if not condition:
            self.refuse(problem, hint)


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
    _check_border(graph.input_tensor, "input")
    _check_border(graph.output_tensor, "output")
    names = [op.name for op in graph.ops]
    symbols = layer_symbols(names, ARRAY_ENDINGS, MODEL_SYMBOLS)
    buffer_of = {graph.input: graph.input}
    buffers = {graph.input: graph.input_tensor.size}
    ops: list[LoweredOp] = []
    for op, symbol in zip(graph.ops, symbols, strict=True):
        layer = _layer(graph, op, symbol, buffer_of)
        inputs = tuple(buffer_of[name] for name in op.inputs)
        if _keeps_bytes(layer):
            buffer_of[op.name] = inputs[0]
            continue
        call = _lowering(op)(op.op, layer)
        buffer_of[op.name] = op.name
        buffers[op.name] = layer.output.size
        ops.append(_lowered_op(op, call, inputs))
    if graph.output not in buffer_of:
        raise InvalidModel(f"No layer writes the output {graph.output}.")
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


def _layer(graph: QGraph, op: QOp, symbol: str, written: Mapping[str, str]) -> Layer:
    """``op`` with its tensors, which must exist and be written before it."""
    for name in op.inputs:
        if name not in written:
            raise InvalidModel(f"Layer {op.name} reads {name}, which nothing wrote before it.")
    if op.name in written:
        raise InvalidModel(f"Two layers are called {op.name}.")
    if op.name not in graph.tensors:
        raise InvalidModel(f"Layer {op.name} has no output tensor.")
    inputs = tuple(graph.tensors[name] for name in op.inputs)
    layer = Layer(op, inputs, graph.tensors[op.name], symbol)
    layer.check(len(inputs) == 1, f"it has {len(inputs)} inputs, not one")
    for tensor in (*inputs, layer.output):
        _check_size(tensor)
    return layer


def _check_size(tensor: QTensor) -> None:
    if any(n < 1 for n in tensor.shape):
        raise InvalidModel(f"Tensor {tensor.name}: shape {tensor.shape} holds no elements.")
    if tensor.size > INT32_MAX:
        raise InvalidModel(
            f"Tensor {tensor.name}: {tensor.size:,} bytes are too many.", "At most 2^31 - 1 fit."
        )


def _check_border(tensor: QTensor, which: str) -> None:
    """nano_tensor holds up to four uint16 sizes."""
    _check_size(tensor)
    if len(tensor.shape) > MAX_AXES or any(n > UINT16_MAX for n in tensor.shape):
        raise InvalidModel(
            f"The model's {which} {tensor.name} has shape {tensor.shape}.",
            f"At most {MAX_AXES} axes of at most {UINT16_MAX} elements can be described.",
        )


# --- Operators that move nothing ------------------------------------------------------------------


def _keeps_bytes(layer: Layer) -> bool:
    """Whether the output is the input's bytes in the input's order: then it shares the buffer."""
    operator = layer.op.op
    if isinstance(operator, Reshape):
        layer.check(
            layer.input.size == layer.output.size,
            f"it reshapes {layer.input.shape} to {layer.output.shape}",
        )
        return True
    if isinstance(operator, Transpose):
        _, strides = _merged_axes(layer, operator)
        return len(strides) <= 1
    return False


def _merged_axes(
    layer: Layer, op: Transpose, largest: int = INT32_MAX
) -> tuple[list[int], list[int]]:
    """(output sizes, input strides) of the transpose after axes of one element are dropped and
    axes that stay neighbours are merged, to at most ``largest`` elements; without that limit
    one axis or none means that the bytes stay as they are."""
    shape = layer.input.shape
    layer.check(
        sorted(op.permutation) == list(range(len(shape))),
        f"{op.permutation} is no permutation of the axes of {shape}",
    )
    layer.check(
        layer.output.shape == tuple(shape[axis] for axis in op.permutation),
        f"{layer.output.shape} is not {shape} permuted by {op.permutation}",
    )
    sizes: list[int] = []
    strides: list[int] = []
    for axis in op.permutation:
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
    sizes, strides = _merged_axes(layer, op, UINT16_MAX)
    layer.check(
        len(sizes) <= MAX_AXES and max(sizes) <= UINT16_MAX,
        f"a transpose of {layer.input.shape} by {op.permutation} is out of range",
        f"At most {MAX_AXES} axes that move, of at most {UINT16_MAX} elements each.",
    )
    missing = MAX_AXES - len(sizes)
    params = Struct(
        "nano_transpose_params",
        (
            ("shape", (*(1,) * missing, *sizes)),
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
    groups = op.groups
    layer.check(
        1 <= groups <= UINT16_MAX and in_c % groups == 0 and out_c % groups == 0,
        f"{groups} groups do not divide {in_c} input and {out_c} output channels",
    )
    weights, bias = _weights(layer, (out_c, *op.window.kernel, in_c // groups))
    multiplier, shift = numerics.conv_multipliers(
        layer.input.scale, _weight_scale(layer, out_c), layer.output.scale
    )
    params = Struct(
        "nano_conv2d_params",
        (
            (
                "weights",
                layer.array("weights", weights, CONV_WEIGHTS),
            ),
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
    shape, out_shape = layer.input.shape or (1,), layer.output.shape or (1,)
    rows, in_features, out_features = math.prod(shape[:-1]), shape[-1], out_shape[-1]
    layer.check(
        layer.output.size == rows * out_features,
        f"a dense layer cannot make {layer.output.shape} of {layer.input.shape}",
    )
    _check_uint16(layer, "rows", rows)
    _check_uint16(layer, "out_features", out_features)
    weights, bias = _weights(layer, (out_features, in_features))
    multiplier, shift = numerics.dense_multipliers(
        layer.input.scale, _weight_scale(layer, out_features), layer.output.scale
    )
    params = Struct(
        "nano_dense_params",
        (
            ("weights", layer.array("weights", weights, DENSE_WEIGHTS)),
            ("bias", bias),
            ("requant", _requant(layer, multiplier, shift)),
            ("rows", rows),
            ("in_features", in_features),
            ("out_features", out_features),
        ),
    )
    needs = np.repeat(np.arange(rows, dtype=np.int64) * in_features, out_features)
    return Call("nano_dense", params, _overlap(needs), needs.size * in_features)


def _weights(layer: Layer, shape: Shape) -> tuple[Int8Array, Array]:
    """The canonical weights, checked, and the folded bias: bias - zero_point(in) * sum(weights)."""
    weights, bias = layer.op.weight, layer.op.bias
    if weights is None or weights.dtype != np.int8 or weights.shape != shape:
        found = "none" if weights is None else f"{weights.dtype} {weights.shape}"
        layer.refuse(f"its weights should be int8 {shape}, not {found}")
    channels = shape[0]
    if bias is not None and (bias.dtype != np.int32 or bias.shape != (channels,)):
        layer.refuse(f"its bias should be int32 ({channels},), not {bias.dtype} {bias.shape}")
    rows = weights.reshape(channels, -1).astype(np.int64)
    unfolded = np.zeros(channels, np.int64) if bias is None else bias.astype(np.int64)
    folded = unfolded - layer.input.zero_point * rows.sum(axis=1)
    _check_accumulators(layer, rows, folded)
    note = "[out] int32 at scale(in) * scale(weights), input zero point folded in"
    return weights, layer.array("bias", folded.astype(np.int32), note)


def _check_accumulators(
    layer: Layer, weights: NDArray[np.int64], folded: NDArray[np.int64]
) -> None:
    """|bias| + 128 * sum |weights| < 2^31: no sum, in whatever order, leaves int32 (ops.h)."""
    worst = np.abs(folded) + 128 * np.abs(weights).sum(axis=1)
    channel = int(worst.argmax())
    layer.check(
        int(worst[channel]) <= INT32_MAX,
        f"the sum for output channel {channel} can reach {int(worst[channel]):,}, beyond int32",
        "Its bias is far too large for its scales, or it sums too many products: calibrate it on "
        "real data, or split the layer.",
    )


def _weight_scale(layer: Layer, channels: int) -> NDArray[np.float32]:
    scale = layer.op.weight_scale
    if scale is None or scale.shape not in ((1,), (channels,)):
        layer.refuse(f"it needs 1 or {channels} weight scales")
    layer.check(bool(np.isfinite(scale).all() and (scale > 0).all()), "a weight scale is not > 0")
    return scale


def _requant(layer: Layer, multiplier: NDArray[np.int32], shift: Int8Array) -> Struct:
    low, high = _clamp(layer)
    return Struct(
        "nano_requant",
        (
            ("multiplier", layer.array("multiplier", multiplier, "Q31")),
            ("shift", layer.array("shift", shift, "positive: left, negative: right")),
            ("per_channel", int(multiplier.size > 1)),
            ("zero_point", layer.output.zero_point),
            ("min", low),
            ("max", high),
        ),
    )


def _clamp(layer: Layer) -> tuple[int, int]:
    low, high = layer.op.clamp
    layer.check(INT8_MIN <= low <= high <= INT8_MAX, f"its clamp {low}..{high} is not within int8")
    return low, high


# --- Windows --------------------------------------------------------------------------------------


def _check_uint16(layer: Layer, what: str, value: int, least: int = 1) -> None:
    layer.check(
        least <= value <= UINT16_MAX,
        f"{what} is {value}",
        f"The kernel takes {least} to {UINT16_MAX}: make the layer smaller or split it.",
    )


def _window(window: Window, layer: Layer) -> Struct:
    """nano_window, every field checked against uint16 and the shapes against each other."""
    for tensor in (layer.input, layer.output):
        layer.check(len(tensor.shape) == 3, f"{tensor.name} has shape {tensor.shape}, not H, W, C")
    in_h, in_w, in_c = layer.input.shape
    out_h, out_w, out_c = layer.output.shape
    layer.check(
        min(*window.stride, *window.dilation, *window.kernel) >= 1 and min(window.padding) >= 0,
        "kernel, stride or dilation is below 1, or padding is negative",
    )
    layer.check(
        window.output_size(in_h, in_w) == (out_h, out_w),
        f"its window yields {window.output_size(in_h, in_w)}, its output has {out_h}x{out_w}",
    )
    fields = (
        *(("in_h", in_h), ("in_w", in_w), ("in_c", in_c)),
        *(("out_h", out_h), ("out_w", out_w), ("out_c", out_c)),
        *(("kernel_h", window.kernel[0]), ("kernel_w", window.kernel[1])),
        *(("stride_h", window.stride[0]), ("stride_w", window.stride[1])),
        *(("pad_top", window.padding[0]), ("pad_left", window.padding[1])),
        *(("dilation_h", window.dilation[0]), ("dilation_w", window.dilation[1])),
    )
    for name, value in fields:
        _check_uint16(layer, name, value, least=0 if name.startswith("pad") else 1)
    return Struct("nano_window", fields)


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
    """Pooling: a window that lies in padding alone would have nothing to pool."""
    struct = _window(window, layer)
    in_c = layer.input.shape[2]
    layer.check(in_c == layer.output.shape[2], "pooling cannot change the number of channels")
    _check_same_numbers(layer, "pooling")
    needs = _window_needs(window, layer, np.arange(in_c))
    layer.check(
        bool((needs < layer.input.size).all()),
        "a window lies in the padding alone",
        "Pad by less than the window's size.",
    )
    taps = math.prod(window.kernel)
    layer.check(
        taps <= INT32_MAX // 256,
        f"a window of {taps:,} elements is too large",
        "Sums have to fit int32: pool in two steps.",
    )
    low, high = _clamp(layer)
    params = Struct("nano_pool_params", (("window", struct), ("min", low), ("max", high)))
    return Call(kernel, params, _overlap(needs))


def _check_same_numbers(layer: Layer, what: str) -> None:
    source, result = layer.input, layer.output
    layer.check(
        (source.scale, source.zero_point) == (result.scale, result.zero_point),
        f"{what} keeps scale and zero point, but its input and output differ in them",
    )


# --- Functions ------------------------------------------------------------------------------------


@lowers(Unary)
def _unary(op: Unary, layer: Layer) -> Call:
    """A table of 256 bytes; an element is read before it is written, so it works in place."""
    layer.check(layer.input.size == layer.output.size, "its input and output differ in size")
    table = unary.table(op.function, layer.input, layer.output, _clamp(layer))
    params = Struct(
        "nano_table_params",
        (
            ("table", layer.array("table", table, f"{op.function}, first entry for -128")),
            ("size", layer.output.size),
        ),
    )
    return Call("nano_table", params, overlap=0)


@lowers(Softmax)
def _softmax(op: Softmax, layer: Layer) -> Call:
    """Row by row; a row's last pass reads an element before it writes it: it works in place."""
    shape = layer.input.shape or (1,)
    layer.check(layer.input.size == layer.output.size, "its input and output differ in size")
    layer.check(layer.op.clamp == (INT8_MIN, INT8_MAX), "a softmax takes no clamp")
    layer.check(
        (layer.output.scale, layer.output.zero_point)
        == (numerics.SOFTMAX_SCALE, numerics.SOFTMAX_ZERO_POINT),
        "a softmax's output has scale 1/256 and zero point -128",
    )
    layer.check(
        shape[-1] <= numerics.SOFTMAX_MAX_DEPTH,
        f"a softmax over {shape[-1]:,} elements",
        f"At most {numerics.SOFTMAX_MAX_DEPTH:,} can be summed.",
    )
    try:
        multiplier, left_shift, diff_min = numerics.softmax_parameters(op.beta, layer.input.scale)
    except InvalidModel as error:
        raise InvalidModel(f"Layer {layer.op.name}: {error.message}", error.hint) from error
    params = Struct(
        "nano_softmax_params",
        (
            ("rows", math.prod(shape[:-1])),
            ("depth", shape[-1]),
            ("multiplier", multiplier),
            ("left_shift", left_shift),
            ("diff_min", diff_min),
        ),
    )
    return Call("nano_softmax", params, overlap=0)


def lowered_operators() -> tuple[type[Op], ...]:
    """The operators that have a kernel, Reshape aside."""
    return tuple(_LOWERINGS)
