"""Images as lines: how depthwise kernels bring four channels at a time into planes of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nanotool.ir import Int8Array, Op, Window
from nanotool.lower.layer import UINT16_MAX, TargetLayer

PLANES = 4  # channels that are brought in together, at most
# Bytes of planes that bands of lines are cut for; one output line needs what it needs. More than
# that is hardly faster: docs/performance.md.
ROOM = {"speed": 4096, "balanced": 4096, "size": 1024}


@dataclass(frozen=True, slots=True)
class Lines:
    """A layer's geometry with the image's rows, or its ``columns``, as lines; a target's kernels
    say what that takes."""

    columns: bool
    kernel: tuple[int, int]  # (lines, taps of each, with a gap's as 0)
    apart: int  # from a line of taps to the next
    gap: int  # from a tap to the next one of its line
    stride: tuple[int, int]  # (from line to line, along one)
    padding: tuple[int, int]  # before the first line, before a line's first element
    in_lines: int
    out_lines: int
    outputs: int  # of a line
    planes: int  # channels that are brought in together

    @property
    @abstractmethod
    def pitch(self) -> int:
        """A line of a plane, in the kernel's units."""

    @property
    @abstractmethod
    def work(self) -> tuple[int, int]:
        """(which kernel: the lower the better; about how many instructions a channel takes)."""

    @abstractmethod
    def scratch(self, band: int) -> int:
        """Bytes for ``band`` output lines."""

    @property
    def extent(self) -> tuple[int, int]:
        """The window's (lines, length), gaps included."""
        return (self.kernel[0] - 1) * self.apart + 1, self.kernel[1]

    def line_count(self, band: int) -> int:
        """The lines that ``band`` output lines read."""
        return (band - 1) * self.stride[0] + self.extent[0]

    def band(self, room: int) -> int:
        """The output lines that are computed together, in bands of about the same size."""
        largest = next((n for n in range(self.out_lines, 1, -1) if self.scratch(n) <= room), 1)
        bands = -(-self.out_lines // largest)
        return -(-self.out_lines // bands)

    def holds_in_place(self, band: int, layer: TargetLayer[Op]) -> bool:
        """Whether no band's outputs, put over the input pixel by pixel, meet a pixel that a later
        band reads."""
        for end in range(band, self.out_lines, band):
            read = (end - 1) * self.stride[0] + self.extent[0] - self.padding[0]
            if read >= self.in_lines:
                break
            if not behind(self.columns, layer, end, read):
                return False
        return True


def behind(columns: bool, layer: TargetLayer[Op], written: int, read: int) -> bool:
    """Whether ``written`` output lines, put over the input pixel by pixel, stay behind the first
    ``read`` input lines. ``columns``: lines are columns."""
    (in_h, in_w), (out_h, out_w) = layer.input.shape[:2], layer.output.shape[:2]
    if columns:
        return (in_h, in_w) == (out_h, out_w) and written <= read
    return written * out_w <= read * in_w


_Kind = TypeVar("_Kind", bound=Lines)


def taps(weight: Int8Array, window: Window, lines: Lines) -> Int8Array:
    """[channels, lines, taps] of the canonical weights, zeros in the gaps along a line."""
    each = weight.reshape(-1, *window.kernel)
    each = each.transpose(0, 2, 1) if lines.columns else each
    spread = np.zeros((*each.shape[:2], lines.kernel[1]), np.int8)
    spread[:, :, :: lines.gap] = each
    return spread


def in_place(layer: TargetLayer[Op]) -> bool:
    """Whether the output goes over the input: each channel over its own, in no more pixels."""
    same = layer.output.shape[2] == layer.input.shape[2]
    return same and layer.output.size <= layer.input.size


def _geometries(kind: type[_Kind], window: Window, layer: TargetLayer[Op]) -> list[_Kind]:
    """Rows as lines, then columns."""
    in_size, out_size = layer.input.shape[:2], layer.output.shape[:2]
    return [
        kind(
            columns,
            (window.kernel[across], (window.kernel[along] - 1) * window.dilation[along] + 1),
            window.dilation[across],
            window.dilation[along],
            (window.stride[across], window.stride[along]),
            (window.padding[across], window.padding[along]),
            in_size[across],
            out_size[across],
            out_size[along],
            min(layer.input.shape[2], PLANES),
        )
        for columns, (across, along) in ((False, (0, 1)), (True, (1, 0)))
    ]


def choose(kind: type[_Kind], window: Window, layer: TargetLayer[Op]) -> tuple[_Kind, int] | None:
    """The geometry of least work whose planes fit the room, or else that of the smallest planes;
    and its band. The better kernel goes before both."""
    room = ROOM[layer.optimize]
    choices = []
    for lines in _geometries(kind, window, layer):
        if any(pad >= size for pad, size in zip(lines.padding, lines.extent, strict=True)):
            continue
        band = lines.band(room)
        if in_place(layer) and not lines.holds_in_place(band, layer):
            band = lines.out_lines
        if lines.pitch <= UINT16_MAX:
            better, work = lines.work
            choices.append((better, max(lines.scratch(band) - room, 0), work, lines, band))
    if layer.declines(not choices, "the padding is as wide as the window"):
        return None
    return min(choices, key=lambda choice: choice[:3])[3:]
