"""Depthwise convolutions: lib/nano/include/nano/ops/scalar.h."""

from __future__ import annotations

from dataclasses import dataclass

from nanotool.ir import Conv2D, Struct
from nanotool.lower.layer import Call, TargetLayer, store, variant
from nanotool.lower.linear import is_depthwise
from nanotool.lower.planes import Lines, choose, in_place, taps
from nanotool.lower.pooling import window_struct
from nanotool.lower.scalar import limbs

TARGET = "scalar"
SUMS = 64  # of a channel that are computed together, in whole lines


@dataclass(frozen=True, slots=True)
class ScalarLines(Lines):
    """Lines of bytes."""

    @property
    def pitch(self) -> int:
        """Bytes a line: all that its outputs read."""
        return (self.outputs - 1) * self.stride[1] + self.kernel[1]

    @property
    def is_3x3(self) -> bool:
        """Whether the kernel for that takes it."""
        return self.kernel == (3, 3) and self.gap == 1 and self.stride[1] <= 2

    @property
    def work(self) -> tuple[int, int]:
        """The kernel for 3 x 3 goes before the other one."""
        three, one = 150 + 10 * self.stride[1], 70
        if not self.is_3x3:
            three = 110 + self.kernel[0] * (12 + 45 * (self.kernel[1] // 4))
            three += self.kernel[0] * 15 * (self.kernel[1] % 4)
            one = 30 + self.kernel[0] * (8 + 7 * self.kernel[1])
        work = self.out_lines * (40 + three * (self.outputs // 3) + one * (self.outputs % 3))
        return int(not self.is_3x3), work

    def together(self, band: int) -> int:
        """Output lines of a channel that are computed together."""
        return min(max(SUMS // self.outputs, 1), band)

    def scratch(self, band: int) -> int:
        """Planes, a channel's sums and weights."""
        sums = 4 * self.together(band) * self.outputs + 4 * self.kernel[0] * self.kernel[1]
        return sums + self.planes * self.pitch * self.line_count(band)


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """In planes of bytes."""
    return depthwise_call(layer, ScalarLines, TARGET)


def depthwise_call(layer: TargetLayer[Conv2D], kind: type[ScalarLines], ending: str) -> Call | None:
    """The call of a kernel that takes lines of that ``kind``, whose name has that ``ending``: up to
    four channels at a time; over the input if the output fits there."""
    window = layer.op.window
    if not is_depthwise(layer) or layer.refuses_memory:
        return None
    choice = choose(kind, window, layer)
    packed = limbs.packed(layer)
    if packed is None or layer.declines(packed.wide, limbs.WIDE) or choice is None:
        return None
    lines, band = choice
    weights = taps(packed.weight, window, lines)[:, :, :: lines.gap]
    fields = (
        ("weights", layer.array("weights", weights, "weights [o][lines][taps]")),
        ("scales", packed.scales_array(layer)),
        ("window", window_struct(window, layer)),
        ("along", lines.stride[1]),
        ("columns", int(lines.columns)),
        ("pitch", lines.pitch),
        ("band", band),
        ("together", lines.together(band)),
        ("unit", packed.unit),
        ("in_zero_point", layer.input.zero_point),
        ("store", store(layer)),
    )
    return Call(
        f"nano_depthwise_conv2d{'_3x3' if lines.is_3x3 else ''}_{ending}",
        Struct("nano_depthwise_conv2d_scalar_params", fields),
        (0 if in_place(layer) else None,),
        scratch=lines.scratch(band),
    )
