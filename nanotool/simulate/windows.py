"""Sliding windows over n, H, W, C."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nanotool.ir import Window


def padded(x: NDArray[Any], window: Window, fill: float) -> NDArray[Any]:
    """``x`` with the window's padding, which holds ``fill``."""
    top, left, bottom, right = window.padding
    return np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=cast(Any, fill)
    )


def windows(x: NDArray[Any], window: Window, fill: float) -> NDArray[Any]:
    """A view [n, out_h, out_w, c, kernel_h, kernel_w] of ``x``; outside stands ``fill``."""
    spans = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    views = sliding_window_view(padded(x, window, fill), spans, axis=(1, 2))
    strided: NDArray[Any] = views[
        :, :: window.stride[0], :: window.stride[1], :, :: window.dilation[0], :: window.dilation[1]
    ]
    return strided


def exact_float(terms: int, *, wide: bool = False) -> type[np.floating[Any]]:
    """The float type in which a sum of ``terms`` products (int9 x int8, or ``wide`` int16 x int8)
    is exact in any order, so that BLAS can compute it."""
    factor = 2**15 if wide else 255
    return np.float32 if terms * factor * 128 < 2**24 else np.float64
