"""Kernels for this computer in place of portable ones: the same bytes, several times as fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, LoweredOp, Struct

LANES = 8  # outputs side by side
MAX_TERMS = 16384  # NANOTOOL_HOST_MAX_TERMS: a patch lies on the stack


@dataclass(frozen=True, slots=True)
class HostCall:
    """A kernel of host.h and the values of its params struct."""

    kernel: str
    params: Struct


def on_host(op: LoweredOp) -> HostCall | None:
    """The host's call for ``op``; None if there is none: the portable kernel stays."""
    fields = dict(op.params.fields)
    match op.kernel:
        case "nano_dense":
            linear = op.params
        case "nano_conv2d":
            linear = op.params
        case "nano_conv2d_max_pool":
            conv = fields["conv"]
            assert isinstance(conv, Struct)
            linear = conv
        case _:
            return None
    values = dict(linear.fields)
    weights, bias = values["weights"], values["bias"]
    assert isinstance(weights, Array)
    assert isinstance(bias, Array)
    terms = weights.data.size // bias.data.size
    if values.get("groups", 1) != 1 or terms > MAX_TERMS:
        return None
    packed = Array("host_weights", pack(weights.data.reshape(-1, terms)))
    name = op.kernel.replace("nano_", "nanotool_host_", 1)
    return HostCall(name, Struct(f"{name}_params", (("op", op.params), ("weights", packed))))


def pack(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """[out][terms] as [out / 8][pairs][8][2], flat; zeros where outputs or terms end."""
    outputs, terms = weights.shape
    padded = np.zeros((-(-outputs // LANES) * LANES, terms + terms % 2), np.int16)
    padded[:outputs, :terms] = weights
    blocks = padded.reshape(-1, LANES, padded.shape[1] // 2, 2)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(-1)
