"""Depthwise convolutions: lib/nano/include/nano/ops/depthwise_dsp.h."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import INT8_MIN, Conv2D, Int8Array, Struct, Window
from nanotool.lower import pack
from nanotool.lower.layer import Call, TargetLayer, in_chunks, overlap, store, variant
from nanotool.lower.linear import conv2d_struct, is_depthwise
from nanotool.lower.planes import PLANES, Lines, choose, in_place, taps
from nanotool.lower.pooling import window_struct

TARGET = "armv7em"
SCALES = "scales [c][256 bias + shift - 1, multiplier]"
BYTES = 4 * PLANES  # of scratch a word of a line, at most
_OUTPUTS = 4  # that are computed together where the kernel is not 3 x 3


@dataclass(frozen=True, slots=True)
class _Lines(Lines):
    """Lines of halves."""

    @property
    def is_3x3(self) -> bool:
        """Whether the kernel for that takes it."""
        return self.kernel == (3, 3) and self.stride[1] <= 2

    @property
    def words(self) -> int:
        """Of a line of taps, two each."""
        return -(-self.kernel[1] // 2)

    @property
    def pitch(self) -> int:
        """Words a line: all that its outputs read, the last one as a whole number of words."""
        outputs = self.outputs if self.is_3x3 else -(-self.outputs // _OUTPUTS) * _OUTPUTS
        return ((outputs - 1) * self.stride[1] + self.kernel[1]) // 2 + 1

    @property
    def work(self) -> tuple[int, int]:
        """The kernel for 3 x 3 goes before the other one."""
        if self.is_3x3:
            return 0, self.out_lines * (20 + 29 * (self.outputs // 2) + 20 * (self.outputs % 2))
        four = self.kernel[0] * (8 + 12 * self.words) + 60
        return 1, self.out_lines * (20 + four * -(-self.outputs // _OUTPUTS))

    def scratch(self, band: int) -> int:
        """Bytes of planes for ``band`` output lines, and of weights as halves."""
        planes = 4 * self.planes * self.pitch * self.line_count(band)
        return planes + (0 if self.is_3x3 else 4 * self.kernel[0] * self.words)


def _weights(weight: Int8Array, window: Window, lines: _Lines) -> tuple[NDArray[np.int8], str]:
    """The packed weights and what they are: for 3 x 3 of each line the taps 0, 1, 1, 2, else all
    and a zero where their number is odd."""
    each = taps(weight, window, lines)
    if lines.is_3x3:
        return each[:, :, [0, 1, 1, 2]], "weights [c][3 lines][taps 0 1 1 2]"
    even = np.pad(each, ((0, 0), (0, 0), (0, each.shape[2] % 2)))
    return even, "weights [c][lines][taps, an even number]"


@variant(TARGET, Conv2D)
def _one_pixel(layer: TargetLayer[Conv2D]) -> Call | None:
    """One output pixel, as a step of a streamed model has it: channels lie side by side already."""
    channels = layer.output.shape[2]
    if not is_depthwise(layer) or channels != layer.input.shape[2] or channels % 4:
        return None
    if layer.output.shape[:2] != (1, 1) or any(layer.op.window.padding):
        return None
    needs = in_chunks(np.arange(channels, dtype=np.int64), 4)
    return Call("nano_depthwise_conv2d_pixel_dsp", conv2d_struct(layer), (overlap(needs),))


def takes(layer: TargetLayer[Conv2D]) -> bool:
    """Whether the kernel of planes takes a depthwise layer."""
    return pack.scaled(layer) is not None and choose(_Lines, layer.op.window, layer) is not None


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Four channels at a time, in planes; over the input if the output fits there."""
    window = layer.op.window
    if not is_depthwise(layer):
        return None
    choice = choose(_Lines, window, layer)
    packed = pack.scaled(layer)
    if packed is None or choice is None:
        return None
    lines, band = choice
    fields = (
        ("weights", layer.array("weights", *_weights(packed.weight, window, lines))),
        (
            "scales",
            layer.array("scales", packed.scales, SCALES),
        ),
        ("window", window_struct(window, layer)),
        ("columns", int(lines.columns)),
        ("pitch", lines.pitch),
        ("band", band),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    size = "_3x3" if lines.is_3x3 else ""
    relu = "_relu" if layer.output.zero_point == INT8_MIN else ""
    return Call(
        f"nano_depthwise_conv2d{size}{relu}_dsp",
        Struct("nano_depthwise_conv2d_dsp_params", fields),
        (0 if in_place(layer) else None,),
        scratch=lines.scratch(band),
    )
