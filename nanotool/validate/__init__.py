"""Is a QGraph one that can run? Everything that a later stage takes for granted is checked here.

Names, order, shapes, types, weights, quantization, and that no accumulator can leave int32.
Limits of one target's kernels (16-bit sizes and the like) are the lowering's business.

    graph    names, order, borders; each layer, with `nanotool.ops.shape`
    weights  weights, scales, biases, the reach of accumulators
"""

from nanotool.validate.graph import MAX_AXES, MAX_ELEMENTS, MAX_NAME, validate
from nanotool.validate.weights import ACCUMULATOR_LIMIT

__all__ = [
    "ACCUMULATOR_LIMIT",
    "MAX_AXES",
    "MAX_ELEMENTS",
    "MAX_NAME",
    "validate",
]
