"""What calibration data are hardly meant to be: `doubts`."""

from __future__ import annotations

import math

from nanotool.ir import Graph, Softmax
from nanotool.quantization.calibrate import Batches

FEW = 8  # samples that a range may rest on without a word


def doubts(graph: Graph, batches: Batches) -> list[str]:
    """Sentences on the calibration data of a captured ``graph``, each with what to do."""
    found = []
    count = sum(len(batch) for batch in batches)
    first = next(batch for batch in batches if len(batch))[:1]
    if all((batch == first.reshape(-1)[0]).all() for batch in batches):
        found.append(
            f"All calibration data are {first.reshape(-1)[0]:g}: the ranges are made up. Give real "
            "inputs, as the model gets them in use."
        )
    elif count > 1 and all((batch == first).all() for batch in batches):
        found.append(
            "All calibration inputs are the same one. Give different ones, some hundred of them."
        )
    outputs = math.prod(graph.shape(graph.output))
    classes = outputs if _classifies(graph) else 1
    least = max(FEW, classes)
    if count < least:
        why = f"the model has {classes} classes" if classes > FEW else "ranges rest on them"
        found.append(
            f"There are {count} calibration inputs only, and {why}: rare inputs will saturate. "
            "Give some hundred, of every class."
        )
    shape = graph.input_shape
    if len(shape) == 3 and shape[0] == shape[1] == shape[2]:
        found.append(
            f"Inputs of {'x'.join(map(str, shape))} look alike as C, H, W and as H, W, C: they are "
            "taken as C, H, W, in calibration and afterwards. Turn them if they are not."
        )
    return found


def _classifies(graph: Graph) -> bool:
    """Whether the output is one score a class: a vector, or a softmax."""
    shape = graph.shape(graph.output)
    last = {node.name: node.op for node in graph.nodes}.get(graph.output)
    return len(shape) == 1 or isinstance(last, Softmax)
