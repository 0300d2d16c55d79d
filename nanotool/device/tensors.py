"""The tensors that a board tells of, and how an input becomes what its `db` holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import DeviceError
from nanotool.ir import DTYPES, Shape


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One of the model's inputs, outputs or states: real = scale * (q - zero_point) if it is int8,
    uint8 or int16."""

    shape: Shape
    scale: float
    zero_point: int
    dtype: str = "int8"  # a key of nanotool.ir.DTYPES
    name: str = ""  # told where the model has states, or several inputs or outputs

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes."""
        return self.size * DTYPES[self.dtype].itemsize


@dataclass(frozen=True, slots=True)
class DbInfo:
    """The board's input buffer. It holds the model's input, or, where a benchmark wants it, what
    the board makes an int8 input from. Several inputs stand one behind the other."""

    dtype: str  # a key of nanotool.ir.DTYPES; "bytes": each input's own
    nbytes: int


def db_bytes(x: NDArray[Any], tensor: TensorInfo, db: DbInfo) -> bytes:
    """What `db` must hold so that ``x`` is the input, of which ``tensor`` tells.

    ``x`` has the type of the buffer, whose bytes it then is, or that of the model's input: int8,
    which the board makes from uint8 by taking 128 off, or from float32 by quantizing; it finds the
    same int8 again. `DeviceError` for any other type.
    """
    held = DTYPES[tensor.dtype if db.dtype == "bytes" else db.dtype]
    if x.dtype == held:
        return x.astype(held.newbyteorder("<")).tobytes()
    if x.dtype == np.int8 and tensor.dtype == "int8":
        if db.dtype == "uint8":
            return (x.astype(np.int16) + 128).astype(np.uint8).tobytes()
        if db.dtype == "float32":
            real = (x.astype(np.float64) - tensor.zero_point) * tensor.scale
            return real.astype("<f4").tobytes()
    raise DeviceError(
        f"The input is {x.dtype}; the board takes {held}.",
        f"Give {tensor.dtype}, the model's own type, or {held}.",
    )
