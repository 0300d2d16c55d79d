"""What a sequential model is made of: layers with their shapes checked and their numbers ready.

A layer knows the values before and behind it (`Values`), its weights in the device's order and its
requantization in the form that both readers need: `nanotool.sequential.net` gives it to the C
library, `nanotool.sequential.graph` makes int8 ops of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics, unary
from nanotool.errors import NanoError
from nanotool.inputs import as_array
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    FloatArray,
    Int8Array,
    Int32Array,
    QTensor,
    Shape,
    Window,
)

Int8Like: TypeAlias = "Sequence[int] | NDArray[Any]"

RAW = 1.0  # scale of values of which only the integers are known
UNIT = 1 / 127  # scale of sigmoid, tanh and softmax: 127 is 1
SIGMOID_STEP, TANH_STEP = 16, 32  # table entries per real 1
MAX_DIMENSION = 65535  # nano_shape


PROBABILITIES = QTensor("softmax", (), 1 / 256, -128)  # what the softmax kernel writes


class LayerError(NanoError):
    """A layer that cannot be added: ``str`` names it by number and kind, and says what it needs."""


@dataclass(frozen=True, slots=True)
class Values:
    """The int8 values between two layers; zero point 0.

    ``shape`` is the user's: (n,), (C, H, W) or any other, which counts as a vector. The device
    holds C, H, W as H, W, C; ``grid`` is the C, H, W whose order the bytes still have after a
    flatten.
    """

    shape: Shape
    scale: float = RAW
    grid: tuple[int, int, int] | None = None

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def device_shape(self) -> tuple[int, int, int]:
        """H, W, C; a vector of n is 1, 1, n."""
        if len(self.shape) == 3:
            channels, height, width = self.shape
            return height, width, channels
        return 1, 1, self.size

    def order(self) -> NDArray[np.intp] | None:
        """Element i on the device is element ``order[i]`` of the user's; None if they agree."""
        if self.grid is None or self.grid[0] == 1 or self.grid[1:] == (1, 1):
            return None
        indices = np.arange(self.size, dtype=np.intp).reshape(self.grid)
        order: NDArray[np.intp] = indices.transpose(1, 2, 0).reshape(-1)
        return order

    def to_device(self, rows: Int8Array) -> Int8Array:
        """``rows`` [n, size] from the user's order to the device's."""
        order = self.order()
        return np.ascontiguousarray(rows if order is None else rows[:, order])

    def to_user(self, rows: Int8Array) -> Int8Array:
        """``rows`` [n, size] from the device's order to the user's."""
        order = self.order()
        if order is None:
            return rows
        result = np.empty_like(rows)
        result[:, order] = rows
        return result


def values(shape: Shape, scale: float = RAW) -> Values:
    """Values of ``shape``; those of three axes are C, H, W."""
    grid = (shape[0], shape[1], shape[2]) if len(shape) == 3 else None
    return Values(shape, scale, grid)


# --- Layers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """A dense layer or a convolution: acc · source.scale · weight_scale / target.scale."""

    kind: str
    source: Values
    target: Values
    weight: Int8Array  # [out, in], or [out, kh, kw, in], in the device's order
    bias: Int32Array  # [out], in units of the accumulator
    weight_scale: FloatArray  # [1], or one for each output
    window: Window | None = None  # None: dense over all elements
    zero_point: int = 0  # of the output; only a trained layer has one


@dataclass(frozen=True, slots=True)
class MaxPool2D:
    """Maximum over a window."""

    kind: str
    source: Values
    target: Values
    window: Window


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A table of 256 entries, by the function's name in `nanotool.unary`."""

    kind: str
    source: Values
    target: Values
    function: str

    def table(self) -> Int8Array:
        """int8[256]: entry i is the output for the input i - 128."""
        return unary.table(
            self.function,
            QTensor("in", (), self.source.scale, 0),
            QTensor("out", (), self.target.scale, 0),
        )


@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(beta x) / Σ exp(beta x) over all elements, brought to 0..127."""

    kind: str
    source: Values
    target: Values
    beta: float

    def table(self) -> Int8Array:
        """From the kernel's output, p = (q + 128) / 256, to 127 p."""
        return unary.table("identity", PROBABILITIES, QTensor("out", (), UNIT, 0))


@dataclass(frozen=True, slots=True)
class Flatten:
    """The same elements as a vector."""

    kind: str
    source: Values
    target: Values


@dataclass(frozen=True, slots=True)
class Trainable:
    """A dense layer whose weights learn: `nanotool.sequential.trainable` has them. The last one."""

    kind: str
    source: Values
    target: Values


Layer: TypeAlias = Trainable | Weighted | MaxPool2D | Elementwise | Softmax | Flatten


# --- Making them ----------------------------------------------------------------------------------


def dense(
    where: str,
    source: Values,
    weights: Int8Like,
    bias: Int8Like,
    requant: tuple[int, int] | None,
) -> Weighted:
    """Over all elements of ``source``, C, H, W order; ``weights`` [out, in], ``bias`` [out]."""
    offsets = int8(where, "bias", bias)
    outputs, inputs = offsets.size, source.size
    if not 0 < outputs <= MAX_DIMENSION:
        raise LayerError(f"{where}: {outputs} biases.", "One for each output, 1 to 65,535.")
    if inputs > MAX_DIMENSION:
        raise LayerError(f"{where}: its input has {inputs:,} elements.", "At most 65,535.")
    weight = int8(where, "weights", weights, outputs * inputs, f"{outputs} x {inputs}")
    matrix = source.to_device(weight.reshape(outputs, inputs))
    ratio, bias32 = _requantization(where, offsets, requant or default_requant(inputs))
    return Weighted(
        "FrozenDense", source, values((outputs,)), matrix, bias32, _scaled(ratio, source)
    )


def conv2d(  # noqa: PLR0917
    where: str,
    source: Values,
    kernel: Int8Like,
    bias: Int8Like,
    channels: tuple[int, int],
    window: Window,
    requant: tuple[int, int] | None,
) -> Weighted:
    """``kernel`` [out, in, kh, kw]; ``channels`` (in, out)."""
    _check_image(where, source)
    if channels[0] != source.shape[0]:
        raise LayerError(
            f"{where}: in_ch is {channels[0]}.", f"Its input has {source.shape[0]} channels."
        )
    shape = (channels[1], *_window_output(where, source, window))
    offsets = int8(where, "bias", bias, channels[1])
    terms = channels[0] * window.kernel[0] * window.kernel[1]
    layout = (channels[1], channels[0], *window.kernel)
    weight = int8(where, "kernel", kernel, channels[1] * terms, " x ".join(map(str, layout)))
    packed = np.ascontiguousarray(weight.reshape(layout).transpose(0, 2, 3, 1))
    ratio, bias32 = _requantization(where, offsets, requant or default_requant(terms))
    scale = _scaled(ratio, source)
    return Weighted("FrozenConv2D", source, values(shape), packed, bias32, scale, window)


def max_pool2d(where: str, source: Values, window: Window) -> MaxPool2D:
    """A pool; its padding is narrower than its window and never wins."""
    _check_image(where, source)
    if any(pad >= size for pad, size in zip(window.padding[:2], window.kernel, strict=True)):
        raise LayerError(
            f"{where}: padding {window.padding[0]}.", "It must be less than the window's size."
        )
    shape = (source.shape[0], *_window_output(where, source, window))
    return MaxPool2D("MaxPool2D", source, values(shape, source.scale), window)


def relu(source: Values) -> Elementwise:
    """max(0, x)."""
    return Elementwise("ReLU", source, source, "relu")


def stepped(where: str, source: Values, family: str, scaled: tuple[int, int] | None) -> Elementwise:
    """The sigmoid or tanh table at clamp((x · mult) >> shift); ``family``: of `unary.FAMILIES`."""
    mult, shift = scaled or (1, 0)
    if not (-(2**31) <= mult < 2**31 and 0 <= shift <= 31):
        raise LayerError(
            f"{where}: scale_mult {mult}, scale_shift {shift}.",
            "scale_mult must be an int32, scale_shift 0 to 31.",
        )
    kind = ("Scaled" if scaled else "") + family.partition("_")[0].capitalize()
    target = Values(source.shape, UNIT, source.grid)
    return Elementwise(kind, source, target, _stepped_name(where, family, source, mult, shift))


def softmax(where: str, source: Values, scale: float) -> Softmax:
    """Of real values ``scale`` · x."""
    if len(source.shape) == 3 and source.shape[1:] != (1, 1):
        raise LayerError(f"{where}: its input is C, H, W.", "Add add_flatten() before it.")
    if source.size > 8191:
        raise LayerError(f"{where}: its input has {source.size:,} elements.", "At most 8,191.")
    if not 2.0**-20 <= scale <= 2.0**20:
        raise LayerError(f"{where}: scale {scale}.", "It must be positive: real = scale * int8.")
    beta = float(np.float32(scale / source.scale))
    return Softmax("Softmax", source, Values(source.shape, UNIT, source.grid), beta)


def flatten(where: str, source: Values) -> Flatten:
    """A vector, in C, H, W order to the user."""
    if source.size > MAX_DIMENSION:
        raise LayerError(f"{where}: {source.size:,} elements.", "At most 65,535 in a vector.")
    return Flatten("Flatten", source, Values((source.size,), source.scale, source.grid))


# --- Numbers --------------------------------------------------------------------------------------


def default_requant(terms: int) -> tuple[int, int]:
    """(M, shift) where none is given: a sum of ``terms`` products shrinks by 2^(7 + ceil log2)."""
    return 1, 7 + (terms - 1).bit_length()


def int8(
    where: str, what: str, given: Int8Like, count: int | None = None, layout: str = ""
) -> Int8Array:
    """``given`` as a flat int8 array of ``count`` values, whatever its shape; else `LayerError`."""
    array = as_array(given)
    if array.dtype.kind not in "iu" and array.size:
        raise LayerError(
            f"{where}: {what} of type {array.dtype}.",
            "Give integers from -128 to 127; nanotool.quantize_to_i8 makes them of floats.",
        )
    if array.size and not (array.min() >= INT8_MIN and array.max() <= INT8_MAX):
        raise LayerError(
            f"{where}: {what} from {array.min()} to {array.max()}.", "int8 is -128 to 127."
        )
    if count is not None and array.size != count:
        form = f" ({layout})" if layout else ""
        raise LayerError(f"{where}: {array.size:,} values as {what}.", f"It needs {count:,}{form}.")
    return np.ascontiguousarray(array, np.int8).reshape(-1)


def _requantization(
    where: str, bias: Int8Array, requant: tuple[int, int]
) -> tuple[float, Int32Array]:
    """M / 2^shift, and the bias of output units in units of the accumulator."""
    multiplier, shift = requant
    if not (0 < multiplier < 2**31 and 0 <= shift <= 63):
        raise LayerError(
            f"{where}: requant_m {multiplier}, requant_shift {shift}.",
            "requant_m must be 1 to 2^31 - 1 and requant_shift 0 to 63.",
        )
    ratio = Fraction(multiplier, 2**shift)
    exact = [Fraction(value) / ratio for value in bias.tolist()]
    if ratio > 1 and any(value.denominator != 1 for value in exact):
        raise LayerError(
            f"{where}: requant_m / 2^requant_shift is {float(ratio):g}, and an accumulator's step "
            "is coarser than the bias.",
            "It must be at most 1 unless every bias is a multiple of it.",
        )
    rounded = [numerics.round_half_away(value) for value in map(float, exact)]
    if any(abs(value) >= 2**31 for value in rounded):
        raise LayerError(
            f"{where}: requant_m / 2^requant_shift is {float(ratio):g}, so small that the bias "
            "does not fit the 32-bit accumulator.",
            "Calibrate the layer again, or leave out the bias.",
        )
    return float(ratio), np.array(rounded, np.int32)


def _scaled(ratio: float, source: Values) -> FloatArray:
    """The weights' scale with which accumulators are multiplied by ``ratio`` (output scale 1)."""
    return np.array([ratio / float(np.float32(source.scale))], np.float32)


def _check_image(where: str, source: Values) -> None:
    if len(source.shape) != 3:
        raise LayerError(
            f"{where}: its input has shape {list(source.shape)}.",
            "It needs channels, height, width.",
        )


def _window_output(where: str, source: Values, window: Window) -> tuple[int, int]:
    """Height and width behind ``window``; `LayerError` if it fits nowhere."""
    if min(*window.kernel, *window.stride) < 1 or min(window.padding) < 0:
        raise LayerError(
            f"{where}: kernel {list(window.kernel)}, stride {window.stride[0]}, padding "
            f"{window.padding[0]}.",
            "Kernel and stride must be at least 1, the padding 0.",
        )
    height, width = source.shape[1:]
    top, left, bottom, right = window.padding
    padded = (height + top + bottom, width + left + right)
    if window.kernel[0] > padded[0] or window.kernel[1] > padded[1]:
        raise LayerError(
            f"{where}: its kernel of {window.kernel[0]} x {window.kernel[1]} is larger than its "
            f"input of {padded[0]} x {padded[1]} (padding included).",
            "Use a smaller kernel or more padding.",
        )
    return window.output_size(height, width)


def _stepped_name(where: str, family: str, source: Values, mult: int, shift: int) -> str:
    """The name of the function whose table is that at clamp((x · mult) >> shift).

    Its parameter is a float32 near mult / 2^shift / scale: near enough when all 256 steps agree.
    """
    wanted = np.clip((unary.INPUTS * mult) >> shift, INT8_MIN, INT8_MAX)
    scale = float(np.float32(source.scale))
    near = np.float32(mult / 2**shift / scale)
    for factor in (near, *(np.nextafter(near, np.float32(end)) for end in (np.inf, -np.inf))):
        if np.array_equal(unary.steps(unary.INPUTS, float(factor), scale), wanted):
            return unary.named(family, float(factor))
    raise LayerError(
        f"{where}: scale_mult {mult} has too many digits.", "Give one of at most 24 bits."
    )
