"""Lossless passes: not a byte changes, and what should go goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hand_nets import Net, can_be_lowered, check_same
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import ALL, examples, graphs, random_inputs
from salted_graphs import salted_graphs

from nanotool import qfile
from nanotool.frontends.tflite import convert
from nanotool.ir import (
    ConvTranspose2D,
    Dense,
    QGraph,
    Reshape,
    Unary,
    Window,
)
from nanotool.lower import lower
from nanotool.passes.lossless import (
    PASSES,
    PassRecord,
    drop_dead_channels,
    live_channels,
    macs,
    simplify,
    sink_transposes,
    weight_bytes,
)
from nanotool.simulate import simulate, simulate_all
from nanotool.validate import validate

MODELS = Path(__file__).parents[1] / "models"


# --- Random graphs --------------------------------------------------------------------------------


@given(salted_graphs(), st.integers(0, 2**16))
@examples(80)
def test_optimized_graphs_yield_the_same_bytes(graph: QGraph, seed: int) -> None:
    before = qfile.to_bytes(graph)
    log: list[PassRecord] = []
    result = simplify(graph, log)
    check_same(graph, result, seed)
    assert simplify(result) is result  # nothing is left to do
    assert (result is graph) == (not log)
    assert qfile.to_bytes(graph) == before
    assert macs(result) <= macs(graph)
    assert can_be_lowered(result) or not can_be_lowered(graph)


@given(graphs(ALL, 9, borders=True))
@examples(60)
def test_graphs_that_nobody_salted(graph: QGraph) -> None:
    check_same(graph, simplify(graph))


@given(salted_graphs())
@examples(40)
def test_each_pass_keeps_all_that_it_leaves(graph: QGraph) -> None:
    """Pass by pass: every tensor that is still there holds what it held, channels that were dropped
    aside."""
    x = random_inputs(graph, 6)
    values = simulate_all(graph, x)
    for _ in range(3):
        for name, step in PASSES.items():
            result = step(graph)
            if result is graph:
                continue
            check_same(graph, result)
            new = simulate_all(result, x)
            if step is not sink_transposes:
                kept = live_channels(graph) if step is drop_dead_channels else {}
                for tensor in result.tensors.keys() & graph.tensors.keys():
                    old = values[tensor]
                    if tensor in kept and graph.tensors[tensor].shape:
                        old = old[..., kept[tensor]]
                    assert np.array_equal(new[tensor], old), (name, tensor)
            graph, values = result, new


# --- The reference models -------------------------------------------------------------------------

# MACs and bytes of weights, biases and constants, before and after.
COSTS = {
    "kws": (2_656_768, 2_656_768, 24_368, 24_368),
    "ic": (12_501_632, 12_501_632, 78_744, 78_744),
    "vww": (7_489_664, 3_727_313, 219_064, 33_122),
    "ad": (264_192, 264_192, 270_880, 270_880),
}


@pytest.mark.parametrize("name", COSTS)
def test_reference_models(name: str) -> None:
    graph = convert.load(MODELS / f"{name}.tflite")
    result = simplify(graph)
    validate(result)
    assert COSTS[name] == (macs(graph), macs(result), weight_bytes(graph), weight_bytes(result))
    golden = np.load(MODELS / f"{name}_golden.npz")
    x = golden["x"].reshape(-1, *graph.input_tensor.shape)
    y = golden["y"].reshape(len(x), *graph.output_tensor.shape)
    assert np.array_equal(simulate(result, x), y)


def test_most_of_the_visual_wake_words_model_is_dead() -> None:
    """Inputs of all kinds, as far from pictures as can be; and the listing tells what went."""
    graph = convert.load(MODELS / "vww.tflite")
    log: list[PassRecord] = []
    result = simplify(graph, log)
    check_same(graph, result)
    assert [record.name for record in log] == ["dead channels"]
    (record,) = log
    assert record.macs == (7_489_664, 3_727_313)
    assert [op.name for op in result.ops] == [op.name for op in graph.ops]
    assert record.removed == record.added == ()
    for name, kept in record.kept.items():
        assert result.tensors[name].shape[-1] == len(kept) < graph.tensors[name].shape[-1]
    assert {change.name for change in record.changes} >= record.kept.keys()
    assert "7,489,664 -> 3,727,313 MACs" in record.listing()


# --- The log --------------------------------------------------------------------------------------


def test_log_tells_what_each_pass_did() -> None:
    net = Net()
    net.conv("a", "input", 4)
    net.kill("a", {1: 40, 3: 40})
    net.add("r", Unary("relu"), "a")
    net.add("unread", Unary("abs"), "a")
    net.conv("y", "r", 3)
    graph = net.graph()
    log: list[PassRecord] = []
    result = simplify(graph, log)
    assert [r.name for r in log] == [
        "dead code",
        "activations into their producer",
        "dead channels",
    ]
    assert log[0].removed == ("unread",)
    assert (log[1].removed, log[1].added) == (("a",), ())
    assert log[2].kept == {"r": (0, 2)}
    assert log[2].macs == (128 + 192, 64 + 96) == (macs(graph), macs(result))
    assert log[2].weight_bytes[1] == weight_bytes(result)
    assert [(r.before, r.after) for r in log] == [(4, 3), (3, 2), (2, 2)]
    change = {change.name: change for change in log[2].changes}["y"]
    assert change.before == "conv2d 1x1 stride 1: 4x4x4 -> 4x4x3, 192 MACs"
    assert change.after == "conv2d 1x1 stride 1: 4x4x2 -> 4x4x3, 96 MACs"
    assert log[2].listing().splitlines() == [
        f"dead channels: 2 operations, 320 -> 160 MACs, {weight_bytes(graph)} -> "
        f"{weight_bytes(result)} weight bytes",
        "  r",
        "    - conv2d 1x1 stride 1: 4x4x2 -> 4x4x4, clamp -5..127, 128 MACs",
        "    + conv2d 1x1 stride 1: 4x4x2 -> 4x4x2, clamp -5..127, 64 MACs",
        "  y",
        "    - conv2d 1x1 stride 1: 4x4x4 -> 4x4x3, 192 MACs",
        "    + conv2d 1x1 stride 1: 4x4x2 -> 4x4x3, 96 MACs",
    ]


def test_macs_are_those_of_the_lowered_graph() -> None:
    net = Net()
    net.conv("a", "input", 4, 3, padding=1)
    net.depthwise("b", "a")
    window = Window((3, 2), (2, 3), (1, 0, 0, 1))
    net.weighted("c", ConvTranspose2D(window), "b", (8, 10, 4), (4, 3, 2, 4))
    net.add("d", Reshape((80, 4)), "c", shape=(80, 4))
    net.weighted("y", Dense(), "d", (80, 3), (3, 4))
    graph = net.graph()
    assert macs(graph) == lower(graph).macs
