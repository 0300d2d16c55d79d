"""This computer's kernels: the bytes of the portable ones, on every convolution and dense layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples, graphs, random_inputs

from nanotool.ir import Array, LoweredOp, QGraph, Struct
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.runtime.host import LANES, on_host, pack

MODELS = Path(__file__).parent.parent / "models"
KINDS = ("conv2d", "dense", "max_pool", "unary", "reshape", "pad")


@examples(60)
@given(graphs(KINDS, 8), st.integers(0, 2**16))
def test_random_graphs(graph: QGraph, seed: int) -> None:
    """Kernels, strides, dilations, paddings, pools behind, outputs that are no multiple of 8."""
    x = random_inputs(graph, 4, seed)
    lowered, plan = prepare(graph)
    slow, fast = Runtime(lowered, plan), Runtime(lowered, plan, fast=True)
    for one, other in zip(slow.run_all(x), fast.run_all(x), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww", "person_detect"])
def test_the_benchmark_models(name: str) -> None:
    graph = load_model(MODELS / f"{name}.tflite")
    x = random_inputs(graph, 2, 0)
    lowered, plan = prepare(graph)
    assert any(on_host(op) for op in lowered.ops)
    assert np.array_equal(Runtime(lowered, plan, fast=True).run(x), Runtime(lowered, plan).run(x))


def test_packing() -> None:
    """[out / 8][pairs][8][2], zeros at both ends."""
    weights = np.arange(1, 10 * 3 + 1, dtype=np.int8).reshape(10, 3)
    packed = pack(weights).reshape(2, 2, LANES, 2)
    for o, k in np.ndindex(10, 3):
        assert packed[o // LANES, k // 2, o % LANES, k % 2] == weights[o, k]
    assert np.count_nonzero(packed) == weights.size


def dense_op(terms: int) -> LoweredOp:
    fields = (
        ("weights", Array("w", np.zeros(2 * terms, np.int8))),
        ("bias", Array("b", np.zeros(2, np.int32))),
    )
    params = Struct("nano_dense_params", fields)
    return LoweredOp("fc", ("fc",), "nano_dense", params, ("x",), "fc", (None,))


def test_what_the_stack_cannot_hold_stays_portable() -> None:
    assert on_host(dense_op(16384)) is not None
    assert on_host(dense_op(16385)) is None
