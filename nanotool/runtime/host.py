"""Kernels for this computer in place of portable ones: the same bytes, many times as fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, LoweredOp, Struct, Value

LANES = 8  # outputs side by side
MAX_TERMS = 16384  # NANOTOOL_HOST_MAX_TERMS: a patch lies on the stack
MAX_TAPS = 256  # NANOTOOL_HOST_MAX_TAPS

# Kernels whose params hold a convolution's as their first field, and those that are their own.
_HOLDS = frozenset({"nano_conv2d_max_pool", "nano_conv2d_add"})
_LINEAR = frozenset({"nano_dense", "nano_conv2d", "nano_depthwise_conv2d"})


@dataclass(frozen=True, slots=True)
class HostCall:
    """A kernel of host.h and the values of its params struct."""

    kernel: str
    params: Struct


def on_host(op: LoweredOp) -> HostCall | None:
    """The host's call for ``op``; None if there is none: the portable kernel stays."""
    fields = dict(op.params.fields)
    if op.kernel in _HOLDS:
        linear = fields["conv"]
        assert isinstance(linear, Struct)
    elif op.kernel in _LINEAR:
        linear = op.params
    else:
        return None
    values = dict(linear.fields)
    more: tuple[tuple[str, Value], ...] = ()
    if op.kernel == "nano_depthwise_conv2d":
        weights, groups = _by_tap(values), 1
        zero_point = values["in_zero_point"]
        assert isinstance(zero_point, int)
        padding = np.full(_channels(values), zero_point, np.int8)
        more = (("padding", Array("host_padding", padding)),)
    else:
        weights, groups = _by_output(values), _number(values.get("groups", 1))
    if weights is None or (groups > 1 and op.kernel == "nano_conv2d_max_pool"):
        return None
    if groups * (weights.shape[1] + weights.shape[1] % 2) > MAX_TERMS:
        return None
    name = op.kernel.replace("nano_", "nanotool_host_", 1)
    rows = ("rows", _rows(weights, values, groups))
    return HostCall(name, Struct(f"{name}_params", (("op", op.params), rows, *more)))


def _rows(weights: NDArray[np.int8], values: dict[str, Value], groups: int) -> Struct:
    """nanotool_host_rows of weights [outputs][terms of a group]."""
    requant = values["requant"]
    assert isinstance(requant, Struct)
    scales = dict(requant.fields)
    outputs = len(weights)

    def column(array: NDArray[np.int32]) -> NDArray[np.int32]:
        """An entry an output, [groups][blocks][LANES]: zeros where a group's outputs end."""
        whole = np.broadcast_to(array, outputs).reshape(groups, -1)
        return np.ascontiguousarray(np.pad(whole, ((0, 0), (0, -whole.shape[1] % LANES))).ravel())

    shift = _data(scales["shift"]).astype(np.int32)
    columns = {
        "bias": _data(values["bias"]),
        "multiplier": _data(scales["multiplier"]),
        "left": np.maximum(shift, 0),
        "right": np.maximum(-shift, 0),
    }
    packed = np.concatenate([pack(part) for part in np.split(weights, groups)])
    arrays = {"weights": packed, **{name: column(array) for name, array in columns.items()}}
    fields = tuple((name, Array(f"host_{name}", array)) for name, array in arrays.items())
    return Struct("nanotool_host_rows", fields)


def _by_output(values: dict[str, Value]) -> NDArray[np.int8]:
    """The weights of a dense layer or convolution as [outputs][terms of a group]."""
    return _data(values["weights"]).reshape(len(_data(values["bias"])), -1)


def _by_tap(values: dict[str, Value]) -> NDArray[np.int8] | None:
    """The weights of a depthwise convolution as [outputs][taps]; None of one that has no kernel
    here: with several outputs an input, or many taps."""
    outputs = len(_data(values["bias"]))
    weights = _data(values["weights"]).reshape(-1, outputs)
    return weights.T if _channels(values) == outputs and len(weights) <= MAX_TAPS else None


def _channels(values: dict[str, Value]) -> int:
    """Of the input."""
    window = values["window"]
    assert isinstance(window, Struct)
    return _number(dict(window.fields)["in_c"])


def _number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _data(value: Value) -> NDArray[np.int8]:
    assert isinstance(value, Array)
    return value.data


def pack(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """[out][terms] as [out / 8][pairs][8][2], flat; zeros where outputs or terms end."""
    outputs, terms = weights.shape
    padded = np.zeros((-(-outputs // LANES) * LANES, terms + terms % 2), np.int16)
    padded[:outputs, :terms] = weights
    blocks = padded.reshape(-1, LANES, padded.shape[1] // 2, 2)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(-1)
