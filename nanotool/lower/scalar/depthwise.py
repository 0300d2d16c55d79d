"""Depthwise convolutions: lib/nano/include/nano/ops/scalar.h."""

from __future__ import annotations

from dataclasses import dataclass

from nanotool.ir import Conv2D, Struct
from nanotool.lower.layer import Call, TargetLayer, store, variant
from nanotool.lower.linear import is_depthwise
from nanotool.lower.planes import PLANES, Lines, choose, in_place
from nanotool.lower.pooling import window_struct
from nanotool.lower.scalar import limbs
from nanotool.lower.scalar.linear import TARGET

SUMS = 64  # of a channel that are computed together, in whole lines


@dataclass(frozen=True, slots=True)
class _Lines(Lines):
    """Lines of bytes."""

    @property
    def pitch(self) -> int:
        """Bytes a line: all that its outputs read."""
        return (self.outputs - 1) * self.stride[1] + self.kernel[1]

    @property
    def work(self) -> tuple[int, int]:
        """Along a line the stride is at most 2."""
        three = 150 + 10 * self.stride[1]
        work = self.out_lines * (40 + three * (self.outputs // 3) + 70 * (self.outputs % 3))
        return int(self.stride[1] > 2), work

    def together(self, band: int) -> int:
        """Output lines of a channel that are computed together."""
        return min(max(SUMS // self.outputs, 1), band)

    def scratch(self, band: int) -> int:
        """Four planes and a channel's sums."""
        sums = 4 * self.together(band) * self.outputs
        return sums + PLANES * self.pitch * self.line_count(band)


@variant(TARGET, Conv2D)
def _depthwise_conv2d(layer: TargetLayer[Conv2D]) -> Call | None:
    """Four channels at a time, in planes; over the input if the output fits there."""
    window, channels = layer.op.window, layer.output.shape[2]
    if not is_depthwise(layer) or channels != layer.input.shape[2] or channels < PLANES:
        return None
    if window.dilation != (1, 1) or window.kernel != (3, 3) or layer.optimize == "size":
        return None
    if window.padding[0] >= window.kernel[0] or window.padding[1] >= window.kernel[1]:
        return None
    choice = choose(_Lines, window, layer)
    packed = limbs.packed(layer)
    if packed is None or packed.wide or choice is None:
        return None
    lines, band = choice
    if lines.stride[1] > 2:
        return None
    taps = packed.weight.reshape(-1, 3, 3)
    weights = taps.transpose(0, 2, 1) if lines.columns else taps
    fields = (
        ("weights", layer.array("weights", weights, "weights [c][3 lines][3]")),
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
        "nano_depthwise_conv2d_3x3_scalar",
        Struct("nano_depthwise_conv2d_scalar_params", fields),
        (0 if in_place(layer) else None,),
        scratch=lines.scratch(band),
    )
