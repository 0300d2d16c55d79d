"""Depthwise convolutions: lib/nano/include/nano/ops/mac16.h."""

from __future__ import annotations

from dataclasses import dataclass

from nanotool.ir import Conv2D
from nanotool.lower.layer import Call, TargetLayer, variant
from nanotool.lower.scalar.depthwise import ScalarLines, depthwise_call

TARGET = "mac16"
_HALF, _WORD, _FOUR = 2, 4, 8  # bytes of a half, of a word, of four halves


@dataclass(frozen=True, slots=True)
class _Lines(ScalarLines):
    """Lines of halves, two to a word."""

    @property
    def pitch(self) -> int:
        """Halves a line: all that its outputs read, of 3 x 3 an even number of them or, with
        stride 2, whole words."""
        if self.is_3x3:
            outputs = self.outputs + self.outputs % 2 if self.stride[1] == 1 else self.outputs
            return outputs * self.stride[1] + 2
        halves = (self.outputs - 1) * self.stride[1] + self.kernel[1]
        return halves + halves % 2

    def fours(self, odd: int) -> int:
        """Products in fours of a row of the window that begins at an even place; at an odd one."""
        return -(-(self.kernel[1] + odd) // 4)

    @property
    def work(self) -> tuple[int, int]:
        """The kernel for 3 x 3 goes before the other one."""
        if self.is_3x3:
            return 0, self.out_lines * (15 + self.outputs * 13)
        fours = max(self.fours(odd) for odd in range(1 + self.stride[1] % 2))
        return 1, self.out_lines * (10 + self.outputs * (30 + self.kernel[0] * (6 + 4 * fours)))

    def scratch(self, band: int) -> int:
        """Planes, a channel's sums and weights."""
        rows = [self.fours(odd) for odd in range(1 + self.stride[1] % 2)]
        weights = 5 * _WORD if self.is_3x3 else (self.kernel[0] * sum(rows) + 1) * _FOUR
        sums = _WORD * (self.together(band) * self.outputs + 1)
        planes = self.planes * self.pitch * self.line_count(band) * _HALF
        # Of the last line more may be read than there is.
        ahead = 0 if self.is_3x3 else max(rows) * _FOUR + _WORD
        return sums + weights + planes + ahead


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """In planes of halves."""
    return depthwise_call(layer, _Lines, TARGET)
