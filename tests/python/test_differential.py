"""The differential test: random graphs of all operators against TFLite Micro, byte for byte.

The simulator, the C library with each target's kernels, and the simulator on what the importer
makes of the file. 100 graphs, and 60 models with states and several ends over 20 steps each;
NANO_EXAMPLES=200 makes 20,000 of the former, and `python -m bench.differential` counts them.
"""

from __future__ import annotations

from differential import differences, step_differences
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import (
    TFLITE,
    examples,
    graphs,
    random_inputs,
    random_sequence,
    random_steps,
)

from nanotool.ir import QGraph


@examples(100)
@given(graphs(TFLITE, 12, tflite=True, borders=True), st.integers(0, 2**16))
def test_random_graphs_answer_as_tflite_micro(graph: QGraph, seed: int) -> None:
    assert differences(graph, random_inputs(graph, 6, seed)) == {}


@examples(60)
@given(st.integers(0, 2**32 - 1))
def test_random_steps_answer_as_tflite_micro(seed: int) -> None:
    graph = random_steps(seed)
    assert step_differences(graph, random_sequence(graph, 20, seed)) == {}
