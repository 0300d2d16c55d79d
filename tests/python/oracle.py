"""TFLite Micro's reference kernels (PyPI `tflite-micro`) as the oracle: run .tflite bytes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_micro import runtime

from nanotool.backends import tflite
from nanotool.ir import QGraph

ARENA_BYTES = 1 << 20


def run_bytes(model: bytes, x: NDArray[Any]) -> NDArray[Any]:
    """The outputs of the .tflite ``model`` for the inputs ``x`` [n, *shape], one after another.

    Raises RuntimeError where TFLite Micro refuses the model.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the wrapper talks
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    outputs = []
    for sample in x:
        interpreter.set_input(sample[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0))[0])
    return np.asarray(outputs)


def run_steps(model: bytes, inputs: tuple[NDArray[Any], ...], outputs: int) -> list[NDArray[Any]]:
    """Each of the first ``outputs`` outputs, for steps of one sequence [n, *shape] an input."""
    with contextlib.redirect_stdout(io.StringIO()):
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    found: list[list[NDArray[Any]]] = [[] for _ in range(outputs)]
    for step in range(len(inputs[0])):
        for number, x in enumerate(inputs):
            interpreter.set_input(x[step][np.newaxis], number)
        interpreter.invoke()
        for number, seen in enumerate(found):
            seen.append(np.array(interpreter.get_output(number))[0])
    return [np.asarray(seen) for seen in found]


def run(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    """``graph``, written as .tflite, on ``x``: what `nanotool.simulate.simulate` must answer."""
    return run_bytes(tflite.write(graph), x)
