"""Depthwise convolutions: lib/nano/include/nano/ops/depthwise_mve.h."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import INT8_MIN, Array, Conv2D, Int8Array, Op, Struct, Window
from nanotool.lower.armv7em import depthwise as armv7em
from nanotool.lower.armv81m import blocks
from nanotool.lower.layer import UINT16_MAX, Call, TargetLayer, overlap, store, variant
from nanotool.lower.linear import is_depthwise
from nanotool.lower.pack import Scaled, scaled, scaled_wide
from nanotool.lower.planes import PLANES, behind
from nanotool.lower.pooling import window_needs, window_struct

TARGET = "armv81m"
CHANNELS = 8  # that are brought into planes together
OUTPUTS = 16  # of a pixel that are computed together
WORTH = 2.5  # times the work, and the kernel for 3 x 3 is left: two kernels are 3 KB more of code
# Bytes of planes that bands are cut for; one band needs what it needs.
ROOM = {"speed": 2**32, "balanced": 4096, "size": 1024}


@dataclass(frozen=True, slots=True)
class _Lines:
    """A layer's geometry with the image's rows, or its ``columns``, as lines."""

    columns: bool
    stride: int
    padding: tuple[int, int]  # before the first line, before a line's first element
    in_lines: int
    out_lines: int
    inputs: int  # of a line
    outputs: int

    @property
    def band_lines(self) -> int:
        """The output lines of a band."""
        return 2 if self.stride == 1 else 1

    @property
    def bands(self) -> int:
        """The bands of all output lines."""
        return -(-self.out_lines // self.band_lines)

    @property
    def pitch(self) -> int:
        """Words a band: all of the line, and all that is read of it: for every two outputs four
        words; with stride 2 nine for four, and the next four begin with the ninth."""
        if self.stride == 1:
            read = self.outputs + self.outputs % 2 + 2
        else:
            read = -(-self.outputs // 4) * 8 + 2
        return max(read, self.padding[1] + self.inputs)

    @property
    def plane(self) -> int:
        """Bytes of a band of one channel."""
        return 4 * self.pitch

    @property
    def work(self) -> int:
        """About how many instructions a channel takes."""
        windows = -(-self.outputs // 2) if self.stride == 1 else -(-self.outputs // 4) * 2
        return self.bands * (15 + 18 * windows)

    def together(self, room: int) -> int:
        """The bands that are computed together, about the same number every time."""
        fit = min(room // CHANNELS, UINT16_MAX // CHANNELS) // self.plane
        largest = max(1, min(fit, self.bands))
        return -(-self.bands // -(-self.bands // largest))


def _lines(window: Window, layer: TargetLayer[Op]) -> Iterator[_Lines]:
    """Rows as lines, then columns."""
    in_size, out_size = layer.input.shape[:2], layer.output.shape[:2]
    for columns, (across, along) in ((False, (0, 1)), (True, (1, 0))):
        yield _Lines(
            columns,
            window.stride[0],
            (window.padding[across], window.padding[along]),
            in_size[across],
            out_size[across],
            in_size[along],
            out_size[along],
        )


def _holds_in_place(lines: _Lines, bands: int, layer: TargetLayer[Op]) -> bool:
    """Whether no outputs of some bands, put over the input pixel by pixel, meet a pixel that a
    later band reads."""
    for first in range(bands, lines.bands, bands):
        end = first * lines.band_lines  # the lines written so far
        read = 2 * first + 2 - lines.padding[0]  # two lines are in the planes
        if read >= lines.in_lines:
            break
        if not behind(lines.columns, layer, end, read):
            return False
    return True


def _choose(window: Window, layer: TargetLayer[Op], in_place: bool) -> tuple[_Lines, int] | None:
    """The geometry of least work whose planes fit the room, or else that of the smallest planes;
    and how many bands it takes together."""
    room = ROOM[layer.optimize]
    choices = []
    for lines in _lines(window, layer):
        bands = lines.together(room)
        if in_place and not _holds_in_place(lines, bands, layer):
            bands = lines.bands
        plane = lines.plane * bands
        if CHANNELS * plane <= UINT16_MAX:
            choices.append((max(CHANNELS * plane - room, 0), lines.work, lines, bands))
    if not choices:
        return None
    return min(choices, key=lambda choice: choice[:2])[2:]


def _weights(weight: Int8Array, columns: bool) -> NDArray[np.int8]:
    """int8 [c, 3 along a line, 4]: of lines 0, 1, 2, and 0."""
    taps = weight.reshape(-1, 3, 3)
    along = taps if columns else taps.transpose(0, 2, 1)
    return np.pad(along, ((0, 0), (0, 0), (0, 1)))


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Eight channels at a time, in planes, or 16 outputs of a pixel: what is less work."""
    if not is_depthwise(layer) or _few(layer):
        return None
    planes, pixels = _planes(layer), _pixels(layer)
    if planes is None or pixels is None:
        return planes[0] if planes is not None else pixels
    call, work = planes
    return call if work <= WORTH * _pixel_work(layer) else pixels


def _few(layer: TargetLayer[Conv2D]) -> bool:
    """Whether armv7em's kernel, which takes channels one by one, is less work: half of a block of
    outputs would be no one's."""
    few = layer.input.shape[2] < PLANES and layer.output.shape[2] <= OUTPUTS // 2
    return few and armv7em.takes(layer)


def _planes(layer: TargetLayer[Conv2D]) -> tuple[Call, int] | None:
    """3 x 3, over the input if the output fits there; and about how many instructions it takes."""
    window, channels = layer.op.window, layer.output.shape[2]
    if channels != layer.input.shape[2] or channels < CHANNELS:
        return None
    if window.dilation != (1, 1) or window.kernel != (3, 3) or max(window.padding[:2]) > 2:
        return None
    if window.stride not in ((1, 1), (2, 2)):
        return None
    in_place = layer.output.size <= layer.input.size
    choice = _choose(window, layer, in_place)
    packed = scaled_wide(layer)
    if packed is None or choice is None:
        return None
    lines, bands = choice
    weights = _weights(packed.weight, lines.columns)
    fields = (
        ("weights", layer.array("weights", weights, "weights [c][3 along a line][4: lines 0 1 2]")),
        ("scales", blocks.scale_triples(layer, packed)),
        ("window", window_struct(window, layer)),
        ("columns", int(lines.columns)),
        ("pitch", lines.pitch),
        ("bands", bands),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    relu = "_relu" if layer.output.zero_point == INT8_MIN else ""
    call = Call(
        f"nano_depthwise_conv2d_3x3{relu}_mve",
        Struct("nano_depthwise_conv2d_mve_params", fields),
        (0 if in_place else None,),
        scratch=CHANNELS * lines.plane * bands,
    )
    return call, channels * (lines.work + 130) + layer.input.size * 3 // 2


def _pixel_work(layer: TargetLayer[Conv2D]) -> int:
    """About how many instructions the kernel of 16 outputs takes."""
    taps, (height, width, outputs) = math.prod(layer.op.window.kernel), layer.output.shape
    block = 165 + 14 * taps
    return int(height * width * -(-outputs // OUTPUTS) * block)


def _pixels(layer: TargetLayer[Conv2D]) -> Call | None:
    """16 outputs of a pixel at a time. Two products of a weight and an input fit 16 bits."""
    packed, outputs = scaled(layer), layer.output.shape[2]
    if _has_planes_of_armv7em(layer):
        return None
    if packed is None or layer.declines(packed.weight.min() == INT8_MIN, "a weight is -128"):
        return None
    fill = -outputs % OUTPUTS
    weights = np.pad(packed.weight, ((0, fill), (0, 0))).reshape(
        -1, OUTPUTS, packed.weight.shape[1]
    )
    fields = (
        (
            "weights",
            layer.array("weights", weights.transpose(0, 2, 1), "weights [o / 16][tap][16]"),
        ),
        ("scales", _pixel_scales(layer, packed)),
        ("window", window_struct(layer.op.window, layer)),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    relu = "_relu" if layer.output.zero_point == INT8_MIN else ""
    first = np.arange(outputs) // OUTPUTS * OUTPUTS * layer.input.shape[2] // outputs
    return Call(
        f"nano_depthwise_conv2d_pixel{relu}_mve",
        Struct("nano_depthwise_conv2d_pixel_mve_params", fields),
        (overlap(window_needs(layer.op.window, layer, first)),),
        scratch=4 * packed.weight.shape[1] + (outputs + fill) * (outputs > layer.input.shape[2]),
    )


def _has_planes_of_armv7em(layer: TargetLayer[Conv2D]) -> bool:
    """Whether several outputs a channel share a plane of its kernel for 3 x 3: less work."""
    window, channels = layer.op.window, layer.input.shape[2]
    plain = window.kernel == (3, 3) and window.dilation == (1, 1) and max(window.stride) <= 2
    return plain and PLANES <= channels < layer.output.shape[2]


def _pixel_scales(layer: TargetLayer[Op], packed: Scaled) -> Array:
    """`blocks.scales` of every fourth output of a block."""
    fill = -len(packed.weight) % OUTPUTS
    order = np.arange(len(packed.weight) + fill).reshape(-1, OUTPUTS // 4, 4)
    order = order.transpose(0, 2, 1).reshape(-1)
    rows, *rest = (
        np.pad(one, ((0, fill), *((0, 0),) * (one.ndim - 1)))[order]
        for one in (packed.weight, packed.bias, packed.multiplier, packed.right)
    )
    return blocks.scales(layer, Scaled(rows, *rest))
