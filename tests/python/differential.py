"""One graph, computed in every way there is: all bytes have to be the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
from numpy.typing import NDArray

from nanotool.backends import tflite as writer
from nanotool.frontends.tflite import convert, file
from nanotool.frontends.tflite.builder import MAX_SCALE
from nanotool.ir import QGraph
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.runtime import Runtime
from nanotool.simulate import simulate, simulate_steps
from nanotool.targets import TARGETS


def differences(graph: QGraph, x: NDArray[Any]) -> dict[str, int]:
    """Bytes in which others differ from TFLite Micro on ``x``, by who it is: the simulator, the C
    library with each target's kernels, and the simulator on what the importer makes of the .tflite
    file."""
    model = writer.write(graph)
    expected = oracle.run_bytes(model, x).reshape(len(x), -1)
    answers = {
        "simulator": simulate(graph, x),
        **{f"C library, {target}": _run(graph, x, target) for target in TARGETS},
    }
    if _imports(graph):
        again = convert.from_model(file.read(model), "again", "test")
        shaped = x.reshape(len(x), *again.input_tensor.shape)
        answers["simulator, imported"] = simulate(again, shaped)
    found = {}
    for who, y in answers.items():
        assert y.dtype == expected.dtype, (who, y.dtype, expected.dtype)
        different = y.reshape(len(x), -1).view(np.uint8) != expected.view(np.uint8)
        if different.any():
            found[who] = int(np.count_nonzero(different))
    return found


def step_differences(graph: QGraph, steps: tuple[NDArray[Any], ...]) -> dict[str, int]:
    """The same of a model with states, or with several ends, over consecutive steps."""
    model = writer.write(graph)
    expected = oracle.run_steps(model, steps, len(graph.outputs))
    lowered = {target: lower(graph, target, "speed") for target in TARGETS}
    answers = {
        "simulator": simulate_steps(graph, steps)[0],
        **{
            f"C library, {target}": Runtime(one, plan(one)).run_steps(steps)
            for target, one in lowered.items()
        },
    }
    if _imports(graph):
        again = convert.from_model(file.read(model), "again", "test")
        answers["simulator, imported"] = simulate_steps(
            again,
            [
                x.reshape(len(x), *tensor.shape)
                for x, tensor in zip(steps, again.input_tensors, strict=True)
            ],
        )[0]
    wrong = {
        who: sum(
            int(np.count_nonzero(y.reshape(len(y), -1) != wanted.reshape(len(y), -1)))
            for y, wanted in zip(outputs, expected, strict=True)
        )
        for who, outputs in answers.items()
    }
    return {who: count for who, count in wrong.items() if count}


def _run(graph: QGraph, x: NDArray[Any], target: str) -> NDArray[Any]:
    lowered = lower(graph, target, "speed")
    return Runtime(lowered, plan(lowered)).run(x)


def _imports(graph: QGraph) -> bool:
    """Whether the importer takes it: every scale is one that real data may have."""
    return all(1 / MAX_SCALE <= tensor.scale <= MAX_SCALE for tensor in graph.tensors.values())
