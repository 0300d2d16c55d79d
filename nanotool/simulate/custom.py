"""Operators that packages bring: what they compute is theirs to say."""

from __future__ import annotations

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.ir import Custom, Int8Array
from nanotool.ops import Layer, custom
from nanotool.simulate.kernels import kernel


@kernel(Custom)
def custom_operator(layer: Layer[Custom], *inputs: Int8Array) -> Int8Array:
    """Its integer(), held to the output's type and shape."""
    count = max(len(x) for x in inputs)
    whole = (np.broadcast_to(x, (count, *x.shape[1:])) for x in inputs)
    result = np.asarray(custom.definition(layer.op.function).integer(layer, *whole))
    wanted = (count, *layer.output.shape)
    if result.dtype != np.int8 or result.shape != wanted:
        raise InvalidModel(
            f"{layer.name}: {layer.op.function} gives {result.dtype} {result.shape}, not int8 "
            f"{wanted}.",
            "Its integer() is wrong: tell those who made its package.",
        )
    return result
