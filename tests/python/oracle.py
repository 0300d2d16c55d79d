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


def run(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    """``graph``, written as .tflite, on ``x``: what `nanotool.simulate.simulate` must answer."""
    return run_bytes(tflite.write(graph), x)
