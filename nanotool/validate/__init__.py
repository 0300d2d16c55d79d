"""Is a QGraph one that can run? Everything that a later stage takes for granted is checked here.

Names, order, shapes, types, weights, quantization, and that no accumulator can leave int32.
Limits of one target's kernels (16-bit sizes and the like) are the lowering's business.

    graph    the graph as a whole: names, order, borders
    rules    what each operator accepts, and the shape that it yields
    weights  weights, scales, biases, the reach of accumulators
"""

from nanotool.validate.graph import MAX_AXES, MAX_ELEMENTS, MAX_NAME, validate
from nanotool.validate.rules import RULES, Rule
from nanotool.validate.weights import ACCUMULATOR_LIMIT

__all__ = [
    "ACCUMULATOR_LIMIT",
    "MAX_AXES",
    "MAX_ELEMENTS",
    "MAX_NAME",
    "RULES",
    "Rule",
    "validate",
]
