"""SAME and VALID padding, made explicit."""

from __future__ import annotations

from nanotool.frontends.tflite.builder import Call
from nanotool.ir import Window


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding (before, after) of TensorFlow's SAME along one axis: ceil(size / stride) outputs."""
    span = dilation * (kernel - 1) + 1
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    return total // 2, total - total // 2


def window_of(
    call: Call,
    padding: str,
    size: tuple[int, int],
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Window:
    """The window over an image of ``size``, SAME or VALID made explicit."""
    if min(*kernel, *stride, *dilation) < 1:
        call.invalid(f"kernel {kernel}, stride {stride}, dilation {dilation}: one is below 1")
    window = Window(kernel, stride, (0, 0, 0, 0), dilation)
    if padding == "SAME":
        (top, bottom), (left, right) = (
            _same(*axis) for axis in zip(size, kernel, stride, dilation, strict=True)
        )
        window = Window(kernel, stride, (top, left, bottom, right), dilation)
    if min(window.output_size(*size)) < 1:
        call.invalid(f"its window {kernel} is larger than its input {size}")
    return window
