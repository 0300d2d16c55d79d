"""What rewriting a graph takes, float or int8."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)


def frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """A contiguous copy of ``array`` that cannot be written."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


def renaming(renamed: Mapping[str, str]) -> Callable[[str], str]:
    """The name that a tensor has after all: {"a": "b", "b": "c"} makes "a" and "b" "c"."""

    def final(tensor: str) -> str:
        while tensor in renamed:
            tensor = renamed[tensor]
        return tensor

    return final


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, or with a number behind it if it is ``taken``."""
    result, count = name, 1
    while result in taken:
        count += 1
        result = f"{name}_{count}"
    return result
