"""What calibration data are hardly meant to be: `doubts`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from nanotool.ir import Graph, QGraph, Softmax
from nanotool.quantization.calibrate import Batches
from nanotool.quantization.evaluate import ends

FORGETFUL_DB = 15.0  # of a state: what is below is hardly the float model's
NOISY_DB = 27.0  # of an output: what is below may decide otherwise than the float model
FEW = 8  # samples that a range may rest on without a word


def doubts(graph: Graph, batches: Batches) -> list[str]:
    """Sentences on the calibration data of a captured ``graph``, each with what to do."""
    found = []
    each = [ends(graph, batch) for batch in batches]
    count = sum(len(arrays[0]) for arrays in each)
    for number, name in enumerate(graph.inputs):
        of = f" of {name}" if len(graph.inputs) > 1 else ""
        found += _alike([arrays[number] for arrays in each], of)
        if not graph.consumers(name) and name not in graph.results:
            found.append(f"No layer reads the input {name}: leave it out of the forward.")
    classes = math.prod(graph.shape(graph.outputs[0])) if _classifies(graph) else 1
    least = max(FEW, classes)
    if count < least:
        why = f"the model has {classes} classes" if classes > FEW else "ranges rest on them"
        found.append(
            f"Calibration inputs: {count} only, and {why}: rare inputs will saturate. Give some "
            "hundred, of every class."
        )
    for shape in dict.fromkeys(graph.input_shapes):
        if len(shape) == 3 and shape[0] == shape[1] == shape[2]:
            found.append(
                f"Inputs of {'x'.join(map(str, shape))} look alike as C, H, W and as H, W, C: they "
                "are taken as C, H, W, in calibration and afterwards. Turn them if they are not."
            )
    return found


def forgetful(graph: QGraph) -> list[str]:
    """Sentences on the states of a quantized ``graph`` that int8 is too coarse for."""
    noise = {entry.tensor: entry.sqnr_db for entry in graph.quality}
    return [
        f"The state {state.name} keeps {noise[state.read]:.1f} dB over the calibration steps: it "
        "moves by so little a step that int8 hardly follows. Let it move faster (0.9 * h + 0.1 * "
        "x, not 0.999 * h + 0.001 * x), or keep it in your own code, as an input."
        for state in graph.states
        if noise.get(state.read, FORGETFUL_DB) < FORGETFUL_DB
    ]


def noisy(graph: QGraph) -> list[str]:
    """Sentences on the outputs of a quantized ``graph`` that int8 is too coarse for, with the layer
    at which most is lost."""
    noise = {entry.tensor: entry.sqnr_db for entry in graph.quality}
    found = []
    for name in graph.outputs:
        if not -math.inf < noise.get(name, math.inf) < NOISY_DB:
            continue
        layer, before = _culprit(graph, name, noise)
        found.append(
            f"The output {name} keeps {noise[name]:.1f} dB over the calibration data: its noise is "
            f"{10 ** (-noise[name] / 20):.0%} of it. Most is lost at {layer}: {before:.1f} dB in "
            f"front of it, {noise[layer]:.1f} behind. `nanotool report` shows every layer; "
            "nanotool.prepare_qat trains a model with its noise, and calibration data without rare "
            "extremes make steps finer."
        )
    return found


# What is better than this is noise of one rounding, whatever was in front.
ROUNDING_DB = 50.0


def _culprit(graph: QGraph, output: str, noise: Mapping[str, float]) -> tuple[str, float]:
    """(layer, dB of its worst input) among those on which ``output`` depends: the one with the
    largest loss."""
    makers = {tensor: op for op in graph.ops for tensor in op.outputs}
    best, before = output, ROUNDING_DB
    lost, open_, seen = -math.inf, [output], {output}
    while open_:
        op = makers.get(open_.pop())
        if op is None:
            continue
        worst = min((noise.get(one, ROUNDING_DB) for one in op.inputs), default=ROUNDING_DB)
        worst = min(worst, ROUNDING_DB)
        if op.name in noise and worst - noise[op.name] > lost:
            best, before, lost = op.name, worst, worst - noise[op.name]
        new = [one for one in op.inputs if one not in seen]
        seen.update(new)
        open_ += new
    return best, before


def _alike(arrays: list[NDArray[Any]], of: str) -> list[str]:
    """What is wrong with the data of one input that are all the same."""
    first = next(array for array in arrays if len(array))[:1]
    if all((array == first.reshape(-1)[0]).all() for array in arrays):
        return [
            f"All calibration data{of} are {first.reshape(-1)[0]:g}: the ranges are made up. Give "
            "real inputs, as the model gets them in use."
        ]
    if sum(map(len, arrays)) > 1 and all((array == first).all() for array in arrays):
        return [
            f"All calibration inputs{of} are the same one. Give different ones, some hundred of "
            "them."
        ]
    return []


def _classifies(graph: Graph) -> bool:
    """Whether the first output is one score a class: a vector, or a softmax."""
    output = graph.outputs[0]
    shape = graph.shape(output)
    last = {node.name: node.op for node in graph.nodes}.get(output)
    return len(shape) == 1 or isinstance(last, Softmax)
