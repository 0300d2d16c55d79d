"""What the kernels of every target are held to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from random_graphs import random_inputs
from test_overlap import Memory, wrong_at

from nanotool import simulate
from nanotool.frontends.tflite.convert import load as load_tflite
from nanotool.ir import Int8Array, Lowered, QGraph
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.runtime import Runtime

MODELS = Path(__file__).resolve().parents[1] / "models"
ARENAS = {"ad": 2800, "kws": 12000, "ic": 38000, "vww": 44000}  # at most, with `balanced`


def reference_model(name: str, target: str) -> tuple[Lowered, Int8Array, Int8Array]:
    """An MLPerf Tiny model lowered for ``target``, its golden inputs and outputs; fails unless it
    gives TFLite Micro's answers within the memory that it is promised."""
    graph = load_tflite(MODELS / f"{name}.tflite")
    golden = np.load(MODELS / f"{name}_golden.npz")
    lowered = lower(graph, target, "speed")
    planned = plan(lowered)
    x = golden["x"].reshape(-1, *graph.input_tensor.shape)
    y = Runtime(lowered, planned).run(x)
    assert np.array_equal(y.reshape(golden["y"].shape), golden["y"])
    assert plan(lower(graph, target)).arena_size <= ARENAS[name]
    return lowered, x, y


def lies_anywhere_below(
    graph: QGraph, target: str, distances: Sequence[int], seed: int, optimize: str = "speed"
) -> None:
    """Fails unless the output of ``graph``'s only op may lie at ``distances`` below its input, at
    the same place, and right beneath it; or beneath it only, where it is the larger one."""
    lowered = lower(graph, target, optimize)
    (op,) = lowered.ops
    size = graph.output_tensor.nbytes
    fits = graph.output_tensor.size <= graph.input_tensor.size
    assert op.overlaps == (0 if fits else None,)
    x = random_inputs(graph, 2, seed)
    y = simulate.simulate(graph, x)
    memory = Memory(lowered)
    samples = memory.samples({"input": x, op.output: y})
    for distance in (0, *distances, size - 1, size) if fits else (size,):
        assert not wrong_at(memory, [0], "input", distance, samples), (graph.ops[0].op, distance)
