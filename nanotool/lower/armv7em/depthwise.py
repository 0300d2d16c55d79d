"""Depthwise convolutions: lib/nano/include/nano/ops/depthwise_dsp.h."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import INT8_MIN, Conv2D, Int8Array, Struct, Window
from nanotool.lower import pack
from nanotool.lower.layer import UINT16_MAX, Call, Layer, store, variant
from nanotool.lower.linear import is_depthwise
from nanotool.lower.window import window_struct

TARGET = "armv7em"
SCALES = "scales [c][256 bias + shift - 1, multiplier]"
PLANES = 4  # channels that are computed together
BYTES = 4 * PLANES  # of scratch a word of a line
_OUTPUTS = 4  # that are computed together where the kernel is not 3 x 3
# Bytes of planes that bands of lines are cut for; one output line needs what it needs. More than
# that is hardly faster: docs/performance.md.
ROOM = {"speed": 4096, "balanced": 4096, "size": 1024}


@dataclass(frozen=True, slots=True)
class _Lines:
    """A layer's geometry with the image's rows, or its ``columns``, as lines."""

    columns: bool
    kernel: tuple[int, int]  # (lines, taps of each)
    stride: tuple[int, int]  # (from line to line, along one)
    padding: tuple[int, int]  # before the first line, before a line's first element
    in_lines: int
    out_lines: int
    outputs: int  # of a line

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
    def work(self) -> int:
        """About how many instructions a channel takes."""
        if self.is_3x3:
            return self.out_lines * (20 + 29 * (self.outputs // 2) + 20 * (self.outputs % 2))
        four = self.kernel[0] * (8 + 12 * self.words) + 60
        return self.out_lines * (20 + four * -(-self.outputs // _OUTPUTS))

    def scratch(self, band: int) -> int:
        """Bytes of planes for ``band`` output lines, and of weights as halves."""
        planes = BYTES * self.pitch * ((band - 1) * self.stride[0] + self.kernel[0])
        return planes + (0 if self.is_3x3 else 4 * self.kernel[0] * self.words)

    def band(self, room: int) -> int:
        """The output lines that are computed together, in bands of about the same size."""
        largest = next((n for n in range(self.out_lines, 1, -1) if self.scratch(n) <= room), 1)
        bands = -(-self.out_lines // largest)
        return -(-self.out_lines // bands)


def _lines(window: Window, layer: Layer) -> Iterator[_Lines]:
    """Rows as lines, then columns."""
    in_size, out_size = layer.input.shape[:2], layer.output.shape[:2]
    for columns, (across, along) in ((False, (0, 1)), (True, (1, 0))):
        yield _Lines(
            columns,
            (window.kernel[across], window.kernel[along]),
            (window.stride[across], window.stride[along]),
            (window.padding[across], window.padding[along]),
            in_size[across],
            out_size[across],
            out_size[along],
        )


def _holds_in_place(lines: _Lines, band: int, layer: Layer) -> bool:
    """Whether no band's outputs, put over the input pixel by pixel, meet a pixel that a later band
    reads."""
    (in_h, in_w), (out_h, out_w) = layer.input.shape[:2], layer.output.shape[:2]
    for end in range(band, lines.out_lines, band):
        read = (end - 1) * lines.stride[0] + lines.kernel[0] - lines.padding[0]
        if read >= lines.in_lines:
            break
        if lines.columns:
            harmless = (in_h, in_w) == (out_h, out_w) and end <= read
        else:
            harmless = end * out_w <= read * in_w
        if not harmless:
            return False
    return True


def _choose(window: Window, layer: Layer, in_place: bool) -> tuple[_Lines, int] | None:
    """The geometry of least work whose planes fit the room, or else that of the smallest planes;
    and its band. The kernel for 3 x 3 goes before the other one."""
    room = ROOM[layer.optimize]
    choices = []
    for lines in _lines(window, layer):
        band = lines.band(room)
        if in_place and not _holds_in_place(lines, band, layer):
            band = lines.out_lines
        if lines.pitch <= UINT16_MAX:
            excess = max(lines.scratch(band) - room, 0)
            choices.append((not lines.is_3x3, excess, lines.work, lines, band))
    if not choices:
        return None
    return min(choices, key=lambda choice: choice[:3])[3:]


def _weights(weight: Int8Array, window: Window, lines: _Lines) -> tuple[NDArray[np.int8], str]:
    """The packed weights and what they are: for 3 x 3 of each line the taps 0, 1, 1, 2, else all
    and a zero where their number is odd."""
    taps = weight.reshape(-1, *window.kernel)
    taps = taps.transpose(0, 2, 1) if lines.columns else taps
    if lines.is_3x3:
        return taps[:, :, [0, 1, 1, 2]], "weights [c][3 lines][taps 0 1 1 2]"
    even = np.pad(taps, ((0, 0), (0, 0), (0, taps.shape[2] % 2)))
    return even, "weights [c][lines][taps, an even number]"


@variant(TARGET, Conv2D)
def _depthwise_conv2d(op: Conv2D, layer: Layer) -> Call | None:
    """Four channels at a time, in planes; over the input if the output fits there."""
    window, channels = op.window, layer.output.shape[2]
    if not is_depthwise(op, layer) or channels != layer.input.shape[2] or channels < PLANES:
        return None
    if window.dilation != (1, 1):
        return None
    if window.padding[0] >= window.kernel[0] or window.padding[1] >= window.kernel[1]:
        return None
    in_place = layer.output.size <= layer.input.size
    choice = _choose(window, layer, in_place)
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
        (0 if in_place else None,),
        macs=layer.output.size * math.prod(window.kernel),
        scratch=lines.scratch(band),
    )
