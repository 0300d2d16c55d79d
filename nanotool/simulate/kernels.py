"""Which function computes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from nanotool.ops import Registry

Kernel: TypeAlias = Callable[..., NDArray[Any]]  # (layer, *inputs) -> output, on batches
kernel = Registry[Kernel]("simulate")
