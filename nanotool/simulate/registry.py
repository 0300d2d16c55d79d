"""Which function computes which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

Kernel: TypeAlias = Callable[..., NDArray[Any]]  # (graph, op, *inputs) -> output
KERNELS: dict[type, Kernel] = {}


def kernel(op: type) -> Callable[[Kernel], Kernel]:
    """Register the function below as the meaning of the operator ``op``."""

    def register(function: Kernel) -> Kernel:
        KERNELS[op] = function
        return function

    return register
