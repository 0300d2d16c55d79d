"""Which function computes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nanotool.ops import Registry

Kernel: TypeAlias = Callable[..., Any]  # (layer, *inputs) -> output, or a tuple of all, on batches
kernel = Registry[Kernel]("simulate")
