"""What the lowering functions share: their view of a layer, their answer, their registry.

A lowering function turns one operator into the call of one kernel (several for a concat). They
stand in the modules beside this one, a family each, and are found through `lowers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Op, QTensor, Reshape, Struct, Value
from nanotool.numerics import Multiplier
from nanotool.ops import INT16_OPERATORS, Layer, OpT_co, Registry, facts
from nanotool.targets import find_target

UINT16_MAX = 2**16 - 1
INT32_MAX = 2**31 - 1
MAX_AXES = 4  # of the kernels that take strides

# What may follow a layer's name in the C symbol of one of its arrays.
ARRAY_ENDINGS = (
    *("weights", "bias", "multiplier", "shift", "table", "constant", "rows", "columns", "scales"),
    *("time", "offset", "indices"),
)

NOTHING = 2**62  # instead of the number of a byte that is needed

IndexArray: TypeAlias = NDArray[np.int64]
Fields: TypeAlias = tuple[tuple[str, Value], ...]  # of a Struct


@dataclass(frozen=True, slots=True)
class TargetLayer(Layer[OpT_co]):
    """What a lowering function sees of the graph: one op with its tensors, and what it is for."""

    symbols: tuple[str, ...]  # each begins the C symbols of one call's arrays; the last call's last
    target: str = "portable"  # a key of nanotool.targets.TARGETS
    optimize: str = "balanced"  # one of nanotool.targets.GOALS: what a kernel is to prefer here
    # Why kernels of the target's own do not take it, as they are asked; its parts tell it, too.
    declined: list[str] = field(default_factory=list, repr=False, compare=False, kw_only=True)

    def declines(self, condition: bool, reason: str) -> bool:
        """``condition``; where it holds, ``reason`` is told as why a kernel does not take it."""
        if condition:
            self.declined.append(reason)
        return condition

    def array(self, ending: str, data: NDArray[Any], note: str, call: int = -1) -> Array:
        """``data`` as a flat array in flash, named after the layer (after its part ``call``)."""
        flat = np.ascontiguousarray(data).reshape(-1)
        flat.setflags(write=False)
        return Array(f"{self.symbols[call]}_{ending}", flat, note)

    @property
    def refuses_memory(self) -> bool:
        """Whether it is to take little memory, and so no kernel that takes more than another."""
        return self.declines(self.optimize == "size", "memory is to be small")

    def uint16(self, what: str, value: int) -> int:
        """``value``, a field of a kernel's parameters, if it fits there."""
        if value > UINT16_MAX:
            hint = f"The kernel takes at most {UINT16_MAX:,}: make the layer smaller or split it."
            self.refuse(f"{what} is {value:,}", hint)
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """What a lowering function answers: `LoweredOp` without the names."""

    kernel: str
    params: Struct
    overlaps: tuple[int | None, ...]  # one for each of ``reads``
    reads: tuple[int, ...] = (0,)  # numbers of the op's inputs, without those in flash
    scratch: int = 0
    macs: int | None = None  # None: those of the layers that it computes
    writes: int = 0  # number of the op's output that it writes
    more: tuple[int, ...] = ()  # numbers of outputs that it updates beside: `LoweredOp.more`
    cost: int | None = None  # instructions, about; None: as `nanotool.lower.cost` estimates it
    declined: str = ""  # why a portable kernel runs though the target has its own
    saved: int = 0  # instructions, about, that the target's own would save, were it to run


# The portable kernel of each operator: a function of the layer that answers one `Call`, or several,
# which then all write into the output; the last one completes it. Reshapes share their input's
# buffer.
Lowering: TypeAlias = Callable[[TargetLayer[Any]], "Call | Sequence[Call]"]
lowers = Registry[Lowering]("lower", without=(Reshape,))
# Likewise of layers whose activations are int16.
lowers_int16 = Registry[Lowering](
    "lower/int16.py",
    operators=INT16_OPERATORS,
    without=(Reshape,),
)

Variant: TypeAlias = Callable[[TargetLayer[Any]], "Call | Sequence[Call] | None"]
_VARIANTS: dict[tuple[str, type[Op], bool], list[Variant]] = {}


def variant(target: str, *operators: type[Op], int16: bool = False) -> Callable[[Variant], Variant]:
    """Register the decorated function(layer) for ``operators`` on ``target``: for layers on int8,
    or for those on ``int16``. It answers the
    `Call` of a faster kernel, with its packed arrays and its scratch, where it can prove from the
    layer's own numbers that the kernel gives the same bytes; else None, having told the layer why
    (`TargetLayer.declines`) unless it is another kernel's, and the next one registered is asked, or
    the portable one runs.
    """

    def register(function: Variant) -> Variant:
        for operator in operators:
            _VARIANTS.setdefault((target, operator, int16), []).append(function)
        return function

    return register


def faster_calls(layer: TargetLayer[Op]) -> tuple[Call, ...] | None:
    """The calls of the target's own kernel for ``layer``, or of one of those targets whose kernels
    serve it; None if the portable one is to run."""
    answers = (faster(layer) for faster in _variants(layer, int16=layer.is_wide))
    answer = next((one for one in answers if one is not None), None)
    return answer if answer is None else _all(answer)


def _variants(layer: TargetLayer[Op], *, int16: bool) -> list[Variant]:
    """Who is asked, in this order."""
    kind = (type(layer.op), int16)
    targets = find_target(layer.target).lineage
    return [one for name in targets for one in _VARIANTS.get((name, *kind), ())]


def declined_calls(layer: TargetLayer[Op]) -> tuple[Call, ...]:
    """The portable kernel's calls for ``layer``, the last one with the reason why no kernel of the
    target's own runs, where there is one that could: what those said that were asked."""
    *others, last = portable_calls(layer)
    reason = " and ".join(dict.fromkeys(layer.declined))
    if layer.is_wide and not _variants(layer, int16=True) and _variants(layer, int16=False):
        reason = "activations are int16"
    return (*others, replace(last, declined=reason))


Pair: TypeAlias = Callable[[TargetLayer[Any], TargetLayer[Any]], "Call | None"]
_PAIRS: dict[str, Pair] = {}


def pair_variant(target: str) -> Callable[[Pair], Pair]:
    """Register the decorated function(first, second) for ``target``. It answers the `Call` that
    computes both, its ``reads`` counted over the inputs of the first one and then of the second
    one, where the target has such a kernel; else None."""

    def register(function: Pair) -> Pair:
        _PAIRS[target] = function
        return function

    return register


def faster_pair(first: TargetLayer[Any], second: TargetLayer[Any]) -> Call | None:
    """What the target's own kernel, or one that serves it, makes of both; None if none does."""
    found = (_PAIRS.get(name) for name in find_target(first.target).lineage)
    answers = (pair(first, second) for pair in found if pair is not None)
    return next((answer for answer in answers if answer is not None), None)


def portable_calls(layer: TargetLayer[Op]) -> tuple[Call, ...]:
    """The portable kernel's calls for ``layer``."""
    by_type = lowers_int16 if layer.is_wide and facts(layer.op).int16 else lowers
    return _all(by_type.of(layer.op)(layer))


def _all(answer: Call | Sequence[Call]) -> tuple[Call, ...]:
    return (answer,) if isinstance(answer, Call) else tuple(answer)


# --- How far an output may lie over an input ------------------------------------------------------


def overlap(needs: IndexArray) -> int | None:
    """One of `LoweredOp.overlaps` of a kernel that writes its output byte by byte, in memory order
    (see nano/ops.h); output byte k needs no byte of this input before ``needs[k]`` (`NOTHING`: it
    needs none).

    When byte k is written, nothing from the first byte that a later one needs on may be
    overwritten: offset(in) - offset(out) >= k + 1 - min(needs[k+1:]) for every k.
    """
    later = np.minimum.accumulate(needs[:0:-1])[::-1]
    gap = int((np.arange(1, needs.size) - later).max(initial=0))
    return gap if gap < needs.size else None


def in_chunks(needs: IndexArray, size: int) -> IndexArray:
    """``needs`` of a kernel that reads all that ``size`` output bytes need (fewer at the end)
    before it writes any of them."""
    result = np.full(needs.size, NOTHING)
    result[::size] = np.minimum.reduceat(needs, np.arange(0, needs.size, size))
    return result


def wide(needs: IndexArray, width: int) -> IndexArray:
    """``needs``, element by element, for the bytes of elements of ``width``: these are written at
    once, so nothing is read between them."""
    result = np.full((needs.size, width), NOTHING)
    result[:, 0] = needs
    return result.reshape(-1)


def positions(tensor: QTensor) -> IndexArray:
    """The place of every element of ``tensor``, in its shape."""
    return np.arange(tensor.size, dtype=np.int64).reshape(tensor.shape)


# --- Structs that several kernels have ------------------------------------------------------------


def factor(multiplier: Multiplier) -> Struct:
    """nano_factor."""
    return Struct("nano_factor", (("multiplier", multiplier[0]), ("shift", multiplier[1])))


def store(layer: Layer[Op]) -> Struct:
    """nano_store."""
    low, high = layer.clamp
    fields = (("zero_point", layer.output.zero_point), ("min", low), ("max", high))
    return Struct("nano_store", fields)


def whole_copy(size: int, constant: Array | None = None) -> Struct:
    """nano_copy_params of ``size`` bytes, of the input or of ``constant``, as they are."""
    stride = four((1,), 0)
    fields: Fields = (
        ("constant", constant),
        ("shape", four((size,), 1)),
        ("in_offset", 0),
        ("out_offset", 0),
        ("in_stride", stride),
        ("out_stride", stride),
    )
    return Struct("nano_copy_params", fields)


# --- Axes -----------------------------------------------------------------------------------------


def merge_axes(
    sizes: Sequence[int], *strides: Sequence[int], largest: int = INT32_MAX
) -> tuple[list[int], list[list[int]]]:
    """(sizes, strides) of the same elements in the same order, over as few axes as do: axes of one
    element are dropped and those that run on into each other, by all ``strides``, become one of
    at most ``largest`` elements."""
    merged: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for size, *at in zip(sizes, *strides, strict=True):
        if size == 1:
            continue
        joins = merged and merged[-1] * size <= largest
        if joins and all(step[-1] == size * one for step, one in zip(steps, at, strict=True)):
            merged[-1] *= size
            for step, one in zip(steps, at, strict=True):
                step[-1] = one
        else:
            merged.append(size)
            for step, one in zip(steps, at, strict=True):
                step.append(one)
    return merged, steps


def four(values: Sequence[int], fill: int) -> tuple[int, ...]:
    """``values`` behind as many ``fill`` as make them `MAX_AXES`."""
    return (*(fill,) * (MAX_AXES - len(values)), *values)


def row_major(shape: Sequence[int]) -> list[int]:
    """The stride of each axis of a tensor of this ``shape``, in elements."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]
